// What the article knows and how it changes: which of its acts is read, and what its canvas shows of it. Pure.

import { cellsOf, distanceBetween, flatOf, makePlan, maySee, planFromSteps, positionOf, sendersOf } from './plan.js';
import { newRun, withFinals } from './run.js';
import { coarseCell, maskedOrder, neighbourOrder, parallelOrder, rasterOrder, SCALES } from './tools/orders.js';
import { clamp } from './tools/region.js';

/** @typedef {import('./plan.js').Plan} Plan */
/** @typedef {import('./plan.js').Position} Position */
/** @typedef {import('./plan.js').Spec} Spec */
/** @typedef {import('./run.js').Run} Run */
/** @typedef {import('./run.js').Pixels} Pixels */
/** @typedef {import('./wire.js').Explained} Explained */

/**
 * Growths that were recorded, by name.
 * @typedef {{ runs: Record<string, Run>, explained: Explained, raster: Pixels }} Story
 */

/**
 * One canvas: a growth, or a schedule without a picture, whose cells are shaded.
 * @typedef {{ title: string, plan: Plan, total: number, run: Run | null, shades: ((step: number) => Uint8Array) | null }} Pane
 */

/** @typedef {'why' | 'distance' | 'meet' | 'mixing' | 'guidance' | 'time' | 'orders' | 'gained' | 'anywhere' | 'limits'} Act */
/** @type {Act[]} */
export const ACTS = ['why', 'distance', 'meet', 'mixing', 'guidance', 'time', 'orders', 'gained', 'anywhere', 'limits'];

/**
 * @typedef {object} ArticleState
 * @property {Story | null} story null until it has come
 * @property {Act} act
 * @property {Pane[]} panes
 * @property {number} step
 * @property {number} until the step at which playing stops
 * @property {boolean} playing
 * @property {boolean} calm whether motion was asked to be reduced
 * @property {number} tick counts the frames of a running clip
 * @property {Position} start where the grid of the second act starts
 * @property {Position | null} hover the cell under the pointer, in the first pane
 * @property {string} see what a part of a formula shows on the canvas; "" for nothing
 */

const MET = /** @type {Position} */ ([0, 6, 5]);
const FAR = /** @type {Position} */ ([0, 3, 13]);

/** @param {string} title @param {Run} run @returns {Pane} */
const grown = (title, run) => ({ title, plan: run.plan, total: run.plan.total, run, shades: null });

/** @param {Spec} spec @param {string} title @param {import('./tools/orders.js').Order} order @returns {Pane} */
function schedule(spec, title, { steps, total }) {
  const shades = Uint8Array.from(steps, (step) => Math.round(254 * (1 - (0.85 * (step - 1)) / Math.max(1, total - 1))));
  return { title, plan: planFromSteps(spec, [0, 0, 0], steps), total, run: null, shades: () => shades };
}

/** Every cell is written anew in every step, by the map that lies over it. @param {Spec} spec @returns {Pane} */
function scales(spec) {
  const [, side] = spec.grid;
  const plan = planFromSteps(spec, [0, 0, 0], new Uint16Array(side * side).fill(1));
  const shades = (/** @type {number} */ step) => {
    const scale = SCALES[clamp(step, 1, SCALES.length) - 1];
    const darkest = 254 * (1 - (0.85 * (step - 1)) / (SCALES.length - 1));
    const isOdd = (/** @type {number} */ i) => {
      const at = coarseCell(i, side, scale);
      return (Math.floor(at / scale) + at) % 2 === 1;
    };
    return Uint8Array.from({ length: side * side }, (_, i) => Math.round(isOdd(i) ? 0.7 * darkest : darkest));
  };
  return { title: 'VAR', plan, total: SCALES.length, run: null, shades };
}

