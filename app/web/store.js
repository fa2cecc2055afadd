// What a player knows and how it changes: every function takes a state and gives the next one. No DOM, no clock,
// no server; those are in player.js.

import { flatOf, followsKept, framesOf, isLegal, makePlan } from './plan.js';
import {
  branchOf,
  changesOf,
  hasStep,
  newRun,
  recorded,
  withEnd,
  withFinals,
  withGuess,
  withSheet,
  withSteps,
} from './run.js';
import * as boards from './tools/board.js';
import * as regions from './tools/region.js';

/** @typedef {import('./plan.js').Plan} Plan */
/** @typedef {import('./plan.js').Position} Position */
/** @typedef {import('./plan.js').Spec} Spec */
/** @typedef {import('./run.js').Given} Given */
/** @typedef {import('./run.js').Pixels} Pixels */
/** @typedef {import('./run.js').Run} Run */
/** @typedef {import('./tools/board.js').Board} Board */
/** @typedef {import('./tools/board.js').Cell} Cell */
/** @typedef {import('./tools/board.js').Extent} Extent */
/** @typedef {import('./tools/region.js').Tool} Tool */

/** @typedef {'picture' | 'front' | 'confidence' | 'tokens'} Layer */
/** @typedef {'slices' | 'slice' | 'loop'} Layout all slices, that of the start, or the clip as it moves */

/** A question has a name of its own, which its answer says. @typedef {{ id: string, run: string, sample: number }} Question */
/** @typedef {Question & { cell: Position, told: import('./wire.js').Explained | null }} Asked */
/** @typedef {Question & { values: number[][][] | null }} DisagreementMap null while it is awaited */

/**
 * @typedef {object} State
 * @property {'image' | 'video' | 'outpaint'} mode the page it stands on
 * @property {Spec} spec the chosen model
 * @property {'ready' | 'waiting' | 'growing' | 'done'} phase
 * @property {Position} seedPosition
 * @property {Readonly<Record<string, Run>>} runs
 * @property {string[]} lanes the runs of one tree, the trunk first
 * @property {string | null} current the run that is seen
 * @property {string | null} active the run that grows
 * @property {Result | null} before what was there when a run was started
 * @property {number} step the step that is seen
 * @property {number} sample which of several pictures
 * @property {boolean} playing
 * @property {number} speed
 * @property {number} branchFrom the step that the next run goes on from; 0 for none
 * @property {Position | null} hover
 * @property {boolean} lens whether a click asks why a cell became what it is
 * @property {{ run: string, cell: number, token: number } | null} forced a token in place of the one that was drawn
 * @property {Asked | null} asked the cell of which that was asked last, and what was told
 * @property {{ run: string, cell: Position } | null} aim the cell that keys have come to, not asked about yet
 * @property {DisagreementMap | null} map where the heads disagreed, shown in place of what is told of a cell
 * @property {Record<Layer, boolean>} layers
 * @property {Layout} layout how the slices of a clip are shown
 * @property {boolean} layoutChosen by somebody, so that it does not change by itself
 * @property {number} tick counts the frames of a running clip
 * @property {boolean} repeat
 * @property {boolean} narrow whether there is room for one slice only
 * @property {boolean} calm whether motion was asked to be reduced
 * @property {boolean} moving a clip moves all the same, because somebody pressed Play
 * @property {boolean} opening nothing was done yet: the recorded race may be shown
 * @property {string} note said for a moment in place of the status
 * @property {Readonly<Record<string, number>>} pace seconds of a step, by model
 * @property {Given | null} source the picture or clip that is continued
 * @property {string} likeness how well the model knows it
 * @property {string} reading what was given is being read, by this name
 * @property {boolean} silent what was asked about it, or about a cell, is left open by the server
 * @property {boolean} startsWhenRead growth was asked for, and begins then
 * @property {Tool} tool
 * @property {regions.Region} region
 * @property {import('./tools/board.js').Board | null} board the whole picture that is outpainted
 * @property {import('./tools/board.js').Board[]} past what it was before each growth and each stroke
 * @property {Extent | null} held what is seen of it as long as a pointer is down: nothing moves under the finger
 * @property {[number, number] | null} window the part of it that grows next, or has grown last
 * @property {import('./run.js').Earlier[]} earlier clips that the source continues
 */

/** @typedef {Pick<State, typeof RESULT[number]>} Result what was seen, and what it was grown from */
const RESULT = /** @type {const} */ ([
  ...['phase', 'runs', 'lanes', 'current', 'sample', 'seedPosition', 'likeness'],
  ...['source', 'earlier', 'region', 'board', 'past', 'window'],
]);

