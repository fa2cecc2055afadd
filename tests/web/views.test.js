import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as lab from '../../app/web/lab-store.js';
import { makePlan } from '../../app/web/plan.js';
import { branchOf, changesOf, leftOf, nameOf, newRun, variationAfter } from '../../app/web/run.js';
import * as store from '../../app/web/store.js';
import * as boards from '../../app/web/tools/board.js';
import { allFrames, isClipFile, overlapOf } from '../../app/web/tools/clip.js';
import { listed, tooLong } from '../../app/web/tools/letters.js';
import { canExtend } from '../../app/web/tools/region.js';
import { fileStem, offeredFor } from '../../app/web/views/actions.js';
import { labelOf } from '../../app/web/views/canvas.js';
import { cutOf } from '../../app/web/views/crop.js';
import { share } from '../../app/web/views/dom.js';
import { factsOf } from '../../app/web/views/facts.js';
import { boardPlace, inkOn } from '../../app/web/views/grid.js';
import { momentOf, statusText as statusOfLab } from '../../app/web/views/lab.js';
import { aimText, explanationOf, mapText } from '../../app/web/views/microscope.js';
import { marked, matching, replacedWord, wordsOf } from '../../app/web/views/names.js';
import { placeOf } from '../../app/web/views/starts.js';
import { hintsOf, statusText } from '../../app/web/views/status.js';
import { lanesOf, scaleOf } from '../../app/web/views/timeline.js';
import { tipOf } from '../../app/web/views/tip.js';
import { clipSpec, cornerSpec, pictureSpec } from './specs.js';

const spec = pictureSpec(16);

test('the status says how many steps a start would take', () => {
  const s = store.initial('image', spec);
  assert.equal(statusText(s), '17 steps from here; <em>31 from the corner</em>');
  assert.equal(statusText({ ...s, hover: [0, 0, 0] }), '31 steps from here');
  assert.match(statusText({ ...s, spec: cornerSpec(16), note: '' }), /corner cannot start here; row 1, column 1/);
  const clip = clipSpec(2, 4, { directions: ['+w', '+h', '+t'], seed_positions: 'corner' });
  assert.match(statusText(store.initial('video', clip)), /slice 1, row 1, column 1 is possible/);
  assert.equal(statusText({ ...s, note: '<b>' }), '&lt;b&gt;');
  assert.match(statusText(store.initial('outpaint', spec)), /^Choose a picture/);
});

test('while a growth is awaited it is said who is before it, and where the server does not answer', () => {
  const run = newRun('a', makePlan(spec, [0, 8, 8]), 1);
  const s = { ...store.initial('image', spec), phase: 'waiting', runs: { a: run }, current: 'a', active: 'a' };
  assert.equal(statusText(s), 'Starting');
  assert.match(statusText(store.withPlace(s, { ahead: 2, seconds: 3 })), /^2 ahead of you/);
  const silent = store.withPlace(s, null);
  assert.equal(statusText(silent), 'The server does not answer');
  assert.equal(statusText(store.withPlace(silent, { ahead: 0, seconds: 0 })), 'Starting');
  const growing = { ...silent, phase: 'growing', step: 3 };
  assert.equal(statusText(growing), 'Step 3 of 17 <span>the server does not answer</span>');
});

test('hints are the keys that do something now', () => {
  const keys = (s) => hintsOf(s).map(([key]) => key);
  assert.deepEqual(keys(store.initial('image', spec)), ['↑ ↓ ← →', 'Enter', '1 – 4']);
  assert.deepEqual(keys(store.initial('outpaint', spec)), []);
  // a model of one corner has no other start to move to
  assert.deepEqual(keys(store.initial('image', cornerSpec(16))), ['Enter', '1 – 4']);
});

test('a branch that is marked names what is pressed next as its button does', () => {
  const run = newRun('a', makePlan(spec, [0, 8, 8]), 1, { last: 17 });
  const s = { ...store.initial('image', spec), phase: 'done', runs: { a: run }, current: 'a', step: 9, branchFrom: 9 };
  assert.equal(statusText(s), 'Continue from step 9 <span>change anything first</span>');
});

test('facts and chart of a plan', () => {
  const s = store.initial('image', spec);
  assert.deepEqual(factsOf(s), [
    ['Grid', '16 × 16'],
    ['Widest front', 30],
  ]);
  assert.deepEqual(factsOf({ ...s, pace: { picture: 0.1 } })[2], ['Estimate', '1.7 s']);
  const { axis, each } = scaleOf(s, 310);
  assert.deepEqual([axis, each], [31, 10]);
  // before the first step there is no front: what is told is what was given, or how many steps come
  const keep = Uint8Array.from({ length: 256 }, (_, i) => (i < 64 ? 1 : 0));
  for (const [known, expected] of [
    [keep, ['Given', '64 tokens']],
    [null, ['Steps', 17]],
  ]) {
    const run = newRun('a', makePlan(spec, [0, 8, 8], known), 1);
    assert.deepEqual(factsOf({ ...s, phase: 'waiting', runs: { a: run }, current: 'a' })[0], expected);
  }
});

