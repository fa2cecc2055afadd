import assert from 'node:assert/strict';
import { test } from 'node:test';
import { csvOf, nearest, seenOf, told, valuesOf, wordsOf } from '../../app/web/views/evidence.js';

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

test('of a whole map a cell is seen with those around it, of others alone', () => {
  const whole = {
    ...map,
    grid: [1, 1, 4],
    cells: [
      [0, 0],
      [0, 1],
      [0, 2],
      [0, 3],
    ],
  };
  assert.deepEqual(seenOf(whole, 'right'), [5 / 8, 6 / 8, (6 + 8 + 0) / 24, 4 / 8]);
  assert.deepEqual(seenOf(whole, 'steps'), map.steps);
  assert.deepEqual(seenOf(map, 'right'), valuesOf(map, 'right'));
  assert.match(wordsOf(whole, 'right'), /with those around it\..* within about 12 points/);
  assert.match(wordsOf(map, 'right'), /everything\. So few .* within about 35 points/);
  assert.match(wordsOf(whole, 'damage'), /with those around it\.$/);
  assert.doesNotMatch(wordsOf(whole, 'steps'), /around it/);
});
