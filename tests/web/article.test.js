import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as article from '../../app/web/article-store.js';
import { flatOf, makePlan } from '../../app/web/plan.js';
import { newRun, withFinals } from '../../app/web/run.js';
import { paneStatus, statusOf } from '../../app/web/views/article.js';
import { clipSpec, pictureSpec } from './specs.js';

const spec = pictureSpec(16);
const grown = (name, at, of = spec) => withFinals(newRun(name, makePlan(of, at), 1), [{}]);
const explained = { cell: [0, 6, 10], step: 5, attention: [[[1]]] };
const names = ['centre', 'guidance-1', 'guidance-2', 'guidance-8', 'aside', 'around', 'wrong'];
const runs = {
  ...Object.fromEntries(names.map((name) => [name, grown(name, [0, 8, 8])])),
  corner: grown('corner', [0, 0, 0]),
  clip: grown('clip', [2, 2, 2], clipSpec(5, 5)),
};
const story = { runs, explained, raster: {} };
const told = article.told(article.initial(), story);
const played = (s) => (s.playing ? played(article.advanced(s)) : s);

test('every act has something to show, and plays to its end', () => {
  const panes = { guidance: 3, orders: 5, gained: 3, anywhere: 4 };
  for (const act of article.ACTS) {
    const s = article.read(told, act);
    assert.equal(s.panes.length, panes[act] ?? 1, act);
    assert.equal(s.playing, act !== 'distance');
    assert.equal(played(s).step, act === 'distance' ? 0 : s.until);
  }
  assert.equal(article.totalOf(article.read(told, 'gained')), 256);
});

test('nothing is shown before the story has come, and then the act that is read', () => {
  const s = article.read(article.initial(), 'time');
  assert.deepEqual(s.panes, []);
  assert.equal(statusOf(s), 'Fetching what was recorded');
  assert.equal(article.told(s, story).panes[0].run, runs.clip);
});

test('with reduced motion an act stands at a moment that tells', () => {
  const calm = { ...told, calm: true };
  for (const act of article.ACTS) assert.equal(article.read(calm, act).playing, false);
  assert.equal(article.read(calm, 'gained').step, 31);
  assert.equal(article.read(calm, 'mixing').step, explained.step);
  assert.equal(article.isMoving(article.read(calm, 'time')), false);
  assert.equal(article.isMoving(played(article.read(told, 'time'))), true);
});

test('a start can be chosen, inside the grid', () => {
  const s = article.startedAt(article.read(told, 'distance'), [0, 0, -1]);
  assert.deepEqual(s.start, [0, 0, 0]);
  assert.equal(statusOf(s), '31 steps from row 1, column 1');
});

test('playing on goes to the end, and from there begins anew', () => {
  const s = played(article.read(told, 'mixing'));
  assert.equal(s.step, 5);
  const end = played(article.played(s, true));
  assert.equal(end.step, 17);
  assert.equal(article.played(end, true).step, 0);
  assert.equal(paneStatus(end, end.panes[0]), '17 steps');
  assert.equal(paneStatus(s, s.panes[0]), 'step 5 of 17');
});

test('a part of a formula is cells', () => {
  const plan = makePlan(spec, [0, 0, 0]);
  const lit = (see, cell = [0, 2, 3]) => article.litCells(plan, cell, [0, 0, 0], see);
  const flat = (...cells) => cells.map(([h, w]) => flatOf(spec.grid, [0, h, w]));
  assert.deepEqual(lit('front'), flat([0, 5], [1, 4], [2, 3], [3, 2], [4, 1], [5, 0]));
  assert.deepEqual(lit('rows'), flat([0, 0], [1, 0], [2, 0]));
  assert.deepEqual(lit('columns'), flat([2, 0], [2, 1], [2, 2], [2, 3]));
  assert.deepEqual(lit('beside'), flat([2, 3], [2, 2]));
  assert.deepEqual(lit('above'), flat([2, 3], [1, 3]));
  assert.equal(lit('seen').length, 21);
  assert.equal(lit(''), null);
});

test('light is where the senders looked, until something else is asked', () => {
  const s = played(article.read(told, 'mixing'));
  assert.equal(article.lightOf(s), explained.attention);
  assert.equal(article.lightOf({ ...s, see: 'senders' }), null);
  const grid = article.read(told, 'distance');
  assert.equal(article.lightOf(grid), null);
  const light = article.lightOf({ ...grid, see: 'rows' });
  assert.equal(
    light.flat(2).reduce((a, b) => a + b),
    6,
  ); // rows 3 to 8
});