test('the tip names who a cell hears', () => {
  const run = newRun('a', makePlan(spec, [0, 8, 8]), 1);
  const s = { ...store.initial('image', spec), phase: 'done', step: 17 };
  assert.match(tipOf(s, run, [0, 11, 6]), /Row 12, column 7.*horizontal \+ vertical<\/b>2 senders/s);
  assert.match(tipOf(s, run, [0, 8, 8]), /condition/);
  assert.doesNotMatch(tipOf(s, run, [0, 8, 8]), /Token<|Probability/);
});

test('what is offered for a result', () => {
  const s = store.initial('image', spec);
  const request = { seed_position: [0, 8, 8] };
  const run = newRun('a', makePlan(spec, [0, 8, 8]), 1, { request, pictures: ['p'] });
  const on = (offered) => Object.keys(offered).filter((name) => offered[name]);
  assert.deepEqual(on(offeredFor(s, null)), []);
  assert.deepEqual(on(offeredFor(s, run)), ['save', 'growth', 'tall', 'link', 'send']);
  assert.deepEqual(on(offeredFor(s, { ...run, replayed: true, again: true })), [
    'save',
    'growth',
    'tall',
    'again',
    'send',
  ]);
  const clip = clipSpec(4, 8);
  const moving = newRun('b', makePlan(clip, clip.seed_position), 1, { request, pictures: ['p'] });
  assert.deepEqual(on(offeredFor(store.initial('video', clip), moving)), ['save', 'mp4', 'extend', 'link']);
});

test('file names', () => {
  assert.equal(fileStem(' Red apple! '), 'red-apple');
  assert.equal(fileStem('???'), 'picture');
});

test('a file that may not be handed over any more is saved, unless whoever was asked did not want it', async (t) => {
  const saved = [];
  const link = { click: () => saved.push(link.download), remove() {} };
  let refusal = '';
  const browser = {
    navigator: { canShare: () => true, share: async () => Promise.reject(new DOMException('', refusal)) },
    matchMedia: () => ({ matches: true }),
    document: { createElement: () => link, body: { append() {} } },
  };
  for (const [name, value] of Object.entries(browser)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true });
    t.after(() => (before ? Object.defineProperty(globalThis, name, before) : delete globalThis[name]));
  }
  for (refusal of ['AbortError', 'NotAllowedError']) await share('data:image/gif;base64,R0lG', `${refusal}.gif`);
  assert.deepEqual(saved, ['NotAllowedError.gif']);
});

test('names that may be meant', () => {
  const names = ['green pear', 'red apple', 'pear', 'fox'];
  assert.deepEqual(matching(names, 'pear'), ['pear', 'green pear']);
  assert.deepEqual(matching(names, 'a red car'), ['red apple']);
  assert.deepEqual(matching(names, 'submarine'), []);
});

test('variations count up by the pictures of a growth, and begin anew after the last', () => {
  assert.equal(variationAfter(7, 3), 10);
  assert.equal(variationAfter(2 ** 32 - 2, 4), 2);
});

test('a word is replaced as it was typed', () => {
  assert.equal(replacedWord('a Submarine, red', 'submarine', 'boat'), 'a boat, red');
  assert.equal(replacedWord('carpet and car', 'car', 'bus'), 'carpet and bus');
  assert.equal(replacedWord('c++ (red)', 'c++', '$& sea'), '$& sea (red)');
});

test('the usual places', () => {
  assert.deepEqual(placeOf(clipSpec(5, 8), 'centre'), [2, 4, 4]);
  assert.deepEqual(placeOf(spec, 'edge'), [0, 0, 8]);
});

test('a branch says how it differs', () => {
  const before = { prompt: 'owl', heads: 'mixed', fusion: 'logits', rng_seed: 7 };
  assert.equal(changesOf(before, before), 'the same again');
  assert.equal(changesOf(before, { ...before, prompt: 'fox', rng_seed: 8 }), '');
  assert.equal(changesOf(before, { ...before, fusion: 'freshest', rng_seed: 8 }), 'fusion freshest, variation 8');
});

