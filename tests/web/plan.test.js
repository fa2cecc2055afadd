import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  followsKept,
  isLegal,
  makePlan,
  maySee,
  nearestLegal,
  planFromSteps,
  positionOf,
  sendersOf,
  stepsFromCorner,
} from '../../app/web/plan.js';
import { clipSpec, cornerSpec, pictureSpec } from './specs.js';

test('a picture takes 31 steps from the corner and 17 from the centre', () => {
  const spec = pictureSpec(16);
  assert.equal(makePlan(spec, [0, 0, 0]).total, 31);
  assert.equal(makePlan(spec, [0, 8, 8]).total, 17);
  assert.equal(stepsFromCorner(spec), 31);
  assert.equal(makePlan(clipSpec(4, 16), [0, 0, 0]).total, 34);
});

test('fronts hold every cell once, and no two of one front touch', () => {
  const spec = clipSpec(3, 5);
  const plan = makePlan(spec, [1, 3, 2]);
  const all = plan.cells.flat();
  assert.deepEqual(
    [...all].sort((a, b) => a - b),
    [...Array(75).keys()],
  );
  assert.deepEqual(
    plan.counts,
    plan.cells.map((cells) => cells.length),
  );
  for (const front of plan.cells) {
    for (const i of front) {
      for (const j of front) {
        const apart = positionOf(spec.grid, i).reduce((d, x, k) => d + Math.abs(x - positionOf(spec.grid, j)[k]), 0);
        assert.ok(i === j || apart > 1);
      }
    }
  }
});

test('senders are the nearer neighbours whose direction the model has', () => {
  const spec = pictureSpec(8);
  const plan = makePlan(spec, [0, 4, 4]);
  const names = (at) => sendersOf(plan, at[0] * 8 + at[1]).map((sender) => sender.head.name);
  assert.deepEqual(names([4, 4]), []);
  assert.deepEqual(names([4, 6]), ['+w']);
  assert.deepEqual(names([2, 2]), ['-w', '-h']);
  const corner = makePlan(cornerSpec(8), [0, 0, 0]);
  assert.deepEqual(
    sendersOf(corner, 9).map((sender) => sender.head.name),
    ['+w', '+h'],
  );
});

test('a cell sees what is of its own or a lower level', () => {
  const plan = makePlan(pictureSpec(6), [0, 0, 0]);
  assert.ok(maySee(plan, 2, 7));
  assert.ok(maySee(plan, 2, 1));
  assert.ok(!maySee(plan, 2, 8));
});

test('known cells are step 0, and may speak to cells behind them', () => {
  const spec = pictureSpec(4);
  const known = Uint8Array.from({ length: 16 }, (_, i) => (i < 8 ? 1 : 0));
  const plan = makePlan(spec, [0, 3, 3], known);
  assert.equal(plan.counts[0], 8);
  assert.equal(plan.total, 5);
  assert.deepEqual(
    sendersOf(plan, 8).map((sender) => sender.head.name),
    ['-w', '+h', '-h'],
  );
  assert.ok(followsKept(plan));
  assert.equal(makePlan(spec, [0, 0, 0], new Uint8Array(16).fill(1)).total, 0);
});

test('a model of one corner refuses other starts', () => {
  const spec = cornerSpec(8);
  assert.ok(isLegal(makePlan(spec, [0, 0, 0])));
  assert.ok(!isLegal(makePlan(spec, [0, 2, 2])));
  assert.deepEqual(nearestLegal(spec, [0, 5, 5], null), [0, 0, 0]);
  assert.equal(nearestLegal({ ...spec, directions: ['-w'] }, [0, 5, 5], null), null);
  // also where all that is left could be reached from another one
  const known = Uint8Array.from({ length: 64 }, (_, i) => (i < 63 ? 1 : 0));
  assert.ok(isLegal(makePlan(spec, [0, 0, 0], known)));
  for (const seed of [
    [0, 7, 7],
    [0, 0, 1],
  ])
    assert.ok(!isLegal(makePlan(spec, seed, known)));
});

test('the mirror image of a growth in an old file has its directions turned', () => {
  const plan = makePlan({ ...cornerSpec(8), mirrors: true }, [0, 0, 7]);
  assert.ok(plan.mirrored);
  assert.deepEqual(
    sendersOf(plan, 14).map((sender) => sender.head.name),
    ['-w', '+h'],
  );
});

test('where kept cells are seen late, what grows before them does not follow', () => {
  const spec = cornerSpec(4);
  const keep = (isKept) => Uint8Array.from({ length: 16 }, (_, i) => (isKept(i) ? 1 : 0));
  assert.ok(
    followsKept(
      makePlan(
        spec,
        [0, 0, 0],
        keep((i) => i < 8),
      ),
    ),
  );
  assert.ok(
    !followsKept(
      makePlan(
        spec,
        [0, 0, 0],
        keep((i) => i >= 8),
      ),
    ),
  );
});

test('a plan that was read equals the one that was made', () => {
  const made = makePlan(clipSpec(2, 3), [1, 1, 1]);
  const read = planFromSteps(made.spec, made.seedPosition, made.step);
  assert.deepEqual(read, made);
});

test('in raster order a cell is told by the one before, also across lines', () => {
  const spec = cornerSpec(4, { order: 'raster', directions: ['+w'], known_level: 'zero' });
  const plan = makePlan(spec, [0, 0, 0]);
  assert.equal(plan.total, 16);
  assert.deepEqual(
    [...plan.step],
    [...Array(16).keys()].map((i) => i + 1),
  );
  assert.deepEqual(
    sendersOf(plan, 4).map(({ cell, head }) => [cell, head.name]),
    [[3, '+w']],
  );
  assert.deepEqual(sendersOf(plan, 0), []);
  const amid = makePlan(spec, [0, 1, 0]); // the cells before the start come last
  assert.deepEqual(
    [3, 4, 5].map((i) => sendersOf(amid, i).map(({ cell }) => cell)),
    [[2], [], [4]],
  );
  assert.ok(isLegal(plan));
  assert.ok(!isLegal(makePlan(spec, [0, 1, 0])));
  assert.deepEqual(planFromSteps(spec, [0, 0, 0], plan.step), plan);
});
