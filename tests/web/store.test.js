import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as store from '../../app/web/store.js';
import { extentOf } from '../../app/web/tools/board.js';
import { statusText } from '../../app/web/views/status.js';
import { UNKNOWN_TOKEN } from '../../app/web/wire.js';
import { clipSpec, cornerSpec, pictureSpec } from './specs.js';

const spec = pictureSpec(4);
const asked = { prompt: 'owl', guidance_scale: 2, heads: 'mixed', fusion: 'logits' };

/** Every object in a state may only be read: a function that changes one throws. */
function frozen(value) {
  if (value && typeof value === 'object' && !ArrayBuffer.isView(value) && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of value instanceof Map ? value.values() : Object.values(value)) frozen(part);
  }
  return value;
}

const ready = (mode = 'image', model = spec) => frozen(store.initial(mode, model));
const begun = (s, more = {}) => frozen(store.started(s, { id: 'a', samples: 1, title: 'owl', ...more }).next);

/** The server's message about some steps: tokens are the numbers of their cells. */
function steps(s, from, to) {
  const run = store.activeRun(s);
  const { order, cells } = { order: run.plan.step, cells: run.plan.cells };
  const frames = [];
  for (let step = from; step <= to; step++) {
    const tokens = Uint16Array.from(Array(run.samples).fill(cells[step]).flat());
    frames.push({ step, tokens, confidence: new Uint8Array(tokens.length).fill(100 + step), elapsed: step / 10 });
  }
  return { kind: 'steps', run: run.id, order, frames };
}
function grown(s, from, to) {
  let next = frozen(store.withStepsOf(s, steps(s, from, to)));
  for (let step = from; step <= to; step++) next = frozen(store.withSheetOf(next, s.active, step, { sheet: step }));
  return next;
}
function finished(s, request = asked) {
  const run = store.activeRun(s);
  const n = run.plan.step.length * run.samples;
  const message = {
    kind: 'done',
    run: run.id,
    order: run.plan.step,
    tokens: Uint16Array.from({ length: n }, (_, i) => i),
    confidence: new Uint8Array(n).fill(127),
    pictures: ['file'],
    sheets: ['file'],
    elapsed: 2,
    passes: 4,
    request,
    verdict: null,
    again: false,
  };
  return frozen(store.withFinalsOf(frozen(store.withEndOf(s, message)), run.id, [{ final: run.id }]));
}

test('a growth from asking to its end', () => {
  const { next, start } = store.started(ready(), { id: 'a', samples: 1, title: 'owl' });
  assert.deepEqual([next.phase, next.playing, next.step, next.lanes], ['waiting', true, 0, ['a']]);
  assert.deepEqual(start, { run: 'a', seedPosition: [0, 2, 2], file: undefined });
  const half = grown(frozen(next), 1, 3);
  const run = store.activeRun(half);
  assert.deepEqual([half.phase, run.last, run.state], ['growing', 3, 'growing']);
  assert.equal(run.tokens[run.plan.cells[3][0]], run.plan.cells[3][0]);
  assert.equal(run.tokens[run.plan.cells[4][0]], UNKNOWN_TOKEN);
  const end = finished(half);
  assert.deepEqual([end.phase, end.active, store.currentRun(end).last], ['done', null, 5]);
  assert.equal(end.pace.picture, 2 / 5);
});

test('how long it still takes is told by the steps that have come, not by what was read before them', () => {
  const left = (s) => statusText(s).match(/about (.*) left/)?.[1];
  const late = (from, to) => (s) => {
    const told = steps(s, from, to);
    for (const frame of told.frames) frame.elapsed += 60; // what is given was read first
    return store.withSheetOf(store.withStepsOf(s, told), s.active, to, {});
  };
  const one = late(1, 1)(begun(ready()));
  assert.equal(left(one), undefined);
  assert.equal(left(late(2, 3)(one)), '0.2 s'); // two steps of a tenth of a second
});