test('a file of a clip is known by how it begins', () => {
  const chunk = (/** @type {string} */ name, /** @type {number} */ size) =>
    `\0\0\0${String.fromCharCode(size)}${name}${'x'.repeat(size + 4)}`;
  const png = (/** @type {string[]} */ ...names) => `\x89PNG\r\n\x1a\n${names.map((name) => chunk(name, 7)).join('')}`;
  const bytes = (/** @type {string} */ text) => Uint8Array.from(text, (c) => c.charCodeAt(0));
  assert.ok(isClipFile(bytes('\0\0\0\x10ftypmp42')));
  assert.ok(isClipFile(bytes(png('IHDR', 'zTXt', 'acTL', 'IDAT'))));
  assert.ok(!isClipFile(bytes(png('IHDR', 'IDAT', 'acTL'))));
  const other = png('IHDR', 'acTL').replace('PNG', 'MNG');
  for (const odd of ['', 'GIF89a', '\x89PNG', png('IHDR').slice(0, 30), other]) assert.ok(!isClipFile(bytes(odd)), odd);
});

test('a branch is called after what it left, wherever its tree is not seen', () => {
  const trunk = newRun('a', makePlan(spec, [0, 8, 8]), 1, { title: 'an owl' });
  const branch = { ...branchOf(trunk, 'b', 5), title: 'variation 9' };
  const twig = { ...branchOf(branch, 'c', 7), title: 'mixed' };
  const tree = [trunk, branch, twig];
  assert.deepEqual([leftOf(trunk, tree), nameOf(trunk, tree)], ['', 'an owl']);
  assert.equal(leftOf(branch, tree), 'step 5 of an owl');
  assert.equal(nameOf(twig, tree), 'mixed, from step 7 of an owl');
  assert.equal(fileStem(nameOf(branch, tree)), 'variation-9-from-step-5-of-an-owl');
});

test('a prompt that is too long is told by its letters, one of several by its number', () => {
  const short = { ...spec, longest_prompt: 4 };
  assert.equal(tooLong('äöü🦊', short), '');
  assert.equal(tooLong('äöü🦊!', short), 'The prompt has 5 letters, 1 too many: shorten it.');
  assert.match(tooLong('fox\nowl\nzebras', short, true), /^Prompt 3 has 6 letters/);
  const several = 'Prompts 1, 3 and 4 have more than 4 letters: shorten them.';
  assert.equal(tooLong('foxes\nowl\nzebras\nlions', short, true), several);
  assert.equal(tooLong('fox\nowl', short, true), '');
  assert.match(tooLong('a\nb\nc', short), /^The prompt has 5 letters/);
  assert.match(tooLong('zebra', short, true), /^The prompt has 5 letters/);
  assert.equal(listed([...'ab']), 'a and b');
  assert.equal(listed([...'abcde']), 'a, b, c, d and e');
  assert.equal(listed([...'abcdefg']), 'a, b, c, d, e and 2 more');
  const sets = [{ name: 'a', title: 'A', panes: [{ title: 'A', seed_position: [0, 8, 8], form: {} }] }];
  const s = lab.initial(short, sets);
  assert.match(statusOfLab(lab.asked(s, 'zebras')), /2 too many/);
  assert.equal(lab.asked(lab.asked(s, 'zebras'), 'fox').note, '');
});

test('the lab says in the words of the other pages who is before it and that the server does not answer', () => {
  const pane = { title: 'One', seed_position: [0, 2, 2], form: {} };
  const s = lab.started(lab.initial(pictureSpec(4), [{ name: 'a', title: 'A', panes: [pane, pane] }]), 'run');
  assert.equal(statusOfLab(s), 'Starting');
  assert.match(statusOfLab({ ...s, place: { ahead: 2, seconds: 3 } }), /^2 ahead of you/);
  assert.equal(statusOfLab({ ...s, news: { text: 'loading <b>', share: 0.5 } }), 'loading &lt;b&gt; <span>50 %</span>');
  assert.equal(statusOfLab({ ...s, place: null }), 'The server does not answer');
  const growing = lab.withSheetOf({ ...s, place: null }, 0, 1, null);
  assert.equal(statusOfLab(growing), '0 of 2 finished <span>the server does not answer</span>');
  // stopped, a pane says how far it has come
  const [one, other] = lab.withSheetOf(lab.withSheetOf(growing, 0, 6, null), 1, 2, null).panes;
  const stopped = lab.scrubbed(lab.ended({ ...growing, panes: [one, other] }), 6);
  assert.deepEqual([momentOf(stopped, one).step, momentOf(stopped, other).step], [6, 2]);
});

test('a word of any length is told in a few letters', () => {
  const told = marked({ text: 'w'.repeat(190), kind: 'unknown', meaning: 'owl' });
  assert.match(told, />w{32}…: not known</);
  assert.match(told, /data-word="w{190}"/);
  assert.match(marked({ text: 'zebroid', kind: 'left out', meaning: '' }), />zebroid: left out</);
});

