// A thing alone on a plain ground is found, and stands where the model has such things.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { placeOf, subjectOf } from '../../app/web/tools/subject.js';
import { clipSpec } from './specs.js';

/**
 * A ground of one grey with boxes of another.
 * @param {number} width @param {number} height @param {number[][]} boxes x, y, wide, high @param {number} [ground]
 */
function painted(width, height, boxes, ground = 255) {
  const data = new Uint8ClampedArray(4 * width * height).fill(ground);
  for (const [x, y, wide, high] of boxes)
    for (let j = y; j < y + high; j++) data.fill(ground - 60, 4 * (j * width + x), 4 * (j * width + x + wide));
  return { data, width, height };
}

const spec = clipSpec(17, 10, { alone: 7 });

test('a thing is found on its ground', () => {
  const found = subjectOf(painted(128, 128, [[24, 8, 96, 90]], 230));
  assert.deepEqual(found, { x: 24, y: 8, wide: 96, high: 90, ground: [230, 230, 230] });
});

test('nothing, a crowd, a speck and a scene are no thing alone', () => {
  for (const boxes of [
    [],
    [[0, 40, 50, 50]],
    [
      [8, 8, 56, 56],
      [64, 64, 56, 56],
    ],
    [[60, 60, 9, 9]],
  ])
    assert.equal(subjectOf(painted(128, 128, boxes)), null);
});

test('it becomes as large as things of the clip and lies on their grid', () => {
  const subject = { x: 24, y: 8, wide: 96, high: 96, ground: /** @type {[number, number, number]} */ ([0, 0, 0]) };
  const { scale, x, y } = placeOf(subject, spec);
  assert.equal(scale, 56 / 96);
  assert.ok(Math.abs(24 * scale + x - 8) < 1e-9 && Math.abs(8 * scale + y - 16) < 1e-9);
  const low = placeOf({ ...subject, high: 40 }, spec); // three cells: two rows lower
  assert.ok(Math.abs(8 * scale + low.y - 32) < 1e-9);
});

test('it stands where it is told to', () => {
  const subject = { x: 24, y: 8, wide: 96, high: 96, ground: /** @type {[number, number, number]} */ ([0, 0, 0]) };
  const [usual, low] = [placeOf(subject, spec), placeOf(subject, spec, [2, 3])];
  assert.ok(Math.abs(low.x - usual.x - 8) < 1e-9 && Math.abs(low.y - usual.y - 8) < 1e-9);
});

test('what has the size already keeps its pixels and its cells', () => {
  const { scale, x, y } = placeOf({ x: 33, y: 41, wide: 55, high: 30, ground: [0, 0, 0] }, spec);
  assert.deepEqual([scale, Math.abs(x % 8), Math.abs(y % 8)], [1, 0, 0]);
  assert.equal(32 + x, 8);
});
