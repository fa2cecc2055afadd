import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makePlan } from '../../app/web/plan.js';
import {
  coarseCell,
  maskedOrder,
  neighbourOrder,
  parallelOrder,
  rasterOrder,
  SCALES,
} from '../../app/web/tools/orders.js';
import { pictureSpec } from './specs.js';

const sizesOf = ({ steps, total }) => {
  const sizes = new Array(total + 1).fill(0);
  for (const step of steps) sizes[step]++;
  return sizes.slice(1);
};

test('each way of growing takes as many steps as its paper says', () => {
  assert.equal(rasterOrder(16).total, 256);
  assert.equal(neighbourOrder(16).total, 31);
  assert.equal(neighbourOrder(16, [8, 8]).total, 17);
  // PAR on its own grid of 24 x 24: 147 steps with 4 regions, 51 with 16
  assert.equal(parallelOrder(24, 4).total, 147);
  assert.equal(parallelOrder(24, 16).total, 51);
  assert.equal(parallelOrder(16, 4).total, 67);
  assert.equal(maskedOrder(16, 64).total, 64);
  assert.equal(SCALES.length, 10);
  assert.equal(SCALES.at(-1), 16);
});

test('every order writes each cell once and no step nothing', () => {
  for (const order of [rasterOrder(16), neighbourOrder(16), parallelOrder(16, 4), maskedOrder(16, 64)]) {
    const sizes = sizesOf(order);
    assert.equal(
      sizes.reduce((a, b) => a + b),
      256,
    );
    assert.ok(Math.min(...sizes) > 0);
  }
});

test('the regions of PAR begin one by one and go on together', () => {
  const sizes = sizesOf(parallelOrder(16, 4));
  assert.deepEqual(sizes.slice(0, 4), [1, 1, 1, 1]);
  assert.ok(sizes.slice(4).every((n) => n === 4));
});

test('MAR writes more and more, by the cosine', () => {
  const sizes = sizesOf(maskedOrder(16, 64));
  const written = (k) => sizes.slice(0, k).reduce((a, b) => a + b, 0);
  assert.equal(256 - written(32), Math.floor(256 * Math.cos(Math.PI / 4)));
  assert.ok(sizes.at(-1) > sizes[0]);
});

test('NAR is the order of a plan', () => {
  const plan = makePlan(pictureSpec(16), [0, 3, 12]);
  assert.deepEqual([...neighbourOrder(16, [3, 12]).steps], [...plan.step]);
});

test('the last map of VAR has a cell of its own for each of the grid, the first one for all', () => {
  const cells = (scale) => new Set(Array.from({ length: 256 }, (_, i) => coarseCell(i, 16, scale))).size;
  assert.equal(cells(16), 256);
  assert.equal(cells(3), 9);
  assert.equal(cells(1), 1);
  assert.deepEqual(
    [0, 5, 6, 16 * 6 + 11, 255].map((i) => coarseCell(i, 16, 3)),
    [0, 0, 1, 5, 8],
  );
});