test('a board grows where most is known, and what moves in its window is encoded anew', () => {
  const side = pictureSpec(4);
  const tokens = Uint16Array.from({ length: 16 }, (_, i) => i);
  const one = boards.boardOf(side, { image: {}, tokens, address: '', before: null });
  assert.equal(boards.nextWindow(one), null);
  assert.deepEqual(boards.tokensOf(one, boards.windowAt(one, [0, 0])), tokens);
  const wide = boards.pulled(one, 'right', 2);
  const window = boards.nextWindow(wide);
  assert.deepEqual([window.at, window.missing], [[0, 2], 8]);
  assert.deepEqual([...window.keep.subarray(0, 4)], [1, 1, 0, 0]);
  // as far as the grid is wide, one window would hold nothing that is known
  const far = boards.nextWindow(boards.pulled(one, 'right', 4));
  assert.deepEqual([far.at, far.missing], [[0, 2], 8]);
  // a token at the edge of a picture means something else in the middle: what moves is encoded anew, beside its mirror
  assert.equal(boards.tokensOf(wide, window), null);
  const mirrors = boards.mirrorsOf(wide, window.at);
  assert.deepEqual(mirrors.slice(0, 2), [
    { cell: [0, 2], from: [0, 1], flips: [false, true] },
    { cell: [0, 3], from: [0, 0], flips: [false, true] },
  ]);
  assert.equal(mirrors.length, 8);
  const above = boards.mirrorsOf(wide, [-3, 0]);
  assert.deepEqual(
    [above.find(({ cell }) => cell[0] === 2 && !cell[1]), above.find(({ cell }) => cell[0] === 1 && !cell[1])],
    [
      { cell: [2, 0], from: [3, 0], flips: [true, false] },
      { cell: [1, 0], from: [3, 0], flips: [true, false] },
    ],
  );
  assert.deepEqual(boards.startIn(wide, window), [0, 2, 1]);
  const run = newRun('a', makePlan(side, [0, 2, 1]), 1, { tokens, finals: [{}], window: window.at });
  const two = boards.withPiece(wide, run, 0);
  assert.deepEqual(boards.extentOf(two), { top: 0, left: 0, bottom: 4, right: 6 });
  assert.equal(boards.withPiece(two, run, 0).pieces.length, 2);
  // below a wide picture one window is not enough: the second is between what grew and what was there
  const tall = boards.pulled(two, 'bottom', 2);
  const first = boards.nextWindow(tall);
  assert.deepEqual([first.at, first.missing], [[2, 0], 8]);
  const next = boards.nextWindow(boards.withPiece(tall, { ...run, id: 'b', window: first.at }, 0));
  assert.deepEqual([next.at, next.missing], [[2, 2], 4]);
  assert.equal(boards.tokensOf(tall, { at: [9, 9], keep: new Uint8Array(16), missing: 16 })[0], 65535);
  const unread = boards.pulled(boards.boardOf(side, { image: {}, tokens: null, address: '', before: null }), 'left', 1);
  assert.equal(boards.tokensOf(unread, boards.nextWindow(unread)), null);
  // no wider than eight grids
  assert.deepEqual(boards.sizeOf(boards.boundsOf(boards.pulled(one, 'left', 99))), [4, 32]);
  assert.equal(boards.reachOf(boards.pulled(one, 'top', 3), 'top'), 3);
  assert.deepEqual(boards.widened(one, ['bottom']).wanted, null);
});

test('a number on any colour has a contrast of 4.5 to 1', () => {
  const light = (x) => (x > 0.04045 ? ((x + 0.055) / 1.055) ** 2.4 : x / 12.92);
  const luminance = (rgb) => rgb.reduce((sum, x, i) => sum + [0.2126, 0.7152, 0.0722][i] * light(x / 255), 0);
  for (let i = 0; i < 4096; i++) {
    const rgb = [i >> 8, (i >> 4) & 15, i & 15].map((x) => x * 17);
    const [low, high] = [luminance(rgb), inkOn(rgb) === '#ffffff' ? 1 : 0].sort();
    assert.ok((high + 0.05) / (low + 0.05) >= 4.5, String(rgb));
  }
});

test('the cells of a board are whole pixels, and it is no flatter than half its width', () => {
  const bounds = { top: 0, left: -8, bottom: 16, right: 24 };
  const { cell, x, y, height } = boardPlace({ bounds }, 592);
  assert.deepEqual([cell, x], [16, 40]);
  assert.ok(height >= 296 && y + 16 * cell <= height);
});

