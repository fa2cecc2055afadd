import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makePlan } from '../../app/web/plan.js';
import { newRun, withSheet } from '../../app/web/run.js';
import * as store from '../../app/web/store.js';
import { frozen, thawed } from '../../app/web/tools/frozen.js';
import { pictureSpec } from './specs.js';

class Picture {
  constructor(src) {
    this.src = src;
  }
}
const addressOf = (value) => (value instanceof Picture ? value.src : null);
const again = (value) => thawed(frozen(value, addressOf), async (src) => new Picture(src));

test('a state with what has grown comes back as it was, pictures too', async () => {
  const spec = pictureSpec(4);
  const seen = new Picture(`data:image/png;base64,${'A'.repeat(500)}`);
  const run = withSheet(newRun('a', makePlan(spec, [0, 2, 2]), 1, { title: 'owl', early: [seen] }), 3, seen);
  const s = { ...store.initial('image', spec), runs: { a: run }, lanes: ['a'], current: 'a', phase: 'done' };
  const back = await again(s);
  assert.deepEqual(back, s);
  assert.equal(back.runs.a.plan.spec, back.spec, 'what is the same is the same again');
  assert.equal(back.runs.a.early[0], back.runs.a.sheets.get(3));
  assert.ok(back.runs.a.tokens instanceof Uint16Array);
});

test('what is the same in several places is written once, and holes are kept', async () => {
  const file = 'A'.repeat(10_000);
  const piece = { file, hole: new Set(['1,2', '3,4']) };
  const short = new Picture('data:image/png;base64,AA');
  const all = { board: piece, short, past: [piece, { ...piece }], file, none: null, yes: true, words: 'كلب 🐶' };
  assert.ok(frozen(all, addressOf).length < 1.1 * file.length);
  assert.deepEqual(await again(all), all);
});