/** The picture that was grown token by token. @param {Story} story @returns {Pane} */
function raster({ runs, raster: pixels }) {
  const { spec } = runs.centre;
  const { steps } = rasterOrder(spec.grid[1]);
  return grown('One by one', withFinals(newRun('raster', planFromSteps(spec, [0, 0, 0], steps), 1), [pixels]));
}

/** @param {Act} act @param {Story} story @param {Position} start @returns {{ panes: Pane[], until?: number, rest?: number }} */
function sceneOf(act, story, start) {
  const { runs, explained } = story;
  const { spec } = runs.centre;
  const titled = (/** @type {Record<string, string>} */ names) =>
    Object.entries(names).map(([name, title]) => grown(title, runs[name]));
  switch (act) {
    case 'why':
      return { panes: [raster(story)], rest: 136 };
    case 'distance': {
      const plan = makePlan(spec, start);
      return { panes: [{ title: '', plan, total: plan.total, run: null, shades: null }] };
    }
    case 'meet':
      return { panes: titled({ corner: '' }), until: runs.corner.plan.step[flatOf(spec.grid, MET)] };
    case 'mixing':
      return { panes: titled({ centre: '' }), until: explained.step };
    case 'guidance':
      return { panes: titled({ 'guidance-1': 'Not guided', 'guidance-2': 'Scale 2', 'guidance-8': 'Scale 8' }) };
    case 'time':
      return { panes: titled({ clip: '' }) };
    case 'orders':
      return {
        panes: [
          schedule(spec, 'AR', rasterOrder(16)),
          schedule(spec, 'MAR', maskedOrder(16, 64)),
          schedule(spec, 'PAR', parallelOrder(16, 4)),
          scales(spec),
          schedule(spec, 'NAR', neighbourOrder(16)),
        ],
        rest: 16,
      };
    case 'gained':
      return { panes: [raster(story), ...titled({ corner: 'From the corner', centre: 'From the centre' })], rest: 31 };
    case 'anywhere':
      return {
        panes: titled({ corner: 'Corner', centre: 'Centre', aside: 'Any cell', around: 'Around a known part' }),
      };
    case 'limits':
      return { panes: titled({ wrong: '' }) };
  }
}

/** @returns {ArticleState} */
export const initial = () => ({
  story: null,
  act: 'why',
  panes: [],
  step: 0,
  until: 0,
  playing: false,
  calm: false,
  tick: 0,
  start: [0, 8, 8],
  hover: null,
  see: '',
});

/** Steps of the longest pane. @param {ArticleState} s */
export const totalOf = (s) => Math.max(1, ...s.panes.map(({ total }) => total));

/** An act is read: what it shows plays, or with reduced motion stands at a telling moment. @param {ArticleState} s @param {Act} act @returns {ArticleState} */
export function read(s, act) {
  if (!s.story) return { ...s, act };
  const { panes, until, rest } = sceneOf(act, s.story, s.start);
  const next = { ...s, act, panes, hover: null, see: '', tick: 0 };
  const end = until ?? totalOf(next);
  const playing = !s.calm && act !== 'distance';
  return { ...next, until: end, playing, step: playing ? 0 : act === 'distance' ? 0 : (rest ?? end) };
}

/** @param {ArticleState} s @param {Story} story @returns {ArticleState} */
export const told = (s, story) => read({ ...s, story }, s.act);

/** Growth of the second act starts elsewhere. @param {ArticleState} s @param {Position} start @returns {ArticleState} */
export function startedAt(s, start) {
  const { grid } = s.panes[0].plan.spec;
  const inside = /** @type {Position} */ (start.map((x, k) => clamp(x, 0, grid[k] - 1)));
  return read({ ...s, start: inside }, 'distance');
}

/** @param {ArticleState} s @param {number} step @returns {ArticleState} */
export const scrubbed = (s, step) => ({ ...s, playing: false, step: clamp(step, 0, totalOf(s)) });

/** To the end; from the beginning where it has been reached. @param {ArticleState} s @param {boolean} on @returns {ArticleState} */
export const played = (s, on) => ({
  ...s,
  playing: on,
  until: totalOf(s),
  step: on && s.step >= totalOf(s) ? 0 : s.step,
});

