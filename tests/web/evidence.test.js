import assert from 'node:assert/strict';
import { test } from 'node:test';
import { csvOf, nearest, told, valuesOf } from '../../app/web/views/evidence.js';

const map = {
  ...{ model: 'emoji', grid: [1, 4, 4], prompts: 8 },
  cells: [
    [0, 0],
    [0, 2],
    [2, 0],
    [2, 2],
  ],
  ...{ steps: [7, 6, 6, 5], right: [4, 6, 8, 0], damage: [0.25, 0.5, 0, 1], seconds: [1, 2, 3, 4], by_steps: {} },
};

test('a map says the share that is right, in words and as a table', () => {
  assert.deepEqual(valuesOf(map, 'right'), [0.5, 0.75, 1, 0]);
  assert.equal(valuesOf(map, 'steps'), map.steps);
  assert.deepEqual([told('right', 0.5), told('steps', 7), told('seconds', 1.234)], ['50 %', '7', '1.23 s']);
  const lines = csvOf(map).split('\n');
  assert.equal(lines.length, 5);
  assert.equal(lines[3], '3,1,6,8,8,0,3');
});

test('a cell that was not measured has the value of the nearest one that was', () => {
  const at = nearest(map);
  assert.deepEqual([at[0], at[2], at[15], at[12]], [0, 1, 3, 2]);
});