test('as many pictures grow as the server says', () => {
  const s = begun(ready());
  const message = steps(frozen({ ...s, runs: { a: { ...s.runs.a, samples: 3 } } }), 1, 2);
  const growing = frozen(store.withStepsOf(s, message));
  const run = store.activeRun(growing);
  assert.deepEqual([run.samples, run.tokens.length, run.confidence.length], [3, 48, 48]);
  assert.equal(run.tokens[32 + run.plan.cells[2][0]], run.plan.cells[2][0]);
});

test('while it grows nothing else can be started or chosen', () => {
  const s = begun(ready());
  assert.deepEqual(store.started(s, { id: 'b', samples: 1, title: '' }), { next: s });
  assert.equal(store.withSeedPosition(s, [0, 0, 0]), s);
  assert.equal(store.laneOpened(s, 0), s);
  assert.equal(store.canBranch(s), false);
});

test('playing shows a step only when it has come', () => {
  let s = grown(begun(ready()), 1, 2);
  s = store.advanced(s);
  s = store.advanced(s);
  assert.equal(s.step, 2);
  assert.equal(store.advanced(s), s);
  s = finished(frozen(s));
  s = store.advanced(store.advanced(store.advanced(s)));
  assert.deepEqual([s.step, store.ended(s).playing], [5, false]);
  assert.equal(store.played(store.ended(s), true).step, 0);
});

test('a growth is played in the same time however often the page is painted', () => {
  const whole = { ...finished(grown(begun(ready()), 1, 5)), step: 0 };
  for (const frame of [16, 300]) {
    let [s, due, now] = [whole, 1000, 1000];
    while (s.step < 5) {
      ({ next: s, due } = store.caughtUp(s, due, now));
      now += frame;
    }
    assert.ok(now - 1000 <= 4 * 130 + 2 * frame, `${now}`);
    assert.ok(now - 1000 >= 4 * 130);
  }
  // a step that comes late is shown at once, and those after it are not hurried for it
  const late = store.caughtUp(grown(begun(ready()), 1, 2), 1000, 5000);
  assert.deepEqual([late.next.step, late.due], [2, 5000]);
  const slow = { ...whole, speed: 0.5 };
  assert.equal(store.stepTime(slow), 2 * store.stepTime(whole));
});

test('with reduced motion the last step is shown at once', () => {
  const s = grown(begun(frozen({ ...ready(), calm: true })), 1, 3);
  assert.equal(s.step, 3);
  assert.equal(finished(s).step, 5);
});

test('stopping keeps what grew; with nothing grown it is as before', () => {
  const half = store.settled(grown(begun(ready()), 1, 2));
  assert.deepEqual([half.phase, half.active, store.currentRun(half).state], ['done', null, 'stopped']);
  // a picture that comes late does not move the end, and stopping behind what has come cuts it off
  assert.equal(store.withSheetOf(half, half.current, 5, { sheet: 5 }).runs[half.current].last, half.step);
  const behind = store.settled({ ...grown(begun(ready()), 1, 4), step: 2 });
  assert.deepEqual([behind.runs[behind.current].last, behind.step], [2, 2]);
  const home = store.settled(begun(ready()));
  assert.deepEqual([home.phase, home.current, home.lanes], ['ready', null, []]);
  const done = finished(grown(begun(ready()), 1, 5));
  const back = store.settled(begun(done, { id: 'b' }));
  assert.deepEqual([back.phase, back.current, back.step], ['done', 'a', 5]);
  assert.equal(store.currentRun(back).finals.length, 1);
});