test('a cut of a picture that is no square moves along its longer side', () => {
  const square = { wide: 1, tall: 1 };
  assert.deepEqual(cutOf({ wide: 200, tall: 100 }, square, 1), { left: 0.5, top: 0, width: 0.5, height: 1 });
  assert.deepEqual(cutOf({ wide: 100, tall: 400 }, square, 0.5), { left: 0, top: 0.375, width: 1, height: 0.25 });
});

test('a model of one corner goes on only to the right and down', () => {
  const able = [
    [0, -1],
    [-1, 0],
    [1, 0],
    [0, 1],
  ].filter((by) => canExtend(cornerSpec(8), by));
  assert.deepEqual(able, [
    [1, 0],
    [0, 1],
  ]);
});

test('a clip that goes on leaves out the frames it was given', () => {
  const clip = clipSpec(4, 2);
  assert.deepEqual(overlapOf(clip), { slices: 3, frames: 6 });
  const first = newRun('a', makePlan(clip, clip.seed_position), 1, { finals: ['one'] });
  const known = Uint8Array.from({ length: 16 }, (_, i) => (i < 12 ? 1 : 0));
  const earlier = [{ picture: '', image: 'one', run: first }];
  const second = newRun('b', makePlan(clip, [0, 1, 1], known), 1, { finals: ['two'], earlier });
  const frames = allFrames(second, 0);
  assert.equal(frames.length, 8 + 2);
  assert.deepEqual(frames.at(-1), { image: 'two', frame: 7 });
  const hole = known.map((k, i) => (i === 0 ? 0 : k)); // a slice of which some is new is new
  const third = newRun('c', makePlan(clip, [0, 1, 1], hole), 1, { finals: ['two'], earlier });
  assert.equal(allFrames(third, 0).length, 8 + 4);
});

test('the lab ends with the last pixels that come, of whichever pane, and knows its prompts from the end alone', () => {
  const pane = (title, seed_position) => ({ title, seed_position, form: {} });
  const sets = [{ name: 'seeds', title: 'Seeds', panes: [pane('a', [0, 0, 0]), pane('b', [0, 8, 8])] }];
  let s = lab.started(lab.initial(spec, sets), 'run');
  assert.equal(lab.totalOf(s), 31);
  assert.equal(lab.chosen(s, 'seeds'), s);
  const order = s.panes[0].run.plan.step;
  const told = { order, tokens: new Uint16Array(3 * order.length), confidence: new Uint8Array(3 * order.length) };
  s = lab.withEndOf(s, { ...told, run: 'run', pane: 0, passes: 31, elapsed: 1 });
  assert.equal(lab.samplesOf(s), 3);
  s = lab.withFinalsOf(s, 1, [{}]);
  assert.equal(s.phase, 'growing');
  s = lab.withFinalsOf(s, 0, [{}]);
  assert.deepEqual([s.phase, s.active, lab.lastOf(s)], ['done', null, 31]);
  s = lab.advanced({ ...lab.played(s, true), step: 30 });
  assert.deepEqual([s.step, s.playing], [31, false]);
  // one that is stopped before anything comes leaves this one; where there is none, all is ready again
  assert.equal(lab.ended(lab.started(s, 'next')), s);
  const first = lab.ended(lab.started(lab.initial(spec, sets), 'run'));
  assert.deepEqual([first.phase, first.active, first.before], ['ready', null, null]);
});

test('a word is what the server takes for one', () => {
  assert.deepEqual(wordsOf('A T\u2010shirt, don\u2019t ca\u00adfe\u0301 -- re\u200dd_ap'), [
    'a',
    't-shirt',
    "don't",
    'caf\u00e9',
    'red',
    'ap',
  ]);
  assert.equal(replacedWord('the \u00e9tan, a tan\u2010like tan', 'tan', 'red'), 'the \u00e9tan, a red-like tan');
});

const candidate = (token, probability) => ({ token, probability, picture: 'data:,' });
const told = {
  kind: 'explained',
  run: 'q',
  cell: [0, 3, 9],
  step: 7,
  token: 5,
  heads: [
    { direction: '+w', sender: [0, 3, 8], candidates: [candidate(5, 0.7), candidate(6, 0.3)] },
    { direction: '+h', sender: null, candidates: [candidate(6, 1)] },
  ],
  fused: [candidate(5, 0.6)],
  guided: [candidate(5, 0.8)],
  drawn_from: [candidate(5, 0.996)],
  number: 0.25,
  disagreement: 0.125,
  attention: [],
  attention_to_condition: 0.4,
};