export const STILL_GROWING = 'Still growing: stop it first.';

/** Nothing is known of what was given. */
const UNREAD = { likeness: '', reading: '', silent: false, startsWhenRead: false };

/** @param {State['mode']} mode @param {Spec} spec @returns {State} */
export const initial = (mode, spec) => ({
  mode,
  spec,
  phase: 'ready',
  seedPosition: spec.seed_position,
  runs: {},
  lanes: [],
  current: null,
  active: null,
  before: null,
  step: 0,
  sample: 0,
  playing: false,
  speed: 1,
  branchFrom: 0,
  hover: null,
  lens: false,
  forced: null,
  asked: null,
  aim: null,
  map: null,
  layers: { picture: true, front: true, confidence: false, tokens: false },
  layout: 'slices',
  layoutChosen: false,
  tick: 0,
  repeat: true,
  narrow: false,
  calm: false,
  moving: false,
  opening: mode === 'image',
  note: '',
  pace: {},
  source: null,
  ...UNREAD,
  tool: 'erase',
  region: regions.emptyRegion(spec),
  board: null,
  past: [],
  held: null,
  window: null,
  earlier: [],
});

// ---- what follows from a state -----------------------------------------------------------------

/** The run that is seen. @param {State} s @returns {Run | null} */
export const currentRun = (s) => (s.current === null ? null : s.runs[s.current]);

/** The run that grows. @param {State} s @returns {Run | null} */
export const activeRun = (s) => (s.active === null ? null : s.runs[s.active]);

/** The run whose steps are seen; null while a start is chosen. @param {State} s @returns {Run | null} */
export const seenRun = (s) => (s.phase === 'ready' ? null : currentRun(s));

/** The model of what is seen. @param {State} s @returns {Spec} */
export const seenSpec = (s) => (currentRun(s) ?? s).spec;

/** @param {State} s */
export const isBusy = (s) => s.phase === 'growing' || s.phase === 'waiting';

/** Known cells, if any. @param {State} s @returns {Uint8Array | null} */
export const knownCells = (s) => (s.board || (s.mode === 'video' && s.source) ? s.region.keep : null);

/** The seed position that is looked at: under the pointer, or the chosen one. @param {State} s @returns {Position} */
export const lookedAt = (s) => (s.mode !== 'outpaint' && s.hover) || s.seedPosition;

/** @typedef {{ plan: Plan, isLegal: boolean, followsKept: boolean }} Planned */
/**
 * The last plan that was asked for.
 * @type {{ spec: Spec | null, keep: Uint8Array | null, at: string, planned: Planned | null }}
 */
let latest = { spec: null, keep: null, at: '', planned: null };

/**
 * What growing from a seed position would be. Asked for several times for each state, so the last is remembered.
 * @param {State} s @param {Position} [seedPosition]
 * @returns {Planned}
 */
export function planned(s, seedPosition = lookedAt(s)) {
  const keep = knownCells(s);
  const at = seedPosition.join();
  if (latest.planned && latest.spec === s.spec && latest.keep === keep && latest.at === at) return latest.planned;
  const plan = makePlan(s.spec, seedPosition, keep);
  const result = { plan, isLegal: isLegal(plan), followsKept: followsKept(plan) };
  latest = { spec: s.spec, keep, at, planned: result };
  return result;
}

/** @param {State} s */
export function canBranch(s) {
  const run = currentRun(s);
  return Boolean(
    run &&
      s.phase === 'done' &&
      s.step >= 1 &&
      s.step < run.plan.total &&
      s.step <= run.last &&
      run.spec.model === s.spec.model &&
      (!run.replayed || (run.again && !run.plan.counts[0])),
  );
}

/**
 * Which slices are shown, and which frame in each.
 * @param {Pick<State, 'layout' | 'tick' | 'repeat' | 'seedPosition'>} s @param {Spec} spec
 * @returns {{ slices: number[], frames: number[] }}
 */
export function shownSlices(s, spec) {
  if (s.layout === 'loop') {
    const frame = s.repeat ? s.tick % spec.frames : Math.min(s.tick, spec.frames - 1);
    return { slices: [spec.slice_of_frame[frame]], frames: [frame] };
  }
  const slices = s.layout === 'slice' ? [s.seedPosition[0]] : Array.from({ length: spec.grid[0] }, (_, t) => t);
  const frames = slices.map((t) => {
    const own = framesOf(spec, t);
    return own[s.tick % own.length];
  });
  return { slices, frames };
}

