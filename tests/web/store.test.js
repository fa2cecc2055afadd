import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guessAt, hasStep, imageAt } from '../../app/web/run.js';
import * as store from '../../app/web/store.js';
import { extentOf, middleOf, movedRectangle } from '../../app/web/tools/board.js';
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
  assert.ok(store.ended({ ...s, step: 4 }).playing);
  assert.equal(store.played(store.ended(s), true).step, 0);
  assert.equal(store.played(store.scrubbed(s, 3), true).step, 3); // from the end alone it begins anew
  const growing = { ...grown(begun(ready()), 1, 2), step: 2 };
  assert.equal(store.played(growing, true).step, 2); // what is still to come follows
  assert.deepEqual([store.scrubbed(s, -1).step, store.scrubbed(s, 9).step], [1, 5]); // step 0 is what was given
  const speeds = [1, 2, 0.5];
  assert.deepEqual(
    speeds.map((speed) => store.faster({ ...s, speed }).speed),
    [2, 0.5, 1],
  );
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
  const elsewhere = store.started({ ...marked, seedPosition: [0, 0, 0] }, { id: 'b', samples: 1, title: '' });
  assert.deepEqual(elsewhere.start.seedPosition, [0, 2, 2]); // it goes on from where its trunk began
  const run = store.activeRun(next);
  const kept = [...run.plan.step].map((step, i) => (step <= 3 ? i : UNKNOWN_TOKEN));
  assert.deepEqual([...run.tokens], kept);
  const end = finished(grown(frozen(next), 4, 5), { ...asked, guidance_scale: 6, heads: 'vertical' });
  assert.equal(store.currentRun(end).title, 'vertical, guidance scale 6');
  assert.equal(end.pace.picture, 2 / 2); // of the steps that it took, not of those it kept
  assert.equal(store.laneOpened(end, 0).current, 'a');
  const stopped = store.settled(store.started(marked, { id: 'c', samples: 1, title: '' }).next);
  assert.deepEqual([stopped.current, stopped.step, stopped.lanes], ['a', 3, ['a']]);
});

test('what is drawn at a step: the latest preview up to it, of a branch at first the whole it left', () => {
  const half = grown(begun(ready(), { samples: 2 }), 1, 3);
  const run = store.withGuessOf(half, 'a', 2, { guess: 2 }).runs.a;
  assert.deepEqual(imageAt(run, 0, 0), { image: null, row: 0 });
  assert.deepEqual(imageAt(run, 2, 1), { image: { sheet: 2 }, row: 1 });
  assert.deepEqual(imageAt(run, 4, 0), { image: { sheet: 3 }, row: 0 });
  assert.deepEqual(imageAt({ ...run, given: { image: 'given' } }, 0, 1), { image: 'given', row: 0 });
  assert.deepEqual(
    [3, 4].map((step) => hasStep(run, step)),
    [true, false],
  );
  assert.deepEqual(
    [1, 2, 4, 5].map((step) => guessAt(run, step)),
    [null, 2, 2, null],
  );
  const done = finished(half);
  const marked = store.branchMarked(store.scrubbed(done, 2));
  const branch = begun(frozen(marked), { id: 'b' }).runs.b;
  assert.deepEqual([branch.last, branch.from, branch.early], [2, 2, [{ final: 'a' }]]);
  assert.deepEqual(
    [...branch.confidence].slice(0, 3),
    [...done.runs.a.confidence].slice(0, 3).map((x, i) => (branch.plan.step[i] > 2 ? 255 : x)),
  );
  assert.deepEqual(imageAt(branch, 2, 0), { image: { final: 'a' }, row: 0 });
  assert.deepEqual(imageAt(branch, 3, 0), { image: null, row: 0 });
  assert.deepEqual(
    [2, 3].map((step) => hasStep(branch, step)),
    [true, false],
  );
  assert.equal(store.withSheetOf(done, 'a', 2, {}).runs.a, done.runs.a); // too late for a preview
  // of one that was stopped it has the previews, and what was given to both
  const stopped = store.settled(
    frozen({ ...half, runs: { a: { ...half.runs.a, given: { image: 'given' } } }, step: 3 }),
  );
  const further = begun(frozen(store.branchMarked(store.scrubbed(stopped, 2))), { id: 'c' }).runs.c;
  assert.deepEqual(imageAt(further, 2, 1), { image: { sheet: 2 }, row: 1 });
  assert.deepEqual([...further.sheets.keys()], [1, 2]);
  assert.equal(imageAt(further, 0, 0).image, 'given');
  const holistic = { ...run, spec: { ...spec, accepts_known: false } };
  assert.deepEqual([imageAt(holistic, 4, 0).image, hasStep(holistic, 3), hasStep(holistic, 4)], [null, true, false]);
  const whole = { ...holistic, finals: ['first', 'second'] };
  assert.deepEqual([imageAt(whole, 4, 1).image, imageAt(whole, 5, 1).image], [null, 'second']);
});