test('an explanation names senders, and marks what was drawn', () => {
  const markup = explanationOf(told, false);
  assert.match(markup, /row 4, column 10<\/b> in step 7/);
  assert.match(markup, /→ horizontal head<\/b>for row 4, column 9/);
  assert.match(markup, /↓ vertical head<\/b>for the condition alone/);
  assert.equal(markup.match(/drawn-one/g).length, 4);
  assert.match(markup, /by the number 0.250/);
  assert.match(markup, /disagree by 0.13 nats/);
  assert.match(explanationOf(told, true), /slice 1, row 4, column 9/);
});

test('the map of disagreement is that of what is seen, and a cell takes its place', () => {
  const run = { ...newRun('a', makePlan(spec, spec.seed_position), 1, {}), pictures: ['file'] };
  const open = { ...store.initial('image', spec), phase: 'done', current: 'a', runs: { a: run }, lens: true };
  const asked = store.mapTurned({ ...open, asked: { id: 'p', run: 'a', sample: 0, cell: [0, 3, 9], told } }, 'q');
  assert.deepEqual(store.mapNow(asked), { id: 'q', run: 'a', sample: 0, values: null });
  assert.equal(store.explainedNow(asked), null);
  const values = [[[0, 0.25]]];
  const come = store.withMap(asked, { run: 'q', values });
  assert.equal(store.mapNow(come).values, values);
  assert.equal(store.withMap(asked, { run: 'b', values }), asked);
  assert.equal(store.withMap(open, { run: 'q', values }), open);
  assert.match(mapText(values), /by up to 0.25 nats/);
  assert.equal(store.mapNow({ ...come, sample: 1 }), null);
  assert.equal(store.mapNow({ ...come, lens: false }), null);
  assert.equal(store.mapTurned(come, 'r').map, null);
  assert.equal(store.mapTurned({ ...open, lens: false }, 'r').map, null);
  assert.equal(store.askedOf(come, [0, 1, 1], 'r').map, null);
  assert.equal(store.unexplained(asked, { run: 'q' }).map, null);
  assert.equal(store.unexplained(asked, { run: 'p' }).map, asked.map);
});

test('a trunk is one more stop for the keyboard only where it has branches', () => {
  const run = { ...newRun('a', makePlan(spec, spec.seed_position), 1, { title: 'owl' }), pictures: ['data:,'] };
  const s = { ...store.initial('image', spec), phase: 'done', current: 'a', runs: { a: run }, lanes: ['a'] };
  const isButton = (/** @type {string} */ markup) => /tabindex="0" role="button" aria-label="owl/.test(markup);
  assert.deepEqual(lanesOf(s, 600, 10).map(isButton), [false]);
  const branched = { ...s, runs: { a: run, b: { ...branchOf(run, 'b', 5), title: 'owl' } }, lanes: ['a', 'b'] };
  assert.deepEqual(lanesOf(branched, 600, 10).map(isButton), [true, true]);
});

test('an answer belongs to the question that was asked last, also where it is the same again', () => {
  const run = { ...newRun('a', makePlan(spec, spec.seed_position), 1, {}), pictures: ['file'] };
  const s = { ...store.initial('image', spec), phase: 'done', current: 'a', runs: { a: run } };
  assert.equal(store.lensTurned({ ...s, phase: 'growing' }).lens, false);
  const open = store.lensTurned(s);
  assert.equal(store.explainedNow(open), null);
  const asked = store.askedOf(open, [0, 3, 9], 'q');
  assert.equal(store.explainedNow(asked).told, null);
  assert.equal(store.explainedNow(store.withExplanation(asked, told)).told, told);
  const second = store.askedOf({ ...open, sample: 1 }, [0, 3, 9], 'r'); // the same cell of another picture
  assert.equal(store.withExplanation(second, told).asked.told, null);
  assert.equal(store.withExplanation(asked, { ...told, run: 'b' }), asked);
  assert.equal(store.explainedNow({ ...store.withExplanation(asked, told), sample: 1 }), null);
  assert.equal(store.unexplained(asked, { run: 'q' }).asked, null);
  assert.equal(store.unexplained(second, { run: 'q' }).asked, second.asked);
  assert.equal(store.canExplain({ ...open, spec: { ...spec, model: 'other' } }), false);
});