test('a clip that goes on, a part of a board and another start leave what was there where nothing grows', () => {
  const clip = clipSpec(4, 2);
  const first = { image: {}, address: 'data:,', tokens: null, before: null };
  const given = frozen({ ...store.withFirstSlices(ready('video', clip), first, 1), likeness: 'known' });
  const whole = finished(grown(begun(given), 1, 5));
  const before = Uint16Array.from({ length: 64 }, (_, i) => i);
  const further = store.withFirstSlices(whole, { image: {}, tokens: null, before }, 3, [{ run: {} }]);
  const back = store.settled(begun(frozen(further), { id: 'b', before: whole }));
  assert.deepEqual([back.phase, back.current, back.source, back.likeness], ['done', 'a', first, 'known']);
  assert.deepEqual([back.earlier, back.region, back.active], [[], whole.region, null]);

  const grownBoard = finished(grown(begun(frozen(store.pulled(outpainting(), 'right', 2))), 1, 4));
  const asking = store.asking(grownBoard);
  assert.notEqual(asking.board, grownBoard.board);
  const left = store.settled(begun(frozen(asking), { id: 'b', before: grownBoard, given: first }));
  assert.deepEqual([left.phase, left.current], ['done', 'a']);
  assert.deepEqual([left.board, left.past, left.window], [grownBoard.board, grownBoard.past, grownBoard.window]);

  const done = finished(grown(begun(ready()), 1, 5));
  const elsewhere = begun(frozen({ ...done, seedPosition: [0, 0, 0] }), { id: 'b', before: done });
  assert.deepEqual(store.settled(elsewhere).seedPosition, done.seedPosition);
});

test('a message of a run that is gone changes nothing', () => {
  const s = ready();
  assert.equal(store.withSheetOf(s, 'gone', 1, null), s);
  assert.equal(store.withFinalsOf(s, 'gone', []), s);
  assert.equal(store.withGuessOf(s, 'gone', 1, {}), s);
});

test('a branch keeps what was before, and its title says what was changed', () => {
  const trunk = finished(grown(begun(ready()), 1, 5));
  const marked = frozen(store.branchMarked(store.scrubbed(trunk, 3)));
  assert.equal(marked.branchFrom, 3);
  assert.equal(store.branchMarked(marked).branchFrom, 0);
  const { next, start } = store.started(marked, { id: 'b', samples: 4, title: 'fox' });
  assert.deepEqual([start.resume.step, start.resume.samples, next.lanes, next.step], [3, 1, ['a', 'b'], 3]);
  const run = store.activeRun(next);
  const kept = [...run.plan.step].map((step, i) => (step <= 3 ? i : UNKNOWN_TOKEN));
  assert.deepEqual([...run.tokens], kept);
  const end = finished(grown(frozen(next), 4, 5), { ...asked, guidance_scale: 6, heads: 'vertical' });
  assert.equal(store.currentRun(end).title, 'vertical, guidance scale 6');
  assert.equal(store.laneOpened(end, 0).current, 'a');
  const stopped = store.settled(store.started(marked, { id: 'c', samples: 1, title: '' }).next);
  assert.deepEqual([stopped.current, stopped.step, stopped.lanes], ['a', 3, ['a']]);
});

test('another model leaves nothing of what was grown', () => {
  const s = store.withModel(finished(grown(begun(ready()), 1, 5)), pictureSpec(8, { model: 'other' }), [0, 1, 1]);
  assert.deepEqual([s.phase, s.current, s.seedPosition, s.spec.model], ['ready', null, [0, 1, 1], 'other']);
});

test('an illegal start is refused, an empty one said', () => {
  const s = frozen({ ...ready('image', cornerSpec(4)), seedPosition: [0, 2, 2] });
  assert.equal(store.started(s, { id: 'a', samples: 1, title: '' }).start, undefined);
  const outpaint = ready('outpaint');
  assert.match(store.started(outpaint, { id: 'a', samples: 1, title: '' }).say, /Choose a picture/);
  let kept = store.withSource(outpaint, { image: {}, address: 'data:,', tokens: null, before: null });
  kept = store.edited({ ...kept, tool: 'keep' }, [0, 0], [3, 3]);
  assert.match(store.started(kept, { id: 'a', samples: 1, title: '' }).say, /Everything is kept/);
});

const given = { image: { photo: 1 }, address: 'data:,', tokens: null, before: null };
const outpainting = (more = {}) => frozen({ ...store.withSource(ready('outpaint'), given), ...more });