// ---- choosing a start --------------------------------------------------------------------------

/**
 * Clips grow slice by slice and then move, unless someone has chosen how to look at them.
 * @param {State} s @returns {State}
 */
function easyLayout(s) {
  if (s.layoutChosen || seenSpec(s).grid[0] === 1) return s;
  if (s.phase === 'done' && !s.playing && (!s.calm || s.moving)) return { ...s, layout: 'loop' };
  return { ...s, layout: s.narrow && s.phase === 'ready' ? 'slice' : 'slices' };
}

/** @param {State} s @param {State['phase']} phase */
const inPhase = (s, phase) => easyLayout({ ...s, phase, opening: false });

/** Whether there is room for one slice only. @param {State} s @param {boolean} narrow @returns {State} */
export const withRoom = (s, narrow) => easyLayout({ ...s, narrow });

/** Back to choosing a seed position. @param {State} s @param {Position} [seedPosition] @returns {State} */
export const home = (s, seedPosition = s.seedPosition) =>
  inPhase(
    {
      ...s,
      seedPosition,
      runs: {},
      lanes: [],
      current: null,
      step: 0,
      branchFrom: 0,
      sample: 0,
      hover: null,
      playing: false,
      moving: false,
    },
    'ready',
  );

/**
 * Another model: nothing is left of what the one before has grown.
 * @param {State} s @param {Spec} spec @param {Position | null} [seedPosition]
 * @returns {State}
 */
export function withModel(s, spec, seedPosition) {
  const next = home({ ...settled(s), spec, source: null, ...UNREAD }, seedPosition ?? spec.seed_position);
  return { ...next, earlier: [], board: null, past: [], window: null, region: regions.emptyRegion(spec) };
}

/** @param {State} s @param {Position} seedPosition @returns {State} */
export function withSeedPosition(s, seedPosition) {
  if (isBusy(s)) return s;
  const next = s.phase === 'done' ? home(s) : s;
  const inside = seedPosition.map((x, k) => regions.clamp(x, 0, s.spec.grid[k] - 1));
  return { ...next, hover: null, opening: false, seedPosition: /** @type {Position} */ (inside) };
}

// ---- growing -----------------------------------------------------------------------------------

/**
 * @typedef {object} Wanted
 * @property {string} id
 * @property {number} samples
 * @property {string} title
 * @property {string} [file] make this file again
 * @property {string} [drawn] what the world makes of the prompt, where that is not what was typed
 * @property {Given} [given] what is continued, in place of the source: the part of the board that grows next
 * @property {boolean} [goesOn] it is the next part of what was asked for, not asked by itself
 * @property {State} [before] where it was asked for: what comes back where nothing grows
 */

/**
 * A start: the next state, and what to send. Without `start` nothing is sent; `say` tells why.
 * @param {State} s @param {Wanted} wanted
 * @returns {{ next: State, start?: import('./wire.js').Start, say?: string }}
 */
export function started(s, wanted) {
  const { id, samples, title, file, drawn = '', given = s.source ?? undefined, goesOn = false, before = s } = wanted;
  if (isBusy(s)) return { next: s };
  if (s.mode === 'outpaint' && !s.board && !file) return { next: s, say: 'Choose a picture first.' };
  const left = currentRun(s);
  const start = /** @type {import('./wire.js').Start} */ ({ run: id, seedPosition: s.seedPosition, file });
  let run;
  let { runs, lanes } = s;
  if (s.branchFrom && left) {
    run = branchOf(left, id, s.branchFrom, s.forced?.run === left.id ? { ...s.forced, sample: s.sample } : null);
    start.seedPosition = left.plan.seedPosition;
    start.resume = { step: s.branchFrom, samples: run.samples, tokens: run.tokens, confidence: run.confidence };
    lanes = [...lanes, id];
  } else if (file && left) {
    run = newRun(id, left.plan, samples);
    [runs, lanes] = [{}, [id]];
  } else {
    const { plan, isLegal } = planned(s, s.seedPosition);
    if (!isLegal) return { next: { ...s, phase: 'ready' } };
    if (!plan.total) return { next: { ...s, phase: 'ready' }, say: 'Everything is kept: leave something to grow.' };
    const { window, earlier } = s;
    run = newRun(id, plan, samples, knownCells(s) ? { given, window, earlier } : {});
    [runs, lanes] = [{}, [id]];
  }
  if (run.given && !file) {
    const { address, tokens, before } = run.given;
    start.given = { picture: address, keep: Uint8Array.from(run.plan.step, (k) => (k === 0 ? 1 : 0)), tokens, before };
  }
  const isKnown = goesOn || !s.board || s.past.at(-1) === s.board;
  const next = {
    ...s,
    past: isKnown || !s.board ? s.past : [...s.past, s.board],
    runs: { ...runs, [id]: { ...run, title, drawn } },
    ...{ lanes, before: resultOf(before), current: id, active: id },
    step: run.from,
    sample: Math.min(file && left?.replayed ? left.sample : s.sample, run.samples - 1),
    playing: true,
    branchFrom: 0,
    forced: null,
  };
  return { next: inPhase(next, 'waiting'), start };
}