test('a growth of before is opened at its end, and choosing a start leaves it', () => {
  const done = finished(grown(begun(ready(), { samples: 2 }), 1, 5));
  const other = frozen({ ...done, sample: 1, moving: true, branchFrom: 2 });
  const opened = store.opened(other, done.runs.a);
  assert.deepEqual([opened.step, opened.sample, opened.branchFrom, opened.moving], [5, 0, 0, false]);
  assert.deepEqual([opened.phase, opened.lanes], ['done', ['a']]);
  const home = store.home(other);
  assert.deepEqual([home.step, home.sample, home.branchFrom, home.moving, home.current], [0, 0, 0, false, null]);
  assert.deepEqual([ready().opening, ready('video', clipSpec(2, 2)).opening], [true, false]);
  const chosen = store.withSeedPosition(frozen({ ...ready(), hover: [0, 1, 1] }), [0, 9, -1]);
  assert.deepEqual([chosen.seedPosition, chosen.hover, chosen.opening], [[0, 3, 0], null, false]);
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
  assert.deepEqual(store.edited({ ...s, tool: 'start' }, [1, 1], [2, 3]).seedPosition, [0, 1, 3]);
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
  const start = { ...s, tool: 'start' };
  assert.deepEqual(store.edited(start, [1, 1], [1, 2]).seedPosition, [0, 1, 2]);
  assert.deepEqual(store.edited(start, [1, 1], [9, -9]).seedPosition, [0, 3, 0]);
  assert.deepEqual(store.editedByKey(start, [9, 9], false).seedPosition, [0, 3, 3]);
  s = frozen(store.erasedAtCursor(store.editedByKey(s, [1, 0], false)));
  assert.equal(lost(s), 10);
  // to keep a rectangle begins with the middle half, and none of it is done while it grows
  const kept = store.withTool(s, 'keep');
  assert.deepEqual([kept.tool, kept.region.rectangle], ['keep', { top: 1, left: 1, bottom: 3, right: 3 }]);
  const moved = store.editedByKey(kept, [1, 0], false);
  assert.equal(store.withTool(moved, 'keep').region.rectangle, moved.region.rectangle);
  const cursors = [-9, 9].map((by) => store.editedByKey(s, [by, by], false).region.cursor);
  assert.deepEqual(cursors, [
    [0, 0],
    [3, 3],
  ]);
  assert.equal(store.withTool(s, 'start').tool, 'start');
  const growing = frozen({ ...s, phase: 'growing' });
  assert.equal(store.withTool(growing, 'keep'), growing);
  assert.equal(store.edited(growing, [0, 0], [0, 0]), growing);
  assert.equal(store.editedByKey(growing, [1, 0], false), growing);
  assert.equal(store.erasedAtCursor(growing), growing);
});

test('a kept rectangle of a wide board is its middle, and is moved and resized within it', () => {
  const wide = { ...outpainting().board, wanted: null };
  const pieces = [wide.pieces[0], { ...wide.pieces[0], at: [0, 4] }];
  const board = { ...wide, pieces };
  assert.deepEqual(extentOf(board), { top: 0, left: 0, bottom: 4, right: 8 });
  const middle = middleOf(board);
  assert.deepEqual(middle, { top: 1, left: 2, bottom: 3, right: 6 });
  assert.deepEqual(movedRectangle(board, middle, [1, 1], true), { ...middle, bottom: 4, right: 7 });
  assert.deepEqual(movedRectangle(board, middle, [9, -9], true), { ...middle, bottom: 4, right: 3 });
  assert.deepEqual(movedRectangle(board, middle, [1, 2], false), { top: 2, left: 4, bottom: 4, right: 8 });
  assert.equal(movedRectangle(board, middle, [0, 3], false), middle);
});

test('what is asked for already is asked for again, and corners grow two ways', () => {
  const s = frozen(store.pulled(outpainting(), 'bottom', 1));
  assert.equal(store.asking(s), s);
  assert.deepEqual(store.sidesOf(spec), ['left', 'top', 'right', 'bottom']);
  assert.deepEqual(store.sidesOf(cornerSpec(4)), ['right', 'bottom']);
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
  const first = store.withFirstSlices(ready('video', clipSpec(4, 2)), { ...given, image: {} }, 1);
  const known = store.withReading(frozen({ ...first, reading: 'r' }), { run: 'r', tokens, text: 'known' });
  assert.deepEqual([known.board, known.reading, known.likeness], [null, '', 'known']);
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