test('a picture grows to both sides, window by window, and is undone as one', () => {
  let s = outpainting();
  assert.deepEqual(extentOf(s.board), { top: 0, left: 0, bottom: 4, right: 4 });
  assert.deepEqual(s.board.wanted, { top: 0, left: -2, bottom: 4, right: 6 });
  const { next, start } = store.started(s, { id: 'a', samples: 1, title: '', given });
  assert.deepEqual([...start.given.keep.subarray(0, 4)], [0, 0, 1, 1]);
  s = finished(grown(frozen(next), 1, 4));
  assert.deepEqual(extentOf(s.board), { top: 0, left: -2, bottom: 4, right: 4 });
  assert.ok(store.goesOn(s));
  s = begun(s, { id: 'b', goesOn: true });
  s = finished(grown(s, 1, 4));
  assert.deepEqual(extentOf(s.board), { top: 0, left: -2, bottom: 4, right: 6 });
  assert.deepEqual([store.goesOn(s), s.board.wanted, s.past.length], [false, null, 1]);
  const before = frozen(store.undone(s));
  assert.deepEqual([before.phase, before.board.pieces.length, before.past.length], ['ready', 1, 0]);
  // asked for nothing new, it grows the same again; asked for nothing at all, half a grid more
  assert.deepEqual(store.asking(s).board.wanted, { top: 0, left: -2, bottom: 4, right: 6 });
  assert.equal(store.asking(s).board.pieces.length, 1);
  assert.deepEqual(store.asking(before).board.wanted, { top: 0, left: -2, bottom: 4, right: 6 });
});

test('an edge is pulled, and a stop leaves what is there', () => {
  let s = frozen(store.pulled(outpainting(), 'bottom', 1));
  assert.deepEqual(s.board.wanted, { top: 0, left: 0, bottom: 5, right: 4 });
  assert.deepEqual(s.window, [1, 0]);
  assert.deepEqual(store.pulled(s, 'bottom', 0).board.wanted, null);
  s = begun(s);
  assert.equal(store.pulled(s, 'left', 2), s); // not while it grows
  const stopped = frozen(store.settled(s));
  assert.deepEqual([stopped.phase, stopped.board.pieces.length, store.goesOn(stopped)], ['ready', 1, true]);
  assert.equal(store.withModel(s, pictureSpec(8)).board, null);
});

test('tools: keep a rectangle, erase with a brush, move the start', () => {
  let s = frozen(store.edited(store.strokeBegun(outpainting({ tool: 'keep' })), [2, 3], [0, 1]));
  assert.deepEqual(s.region.rectangle, { top: 0, left: 1, bottom: 3, right: 4 });
  assert.deepEqual([...s.region.keep], [0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0]);
  assert.deepEqual(s.seedPosition, [0, 1, 2]);
  s = frozen(store.editedByKey(s, [1, 0], false));
  assert.deepEqual(s.region.rectangle, { top: 1, left: 1, bottom: 4, right: 4 });
  const lost = (state) => state.region.keep.filter((k) => !k).length;
  s = frozen(store.undone(s));
  assert.equal(lost(s), 0);
  s = frozen(store.edited(store.strokeBegun({ ...s, tool: 'erase' }), [0, 0], [0, 0]));
  assert.equal(lost(s), 4);
  s = frozen(store.edited(s, [0, 0], [0, 2])); // the stroke goes on where it was
  assert.equal(lost(s), 8);
  assert.equal(lost(store.undone(s)), 0);
  assert.deepEqual(store.edited({ ...s, tool: 'start' }, [1, 1], [1, 2]).seedPosition, [0, 1, 2]);
  s = frozen(store.erasedAtCursor(store.editedByKey(s, [1, 0], false)));
  assert.equal(lost(s), 10);
});