test('keys choose a cell of what is seen, from the one that was asked about or the start', () => {
  const run = { ...newRun('a', makePlan(spec, [0, 8, 8]), 1, {}), pictures: ['file'] };
  const s = { ...store.initial('image', spec), phase: 'done', current: 'a', runs: { a: run } };
  assert.equal(store.aimed(s, [0, 1, 0]), s); // the microscope is not open
  const open = store.lensTurned(s);
  assert.deepEqual(store.aimOf(open), [0, 8, 8]);
  const below = store.aimed(open, [0, 1, 0]);
  assert.deepEqual([store.aimNow(open), store.aimNow(below)], [null, [0, 9, 8]]);
  assert.equal(aimText(store.aimNow(below), false), 'Row 10, column 9: press Enter to see why it became what it is.');
  const asked = store.askedOf(below, [0, 9, 8], 'q');
  assert.deepEqual([store.aimNow(asked), store.aimOf(asked)], [null, [0, 9, 8]]);
  assert.deepEqual(store.aimOf(store.aimed(store.askedOf(open, [0, 0, 3], 'q'), [0, -1, 0])), [0, 0, 3]);
  const far = store.aimed(store.aimed(open, [0, 99, 0]), [0, 0, -99]);
  assert.deepEqual(store.aimNow(far), [0, 15, 0]);
  assert.equal(store.aimNow({ ...below, current: 'b' }), null);
  assert.equal(store.aimNow(store.lensTurned(below)), null);
  const labels = [store.initial('image', spec), s, open].map(labelOf);
  assert.equal(new Set(labels).size, 3);
  assert.match(labels[2], /Enter tells why/);
});

test('another token is where growth goes on from', () => {
  const n = 256;
  const plan = makePlan(spec, spec.seed_position);
  const tokens = Uint16Array.from({ length: 2 * n }, (_, i) => i);
  const grown = newRun('a', plan, 2, { tokens, confidence: new Uint8Array(2 * n).fill(9), pictures: ['x', 'y'] });
  const s = {
    ...store.initial('image', spec),
    phase: 'done',
    current: 'a',
    runs: { a: grown },
    sample: 1,
    lanes: ['a'],
  };
  const cell = 3 * 16 + 9;
  const step = plan.step[cell];
  const asked = store.askedOf(store.lensTurned(s), [0, 3, 9], 'q');
  const seen = store.withExplanation(asked, { ...told, step });
  assert.equal(store.forcedTo(s, 4), s);
  const forced = store.forcedTo(seen, 4);
  assert.deepEqual([forced.branchFrom, forced.forced], [step, { run: 'a', cell, token: 4 }]);
  const { next, start } = store.started(forced, { id: 'b', samples: 2, title: '' });
  assert.equal(start.resume.step, step);
  assert.deepEqual([start.resume.tokens[n + cell], start.resume.confidence[n + cell]], [4, 255]);
  assert.deepEqual([start.resume.tokens[cell], start.resume.confidence[cell]], [cell, 9]);
  assert.deepEqual([next.runs.b.isForced, next.forced, next.branchFrom], [true, null, 0]);
  const last = { ...told, step: plan.total };
  assert.equal(store.canForce(store.withExplanation(asked, last)), false);
  assert.match(explanationOf(told, false, true), /data-token="6"/);
  assert.doesNotMatch(explanationOf(told, false, true), /data-token="5"/);
  assert.doesNotMatch(explanationOf(told, false), /data-token/);
});