/** @param {ArticleState} s @returns {ArticleState} */
export function advanced(s) {
  const step = Math.min(s.step + 1, s.until);
  return { ...s, step, playing: step < s.until };
}

/** Milliseconds of a step. @param {ArticleState} s */
export const stepTime = (s) => (totalOf(s) > 100 ? 18 : clamp(2400 / totalOf(s), 45, 130));

/** Whether a clip that has grown moves. @param {ArticleState} s */
export const isMoving = (s) => s.act === 'time' && s.step >= totalOf(s) && !s.calm && !s.see;

/** The cell that the act speaks of. @param {ArticleState} s @returns {Position | null} */
export function spokenOf(s) {
  const { act, step, until, story, hover } = s;
  if (hover || !story) return hover;
  if (act === 'distance') return s.see ? FAR : null;
  if (act === 'meet') return step >= until && s.see !== 'none' ? MET : null;
  if (act === 'mixing') return step >= story.explained.step ? story.explained.cell : null;
  if (act === 'time' && s.see) {
    const [T, H] = s.panes[0].plan.spec.grid;
    return [T - 2, H - 2, 1];
  }
  return null;
}

/**
 * What lies on the canvas as light: where the senders of the explained cell looked, or what a part of a formula
 * means. [T][H][W]; null for none.
 * @param {ArticleState} s @returns {number[][][] | null}
 */
export function lightOf(s) {
  const cell = spokenOf(s);
  const { story, see, act } = s;
  if (!story || !cell || !s.panes.length) return null;
  const { plan } = s.panes[0];
  if (act === 'mixing') {
    const { explained } = story;
    return `${cell}` === `${explained.cell}` && see !== 'senders' ? explained.attention : null;
  }
  const lit = litCells(plan, cell, act === 'distance' ? s.start : plan.seedPosition, see);
  if (!lit) return null;
  const [T, H, W] = plan.spec.grid;
  const light = Array.from({ length: T }, () => Array.from({ length: H }, () => new Array(W).fill(0)));
  for (const i of lit) {
    const [t, h, w] = positionOf(plan.spec.grid, i);
    light[t][h][w] = 1;
  }
  return light;
}

/**
 * Cells that a part of a formula means for one cell; null where it means none.
 * @param {Plan} plan @param {Position} cell @param {Position} start @param {string} see
 * @returns {number[] | null}
 */
export function litCells(plan, cell, start, see) {
  const { grid } = plan.spec;
  const all = Array.from({ length: cellsOf(grid) }, (_, i) => i);
  const between = (/** @type {number} */ x, /** @type {number} */ a, /** @type {number} */ b) =>
    x >= Math.min(a, b) && x <= Math.max(a, b);
  /** Cells on the way along one axis, the others being as `at`. @param {number} axis @param {Position} at */
  const leg = (axis, at) =>
    all.filter((i) => {
      const p = positionOf(grid, i);
      return p.every((x, k) => (k === axis ? between(x, start[k], cell[k]) : x === at[k]));
    });
  switch (see) {
    case 'front':
      return all.filter((i) => distanceBetween(positionOf(grid, i), start) === distanceBetween(cell, start));
    case 'time':
      return leg(0, start);
    case 'rows':
      return leg(1, [cell[0], start[1], start[2]]);
    case 'columns':
      return leg(2, [cell[0], cell[1], start[2]]);
    case 'seen':
      return all.filter((i) => maySee(plan, flatOf(grid, cell), i));
    case 'beside':
    case 'above': {
      const axis = see === 'beside' ? 'horizontal' : 'vertical';
      const senders = sendersOf(plan, flatOf(grid, cell)).filter(({ head }) => head.axis === axis);
      return [flatOf(grid, cell), ...senders.map((sender) => sender.cell)];
    }
    default:
      return null;
  }
}