/** @param {State} s @param {string} id @param {(run: Run) => Run} change @returns {State} */
const changed = (s, id, change) => ({ ...s, runs: { ...s.runs, [id]: change(s.runs[id]) } });

/** @param {State} s @param {Run['place']} place @returns {State} */
export const withPlace = (s, place) => (s.active ? changed(s, s.active, (run) => ({ ...run, place })) : s);

/** @param {State} s @param {Run['news']} news @returns {State} */
export const withNews = (s, news) => (s.active ? changed(s, s.active, (run) => ({ ...run, news })) : s);

/** @param {State} s @param {import('./wire.js').StepsRead} message @returns {State} */
export const withStepsOf = (s, message) =>
  inPhase(
    changed(s, message.run, (run) => withSteps(run, message)),
    'growing',
  );

/**
 * A picture of a step has been decoded.
 * @param {State} s @param {string} id @param {number} step @param {Pixels | null} sheet
 * @returns {State}
 */
export function withSheetOf(s, id, step, sheet) {
  if (!s.runs[id]) return s;
  const next = changed(s, id, (run) => withSheet(run, step, sheet));
  const jumps = s.calm && s.playing && s.current === id && s.active === id && !s.runs[id].finals.length;
  return jumps ? shown(next, next.runs[id].last) : next;
}

/** @param {State} s @param {string} id @param {number} step @param {Pixels} guess @returns {State} */
export const withGuessOf = (s, id, step, guess) =>
  s.runs[id] ? changed(s, id, (run) => withGuess(run, step, guess)) : s;

/** Every token has come. @param {State} s @param {import('./wire.js').Finished} message @returns {State} */
export function withEndOf(s, message) {
  const next = changed(s, message.run, (run) => {
    const done = withEnd(run, message);
    const parent = run.parent === null ? null : s.runs[run.parent];
    if (parent?.state === 'stopped') return { ...done, title: 'gone on' };
    const changes = parent?.request && done.request ? changesOf(parent.request, done.request) : '';
    const title = run.isForced ? 'another token' : changes;
    return { ...done, title: title || run.title };
  });
  const run = next.runs[message.run];
  if (!run.elapsed || !message.passes) return next;
  const seconds = run.elapsed / Math.max(1, run.plan.total - run.from);
  return { ...next, pace: { ...s.pace, [run.spec.model]: seconds } };
}

/** The full decode has come. @param {State} s @param {string} id @param {Pixels[]} finals @returns {State} */
export function withFinalsOf(s, id, finals) {
  if (!s.runs[id] || s.runs[id].state === 'stopped') return s;
  const next = changed(s, id, (run) => withFinals(run, finals));
  if (s.active === id) next.active = null;
  if (s.current !== id) return next;
  const run = next.runs[id];
  const done = inPhase(s.mode === 'outpaint' ? withRun(next, run) : next, 'done');
  return s.calm && s.playing ? shown(done, run.plan.total) : done;
}

/** @param {State} s */
const resultOf = (s) => /** @type {Result} */ (Object.fromEntries(RESULT.map((name) => [name, s[name]])));

/**
 * What was there when a run was started, of which pixels may have come since, up to the step that the run was to leave.
 * @param {State} s @param {Run} run @returns {State}
 */
function asBefore(s, { parent, from }) {
  const { before } = s;
  if (!before) return home(s);
  const runs = Object.fromEntries(Object.entries(before.runs).map(([id, old]) => [id, s.runs[id] ?? old]));
  const likeness = s.source === before.source ? s.likeness : before.likeness;
  const step = parent === null && before.current !== null ? runs[before.current].last : from;
  return inPhase({ ...s, ...before, runs, likeness, step }, before.phase);
}