test('the values of a setting can be others, and what was measured is a table', () => {
  const pane = (x) => ({ title: `Guidance ${x}`, seed_position: [0, 8, 8], form: { guidance_scale: x } });
  const sets = [
    { name: 'guidance', title: 'Guidance', setting: 'guidance_scale', panes: [1, 2].map(pane) },
    { name: 'seeds', title: 'Start', panes: [pane(1), pane(2)] },
  ];
  let s = lab.initial(spec, sets);
  assert.equal(lab.typedValues(s), '1, 2');
  s = lab.valued(s, '1.5, 3; 4 , x 7.25 8');
  assert.deepEqual(s.values, ['1.5', '3', '4', '7.25', '8']);
  assert.deepEqual(
    s.panes.map(({ title }) => title),
    ['Guidance 1.5', 'Guidance 3', 'Guidance 4', 'Guidance 7.25', 'Guidance 8'],
  );
  assert.equal(lab.started(s, 'run').panes.length, 5);
  // what is not taken is told, until something else is chosen
  assert.match(statusOfLab(s), /^x is no number/);
  assert.equal(lab.valued(s, '1, 2').note, '');
  assert.equal(lab.started(s, 'run').note, '');
  const many = lab.valued(s, [...Array(20).keys()].join());
  assert.equal(many.panes.length, 8);
  assert.match(many.note, /first 8 values/);
  assert.deepEqual(lab.valued(s, '2, 2, 3').values, ['2', '3']);
  assert.deepEqual(lab.valued(s, 'nothing').values, []);
  assert.match(lab.valued(s, '2abc, 4').note, /two values/);
  assert.equal(lab.valued(s, '').note, '');
  // where something else stands between them, commas are those of decimals
  for (const typed of ['1,5; 2,5', '1,5;2,5', ' 1,5  2,5 ', '1.5; 2,5', '1,5; 2.5;'])
    assert.deepEqual(lab.valued(s, typed).values, ['1.5', '2.5'], typed);
  for (const typed of ['1,2,5', '1, 2, 5', '1,2, 5', '1; 2; 5', '1,2 ,5', '1,2,5 5'])
    assert.deepEqual(lab.valued(s, typed).values, ['1', '2', '5'], typed);
  // what the server would refuse is said while it is typed, as it is the same number twice
  const bounds = { low: 1, high: 30, above: false, whole: false, expected: 'a number from 1 to 30' };
  const within = (values, more = {}) => {
    const set = { ...sets[0], bounds: { ...bounds, ...more } };
    return lab.valued(lab.initial(spec, [set]), values);
  };
  assert.deepEqual(within('0.5, 1, 30, 30.5, 1.0').values, ['1', '30']);
  assert.equal(within('0.5, 1, 30').note, '0.5 is not a number from 1 to 30: it is left out.');
  const all = '0.5 and 31 are each not a number from 1 to 30; x is no number: they are left out.';
  assert.equal(within('0.5, x, 1, 30, 31, x').note, all);
  assert.match(
    within('1, 2, a b c d e f g').note,
    /^a, b, c, d, e and 2 more are each no number: they are left out\.$/,
  );
  assert.match(within('31, 2').note, /^31 is not .* left out\. Give two values or more/);
  assert.deepEqual(within('1, 2, 3', { above: true }).values, ['2', '3']);
  assert.deepEqual(within('1, 2.5, 3', { whole: true }).values, ['1', '3']);
  assert.deepEqual(within('1, 1e6, 3', { high: null }).values, ['1', '1e6', '3']);
  assert.deepEqual(within('0x10, 16, 3').values, ['16', '3']);
  const unclear = lab.valued(s, '1, 2,5; 3');
  assert.match(unclear.note, /^2,5 may be one number or several/);
  assert.equal(unclear.values, s.values);
  const seeds = lab.chosen(s, 'seeds');
  assert.deepEqual([seeds.values, lab.typedValues(seeds)], [[], '']);
  assert.equal(lab.valued(seeds, '1, 2'), seeds);
  const request = { prompt: 'a "red", car', rng_seed: 7 };
  const panes = s.panes.map((p) => ({ ...p, facts: [['Steps', 17]], run: { ...p.run, request } }));
  const [head, first, ...rest] = lab.tableOf({ ...s, panes }).split('\n');
  assert.equal(head, 'pane,model,Steps,prompt,rng_seed');
  assert.equal(first, 'Guidance 1.5,picture,17,"a ""red"", car",7');
  assert.equal(rest.length, 4);
});

test('of several prompts each has a row in the table, and one is seen', () => {
  const pane = { title: 'Guidance 1', seed_position: spec.seed_position, form: {} };
  const plan = makePlan(spec, spec.seed_position);
  const order = Uint16Array.from(plan.step);
  let s = lab.started(lab.initial(spec, [{ name: 'guidance', title: 'Guidance', panes: [pane] }]), 'run');
  assert.equal(lab.samplesOf(s), 1);
  const frame = { step: 1, tokens: Uint16Array.of(5, 6), confidence: Uint8Array.of(254, 127), sheet: null, elapsed: 1 };
  s = lab.withStepsOf(s, { kind: 'steps', run: 'run', pane: 0, order, frames: [frame] });
  assert.equal(lab.samplesOf(s), 2);
  const seed = plan.cells[1][0];
  assert.deepEqual(
    [seed, 256 + seed].map((i) => s.panes[0].run.tokens[i]),
    [5, 6],
  );
  const confidence = Uint8Array.from({ length: 512 }, (_, i) => (i < 256 ? 254 : 127));
  const request = { prompt: ['a car', 'a cat'], rng_seed: 7 };
  const end = { order, tokens: new Uint16Array(512), confidence, pictures: ['', ''], elapsed: 1, passes: 17, request };
  s = lab.withEndOf(s, { kind: 'done', run: 'run', pane: 0, sheets: [], verdict: null, again: false, ...end });
  const [head, ...rows] = lab.tableOf(s).split('\n');
  assert.equal(head, 'pane,model,Steps,Passes,Seconds,Probability,prompt,rng_seed');
  assert.deepEqual(rows, [
    'Guidance 1,picture,17,17,1.00,1.000,a car,7',
    'Guidance 1,picture,17,17,1.00,0.500,a cat,7',
  ]);
  assert.equal(lab.promptOf(s.panes[0].run, 1), 'a cat');
  assert.equal(lab.withSample(s, 1).sample, 1);
  assert.equal(lab.started(lab.withSample(lab.ended(s), 1), 'next').sample, 0);
});