test('one of the alternatives for a hole takes its place', () => {
  const s = frozen(store.edited(store.strokeBegun(outpainting()), [1, 1], [1, 1]));
  const { next, start } = store.started(s, { id: 'a', samples: 2, title: '', given });
  assert.equal(start.given.keep.filter((k) => !k).length, 4);
  const message = { kind: 'done', run: 'a', order: next.runs.a.plan.step, confidence: new Uint8Array(32) };
  const tokens = Uint16Array.from({ length: 32 }, (_, i) => i);
  const end = store.withEndOf(next, {
    ...message,
    tokens,
    pictures: ['x', 'y'],
    elapsed: 1,
    passes: 1,
    request: asked,
  });
  const done = frozen(store.withFinalsOf(end, 'a', [{ final: 0 }, { final: 1 }]));
  assert.deepEqual([done.board.hole.size, done.board.pieces.at(-1).tokens[5]], [0, 5]);
  const other = frozen(store.withSample(done, 1));
  assert.deepEqual([other.board.pieces.length, other.board.pieces.at(-1).tokens[5]], [2, 21]);
  assert.deepEqual(other.board.pieces.at(-1).image, { final: 1 });
});

test('what was given is read', () => {
  const tokens = new Uint16Array(16).fill(3);
  const s = frozen({ ...outpainting(), reading: 'r', past: [outpainting().board] });
  assert.equal(store.withReading(s, { run: 'other', tokens, text: '' }), s);
  const read = store.withReading(s, { run: 'r', tokens, text: 'known' });
  assert.deepEqual([read.reading, read.likeness], ['', 'known']);
  assert.deepEqual(
    [read.board, read.past[0]].map((board) => board.pieces[0].tokens[0]),
    [3, 3],
  );
});

test('a clip that goes on begins with the tokens of the one before', () => {
  const clip = clipSpec(4, 2);
  const before = Uint16Array.from({ length: 16 }, (_, i) => i);
  const earlier = [{ picture: 'file', image: {}, run: {} }];
  const s = store.withFirstSlices(ready('video', clip), { image: {}, tokens: null, before }, 3, earlier);
  const { next, start } = store.started(s, { id: 'a', samples: 1, title: '' });
  assert.equal(start.given.before, before);
  assert.equal(start.given.keep.filter((k) => k).length, 12);
  assert.deepEqual(start.seedPosition, [1, 1, 1]); // amid what is kept, as the library has it
  assert.equal(store.activeRun(next).earlier, earlier);
  assert.deepEqual(store.withoutSource(s).earlier, []);
});

test('clips grow side by side and then move, until someone has chosen', () => {
  const s = ready('video', clipSpec(4, 2));
  const growing = grown(begun(s), 1, 5);
  assert.equal(growing.layout, 'slices');
  const still = store.ended(frozen({ ...finished(growing), step: 5 }));
  assert.deepEqual([still.playing, still.layout], [false, 'loop']);
  assert.equal(store.played(still, true).layout, 'slices');
  const chosen = store.withLayout(s, 'slices');
  assert.equal(store.ended({ ...finished(grown(begun(chosen), 1, 5)), step: 5 }).layout, 'slices');
});

test('frames follow the tick, or stop at the last', () => {
  const s = { ...ready('video', clipSpec(4, 2)), tick: 11 };
  assert.deepEqual(store.shownSlices(s, s.spec), { slices: [0, 1, 2, 3], frames: [1, 3, 5, 7] });
  const loop = { ...s, layout: 'loop' };
  assert.deepEqual(store.shownSlices(loop, s.spec), { slices: [1], frames: [3] });
  assert.deepEqual(store.shownSlices({ ...loop, repeat: false }, s.spec), { slices: [3], frames: [7] });
});

test('a file is replayed from its first step and can be branched if it can be made again', () => {
  const plan = store.planned(ready()).plan;
  const message = {
    kind: 'replay',
    run: 'r',
    spec,
    title: 'old',
    sample: 2,
    order: plan.step,
    tokens: new Uint16Array(16),
    confidence: new Uint8Array(16),
    pictures: ['file'],
    request: asked,
    verdict: null,
  };
  for (const again of [true, false]) {
    let s = store.replayed(ready(), { ...message, again });
    assert.deepEqual([s.step, s.playing, s.phase, store.currentRun(s).title], [0, true, 'done', 'old']);
    s = store.withFinalsOf(s, 'r', [{}]);
    assert.equal(store.canBranch(store.scrubbed(s, 2)), again);
    // made again, it is the one of several that the file shows
    assert.equal(begun(s, { id: 'b', file: 'file', samples: 3 }).sample, 2);
  }
});