/**
 * The active run ends early: what has grown is kept, if anything has; else what was there comes back.
 * @param {State} s @returns {State}
 */
export function settled(s) {
  const run = activeRun(s);
  if (!run) return s;
  // it ends at the step that is seen, which may be behind what has come
  const last = s.current === run.id ? regions.clamp(s.step, Math.min(run.from + 1, run.last), run.last) : run.last;
  const next = { ...changed(s, run.id, (r) => ({ ...r, last, state: 'stopped' })), active: null, playing: false };
  if (run.last > run.from) return inPhase({ ...next, step: s.current === run.id ? last : s.step }, 'done');
  return asBefore(next, run);
}

/** What outlives the page: nothing is under way there any more, and what was asked is not answered. @param {State} s @returns {State} */
export const left = (s) => ({
  ...settled(s),
  ...UNREAD,
  likeness: s.likeness,
  note: '',
  hover: null,
  held: null,
  playing: false,
  moving: false,
  asked: s.asked?.told ? s.asked : null,
  map: s.map?.values ? s.map : null,
});

/** It is there again. @param {State} s as it was left @param {State} now the room there is @returns {State} */
export const returned = (s, { calm, narrow }) => easyLayout({ ...s, calm, narrow });

/**
 * A run that was grown before is seen again, among its branches.
 * @param {State} s @param {Run} run @param {Run[]} [tree] @returns {State}
 */
export const opened = (s, run, tree = [run]) =>
  inPhase(
    {
      ...s,
      ...(s.mode === 'outpaint'
        ? withRun({ ...s, ...UNREAD, source: null, board: null, past: [], sample: 0 }, run)
        : {}),
      runs: Object.fromEntries(tree.map((one) => [one.id, one])),
      lanes: tree.map(({ id }) => id),
      current: run.id,
      active: null,
      step: run.last,
      sample: 0,
      branchFrom: 0,
      playing: false,
      moving: false,
      seedPosition: run.plan.seedPosition,
    },
    'done',
  );

/**
 * A file is replayed from its beginning.
 * @param {State} s @param {import('./wire.js').ReplayRead} message
 * @returns {State}
 */
export function replayed(s, message) {
  return played({ ...opened(settled(s), recorded(message)), step: 0 }, true);
}

// ---- moving through a growth -------------------------------------------------------------------

/** @param {State} s @param {number} step @returns {State} */
export function shown(s, step) {
  const run = currentRun(s);
  if (!run) return s;
  return { ...s, step: regions.clamp(step, run.plan.counts[0] ? 0 : 1, Math.max(run.last, 1)) };
}

/** The same, by hand. @param {State} s @param {number} step */
export const scrubbed = (s, step) => shown({ ...s, playing: false, moving: false, branchFrom: 0 }, step);

/** Whether something moves that can be paused. @param {State} s */
export const isMoving = (s) => s.playing || s.moving;

/** @param {State} s @param {boolean} on @returns {State} */
export function played(s, on) {
  const run = currentRun(s);
  if (!run) return s;
  const step = on && s.step >= run.last && !s.active ? 0 : s.step;
  return easyLayout({ ...s, step, playing: on, moving: on && s.calm, branchFrom: 0 });
}

/** Milliseconds that a growth is played in, unless a slower speed is asked for. */
const PLAYED_IN = 1200;

/** Milliseconds until the next step is shown. @param {State} s */
export const stepTime = (s) => Math.min(PLAYED_IN / /** @type {Run} */ (currentRun(s)).plan.total, 130) / s.speed;

/** The next step, if it has come. @param {State} s @returns {State} */
export function advanced(s) {
  const run = currentRun(s);
  return run && s.step < run.last && hasStep(run, s.step + 1) ? { ...s, step: s.step + 1 } : s;
}

/**
 * The steps whose time has come: several where the page is painted less often than steps are due.
 * @param {State} s @param {number} due when the next one is @param {number} now
 * @returns {{ next: State, due: number }}
 */
export function caughtUp(s, due, now) {
  let next = s;
  while (due <= now) {
    const after = advanced(next);
    if (after === next) return { next, due: now }; // it is shown as soon as it comes
    next = after;
    due += stepTime(next);
  }
  return { next, due };
}

/** Playing stops at the end. @param {State} s @returns {State} */
export function ended(s) {
  const run = currentRun(s);
  const isOver = s.playing && run && run.state === 'done' && run.finals.length > 0 && s.step >= run.plan.total;
  return isOver ? easyLayout({ ...s, playing: false }) : s;
}

/** @param {State} s @returns {State} */
export const branchMarked = (s) =>
  canBranch(s) ? { ...s, playing: false, branchFrom: s.branchFrom === s.step ? 0 : s.step, forced: null } : s;

/** @param {State} s @param {number} n @returns {State} */
export function laneOpened(s, n) {
  const id = s.lanes[n];
  if (s.active || !id) return s;
  const seen = s.board ? withRun(s, s.runs[id]) : s;
  return inPhase({ ...seen, current: id, step: s.runs[id].last, branchFrom: 0, playing: false }, 'done');
}

// ---- how it is looked at -----------------------------------------------------------------------

/** @param {State} s @param {Layer} layer @param {boolean} on @returns {State} */
export const withLayer = (s, layer, on) => ({ ...s, layers: { ...s.layers, [layer]: on } });

/** @param {State} s @param {Layout} layout @returns {State} */
export const withLayout = (s, layout) => ({ ...s, layout, layoutChosen: true });

/** @param {State} s @returns {State} */
export const faster = (s) => ({ ...s, speed: { 1: 2, 2: 0.5 }[s.speed] ?? 1 });

// ---- a picture that is continued ---------------------------------------------------------------

/**
 * Another board, of which the part that grows next is planned. Where nothing is missing, `window` is seen.
 * @param {State} s @param {Board} board @param {[number, number] | null} [window]
 * @returns {State}
 */
function withBoard(s, board, window = s.window) {
  const next = boards.nextWindow(board);
  const { at, keep } = next ?? boards.windowNear(board, window ?? board.pieces[0].at);
  const seedPosition = next ? boards.startIn(board, next) : s.seedPosition;
  const placed = regions.legally({ region: { ...s.region, keep }, seedPosition }, s.spec);
  return { ...s, board, window: at, ...placed };
}

/** A picture has been chosen on the outpainting page. @param {State} s @param {Given} source @returns {State} */
export function withSource(s, source) {
  const next = home({ ...settled(s), source, ...UNREAD, past: [] });
  const board = boards.boardOf(s.spec, source);
  return withBoard(next, boards.widened(board, sidesOf(s.spec)), [0, 0]);
}

/** What was given has been read. @param {State} s @param {import('./wire.js').TokensRead} read @returns {State} */
export function withReading(s, { run, tokens, text }) {
  if (s.reading !== run) return s;
  if (!s.board) return { ...s, likeness: text, reading: '' };
  const past = s.past.map((board) => boards.withTokens(board, tokens));
  return { ...s, board: boards.withTokens(s.board, tokens), past, likeness: text, reading: '' };
}

/**
 * What begins a clip: its first slices are given.
 * @param {State} s @param {Given} source @param {number} slices @param {State['earlier']} [earlier]
 * @returns {State}
 */
export function withFirstSlices(s, source, slices, earlier = []) {
  const { region, seedPosition } = regions.withSlices(s.region, s.spec.grid, slices);
  return home({ ...settled(s), source, ...UNREAD, region, earlier }, seedPosition);
}

/** A clip begins with nothing. @param {State} s @returns {State} */
export function withoutSource(s) {
  const next = { ...s, source: null, ...UNREAD, earlier: [] };
  return isBusy(s) ? next : home(next, s.spec.seed_position);
}

/** Whether what the board shows may be changed now. @param {State} s */
export const canEdit = (s) => s.board?.spec.model === s.spec.model && !isBusy(s);

/** Whether a growth, or a stroke, can be taken back. @param {State} s */
export const canUndo = (s) => canEdit(s) && s.past.length > 0;

/** The board as it was before. @param {State} s @returns {State} */
export function undone(s) {
  const before = s.past.at(-1);
  if (!before || !canUndo(s)) return s;
  return withBoard(home({ ...s, past: s.past.slice(0, -1) }), { ...before, wanted: null }, before.pieces.at(-1)?.at);
}

/** Sides of a picture beyond which a model can grow. @param {Spec} spec @returns {import('./tools/board.js').Side[]} */
export function sidesOf(spec) {
  const found = able.get(spec) ?? boards.SIDES.filter((side) => regions.canExtend(spec, BY[side]));
  able.set(spec, found);
  return found;
}
/** @type {Record<import('./tools/board.js').Side, [number, number]>} */
const BY = { left: [0, -1], top: [-1, 0], right: [0, 1], bottom: [1, 0] };
const able = /** @type {WeakMap<Spec, import('./tools/board.js').Side[]>} */ (new WeakMap());

/**
 * An edge was pulled so many cells outwards.
 * @param {State} s @param {import('./tools/board.js').Side} side @param {number} cells @returns {State}
 */
export const pulled = (s, side, cells) =>
  s.board && canEdit(s) ? withBoard(home(s), boards.pulled(s.board, side, cells)) : s;

/**
 * An edge was pulled and brought back: all is as it was before, but for what was read meanwhile.
 * @param {State} s @param {State} before @returns {State}
 */
export const broughtBack = (s, before) => {
  const { likeness, reading, startsWhenRead, note } = s;
  return { ...before, likeness, reading, startsWhenRead, note };
};

/** A run takes its place on the board, which it may be the first on. @param {State} s @param {Run} run @returns {State} */
function withRun(s, run) {
  if (!run.finals.length) return s;
  const board = s.board ?? boards.emptyBoard(run.spec);
  return withBoard(s, boards.withPiece(board, run, s.sample), run.window);
}

/** Another of the pictures that grew together is seen. @param {State} s @param {number} sample @returns {State} */
export function withSample(s, sample) {
  const run = currentRun(s);
  const isOnTop = run !== null && s.board?.pieces.at(-1)?.run === run.id;
  return isOnTop ? withRun({ ...s, sample }, run) : { ...s, sample };
}

/**
 * What is grown when nothing new was asked for: the same again, or half a grid more on either side.
 * @param {State} s @returns {State}
 */
export function asking(s) {
  if (!s.board || boards.missingOf(s.board).length) return s;
  const last = s.phase === 'done' ? s.past.findLastIndex((board) => boards.missingOf(board).length) : -1;
  if (last < 0) return withBoard(s, boards.widened(s.board, sidesOf(s.spec)));
  return withBoard({ ...s, past: s.past.slice(0, last) }, s.past[last]);
}

/** Whether more of what was asked for is to grow. @param {State} s */
export const goesOn = (s) => s.board !== null && boards.missingOf(s.board).length > 0;

/** @param {State} s @param {Tool} tool @returns {State} */
export function withTool(s, tool) {
  if (isBusy(s)) return s;
  const next = { ...s, tool };
  if (!s.board || tool !== 'keep' || s.board.shape === 'rectangle') return next;
  return withRectangle(strokeBegun(next), boards.middleOf(s.board));
}

/** Only a rectangle of the board is kept. @param {State} s @param {Extent} rectangle @returns {State} */
const withRectangle = (s, rectangle) =>
  s.board ? withBoard({ ...s, region: { ...s.region, rectangle } }, boards.keptIn(s.board, rectangle)) : s;

/** The pointer is pressed: a stroke of a tool begins. @param {State} s @returns {State} */
export function strokeBegun(s) {
  if (!s.board || !canEdit(s)) return s;
  const next = home(s);
  const past = s.tool === 'start' ? s.past : [...s.past, s.board];
  return { ...next, past, region: { ...s.region, brushed: null } };
}

/**
 * The pointer was dragged from a cell of the board to another.
 * @param {State} s @param {Cell} from @param {Cell} to @returns {State}
 */
export function edited(s, from, to) {
  const { board, window } = s;
  if (!board || !window || !canEdit(s)) return s;
  if (s.tool === 'start') return withStart(s, [to[0] - window[0], to[1] - window[1]]);
  if (s.tool === 'erase') {
    const next = { ...s, region: { ...s.region, brushed: to } };
    return withBoard(next, boards.brushed(board, s.region.brushed ?? to, to));
  }
  const [top, bottom] = [from[0], to[0]].sort((a, b) => a - b);
  const [left, right] = [from[1], to[1]].sort((a, b) => a - b);
  return withRectangle(s, { top, left, bottom: bottom + 1, right: right + 1 });
}

/** Growth starts from a cell of the window. @param {State} s @param {Cell} at @returns {State} */
function withStart(s, at) {
  const [, H, W] = s.spec.grid;
  return { ...s, seedPosition: [0, regions.clamp(at[0], 0, H - 1), regions.clamp(at[1], 0, W - 1)] };
}

/**
 * An arrow key was pressed.
 * @param {State} s @param {[number, number]} by rows and columns @param {boolean} resize
 * @returns {State}
 */
export function editedByKey(s, by, resize) {
  if (!s.board || !canEdit(s)) return s;
  const { seedPosition, region } = s;
  if (s.tool === 'start') return withStart(s, [seedPosition[1] + by[0], seedPosition[2] + by[1]]);
  if (s.tool === 'keep') return withRectangle(s, boards.movedRectangle(s.board, region.rectangle, by, resize));
  const { top, left, bottom, right } = boards.extentOf(s.board);
  const [h, w] = region.cursor;
  const cursor = /** @type {Cell} */ ([
    regions.clamp(h + by[0], top, bottom - 1),
    regions.clamp(w + by[1], left, right - 1),
  ]);
  return { ...s, region: { ...region, cursor } };
}

/** @param {State} s @returns {State} */
export function erasedAtCursor(s) {
  if (!s.board || !canEdit(s)) return s;
  return withBoard(strokeBegun(s), boards.dabbed(s.board, s.region.cursor));
}

// ---- the microscope ------------------------------------------------------------------------------

/** Whether what is seen can be explained: a finished picture of a model that is here. @param {State} s */
export const canExplain = (s) => {
  const run = currentRun(s);
  return s.phase === 'done' && Boolean(run?.pictures[s.sample]) && run?.spec.model === s.spec.model;
};

/** @param {State} s @returns {State} */
export const lensTurned = (s) => (canExplain(s) ? { ...s, lens: !s.lens, aim: null } : s);

/** The cell of what is seen that was asked about; null where none was. @param {State} s @returns {Asked | null} */
export const explainedNow = (s) =>
  s.lens && s.asked?.run === s.current && s.asked?.sample === s.sample ? s.asked : null;

/** @param {State} s @param {Position} cell @param {string} id @returns {State} */
export const askedOf = (s, cell, id) => ({
  ...s,
  silent: false,
  asked: { id, run: String(s.current), sample: s.sample, cell, told: null },
  aim: null,
  map: null,
});

/** The cell that keys have come to, where it was not asked about yet. @param {State} s */
export const aimNow = (s) => (s.lens && s.aim?.run === s.current ? s.aim.cell : null);

/** The cell that Enter asks about. @param {State} s @returns {Position | null} */
export const aimOf = (s) => aimNow(s) ?? explainedNow(s)?.cell ?? currentRun(s)?.plan.seedPosition ?? null;

/** An arrow key was pressed while the microscope is open. @param {State} s @param {Position} by @returns {State} */
export function aimed(s, by) {
  const from = aimOf(s);
  if (!from || !s.lens || !canExplain(s)) return s;
  const cell = from.map((x, k) => regions.clamp(x + by[k], 0, seenSpec(s).grid[k] - 1));
  return { ...s, aim: { run: String(s.current), cell: /** @type {Position} */ (cell) } };
}

/** The map of what is seen; null where none was asked for. @param {State} s @returns {DisagreementMap | null} */
export const mapNow = (s) => (s.lens && s.map?.run === s.current && s.map?.sample === s.sample ? s.map : null);

/** The map is asked for, or put away. @param {State} s @param {string} id @returns {State} */
export function mapTurned(s, id) {
  if (!s.lens || !canExplain(s) || mapNow(s)) return { ...s, map: null };
  return { ...s, silent: false, asked: null, map: { id, run: String(s.current), sample: s.sample, values: null } };
}

/** @param {State} s @param {import('./wire.js').Disagreement} told @returns {State} */
export const withMap = (s, { run, values }) => (s.map?.id === run ? { ...s, map: { ...s.map, values } } : s);

/** What was asked is told; nothing of a question that another has replaced. @param {State} s @param {import('./wire.js').Explained} told @returns {State} */
export function withExplanation(s, told) {
  const { asked } = s;
  if (asked?.id !== told.run) return s;
  return { ...s, asked: { ...asked, told } };
}

/** Whether growth can go on from another token of the explained cell: not after the last step. @param {State} s */
export function canForce(s) {
  const told = explainedNow(s)?.told;
  return Boolean(told && told.step < (currentRun(s)?.plan.total ?? 0));
}

/** The explained cell is to have another token, from which growth goes on. @param {State} s @param {number} token */
export function forcedTo(s, token) {
  const told = explainedNow(s)?.told;
  const run = currentRun(s);
  if (!told || !run || !canForce(s)) return s;
  const forced = { run: run.id, cell: flatOf(run.spec.grid, told.cell), token };
  return { ...s, playing: false, step: told.step, branchFrom: told.step, forced };
}

/** No answer will come to a question. @param {State} s @param {import('./wire.js').Unexplained} told @returns {State} */
export const unexplained = (s, { run }) => ({
  ...s,
  asked: s.asked?.id === run ? null : s.asked,
  map: s.map?.id === run ? null : s.map,
});
