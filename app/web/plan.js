// The decoding plan, for showing it before anything is computed. Same rule as nar_core.plan:
// fronts of ascending Manhattan distance from the seed position, known cells left out.

/** A cell of the token grid as (t, h, w), or the sizes of the grid. @typedef {[number, number, number]} Position */
/** @typedef {'horizontal' | 'vertical' | 'temporal'} Axis */
/** @typedef {{ name: string, by: Position, axis: Axis }} Head */

/**
 * What the page must know of a model, as the server sends it.
 * @typedef {object} Spec
 * @property {string} model name of the model
 * @property {Position} grid
 * @property {[number, number]} size height and width of a picture or frame in pixels
 * @property {number} frames frames of a clip, 1 for a picture
 * @property {number} fps
 * @property {number[]} slice_of_frame the slice of the grid that each frame belongs to
 * @property {string[]} directions those the model has heads for, such as "+w"
 * @property {'zero' | 'distance'} known_level when known cells are seen
 * @property {'neighbours' | 'raster'} [order] outward from the start, or one cell after the other
 * @property {'any' | 'corner'} [seed_positions]
 * @property {Record<string, unknown>} [settings] the model's own sampling settings
 * @property {number} [longest_prompt] letters that a prompt may have
 * @property {boolean} [composes] its prompts are facts of a world
 * @property {boolean} [framed] whether things have a size in its world, at which a clip begins with one
 * @property {boolean} [mirrors] in files of before: whether it grew from the upper right, as a mirror image
 * @property {boolean} [accepts_known]
 * @property {Position} seed_position that it begins with
 * @property {string} [note]
 * @property {string} [upload_note]
 */

/**
 * @typedef {object} Plan
 * @property {Spec} spec
 * @property {Position} seedPosition
 * @property {Uint16Array} step of each cell the step that writes it; 0 for a known cell
 * @property {Int32Array} distance of each cell to the seed position
 * @property {number} total number of steps
 * @property {number[]} counts cells of each step
 * @property {number[][]} cells flat indices of each step
 * @property {boolean} mirrored
 * @property {string[]} directions
 */

/** @type {Head[]} */
export const HEADS = [
  { name: '+w', by: [0, 0, 1], axis: 'horizontal' },
  { name: '-w', by: [0, 0, -1], axis: 'horizontal' },
  { name: '+h', by: [0, 1, 0], axis: 'vertical' },
  { name: '-h', by: [0, -1, 0], axis: 'vertical' },
  { name: '+t', by: [1, 0, 0], axis: 'temporal' },
  { name: '-t', by: [-1, 0, 0], axis: 'temporal' },
];

/** @param {Position} grid */
export const cellsOf = (grid) => grid[0] * grid[1] * grid[2];

/** @param {Position} grid @param {Position} position */
export const flatOf = (grid, [t, h, w]) => (t * grid[1] + h) * grid[2] + w;

/** A cell in words, counted from 1; of a clip with its slice. @param {Position} at @param {boolean} isClip */
export const nameOfCell = ([t, h, w], isClip) => `${isClip ? `slice ${t + 1}, ` : ''}row ${h + 1}, column ${w + 1}`;

/** @param {Position} grid @param {number} i @returns {Position} */
export const positionOf = (grid, i) => [
  Math.floor(i / (grid[1] * grid[2])),
  Math.floor(i / grid[2]) % grid[1],
  i % grid[2],
];

/** @param {Position} grid @param {Position} at */
export const isInside = (grid, at) => at.every((x, k) => x >= 0 && x < grid[k]);

/**
 * The neighbour that a head predicts from, looked at from `at`.
 * @param {Position} at @param {Head} head @returns {Position}
 */
export const senderAt = ([t, h, w], { by }) => [t - by[0], h - by[1], w - by[2]];

/** Frames of a slice. @param {Spec} spec @param {number} t @returns {number[]} */
export const framesOf = (spec, t) => spec.slice_of_frame.flatMap((slice, f) => (slice === t ? [f] : []));

/** @param {number[]} a @param {number[]} b */
export const distanceBetween = (a, b) => a.reduce((sum, x, k) => sum + Math.abs(x - b[k]), 0);

/** Steps from a corner with nothing known. @param {Spec} spec */
export const stepsFromCorner = ({ grid }) => grid[0] + grid[1] + grid[2] - 2;

/**
 * Tokens that describe the whole clip are no places in it: before the end there is nothing to see in a cell.
 * @param {Spec} spec
 */
export const isHolistic = (spec) => spec.accepts_known === false;

/** @type {Record<string, string>} */
const MIRRORED = { '+w': '-w', '-w': '+w' };

/**
 * Files of before may hold the mirror image of a growth from the upper left.
 * @param {Spec} spec @param {Position} seedPosition
 */
const isMirror = (spec, seedPosition) => Boolean(spec.mirrors && `${seedPosition}` === `0,0,${spec.grid[2] - 1}`);

/** How far cell i is from the start, in the model's own order. @param {Spec} spec @param {Position} start @param {number} i */
function distanceOf({ grid, order }, start, i) {
  const n = cellsOf(grid);
  return order === 'raster' ? (i - flatOf(grid, start) + n) % n : distanceBetween(positionOf(grid, i), start);
}

/**
 * @param {Spec} spec
 * @param {Position} seedPosition
 * @param {ArrayLike<number> | null} [known] 1 for every known cell
 * @returns {Plan}
 */
export function makePlan(spec, seedPosition, known = null) {
  const n = cellsOf(spec.grid);
  const distance = new Int32Array(n);
  const fronts = /** @type {Set<number>} */ (new Set());
  for (let i = 0; i < n; i++) {
    distance[i] = distanceOf(spec, seedPosition, i);
    if (!known?.[i]) fronts.add(distance[i]);
  }
  const rank = new Map([...fronts].sort((a, b) => a - b).map((d, k) => [d, k + 1]));
  const step = Uint16Array.from(distance, (d, i) => (known?.[i] ? 0 : (rank.get(d) ?? 0)));
  return planFromSteps(spec, seedPosition, step, distance);
}

/**
 * A plan whose steps were read from a message or a file; step 0 means the cell was given.
 * @param {Spec} spec @param {Position} seedPosition @param {Uint16Array} step @param {Int32Array} [distance]
 * @returns {Plan}
 */
export function planFromSteps(spec, seedPosition, step, distance) {
  const total = step.reduce((a, b) => Math.max(a, b), 0);
  const counts = new Array(total + 1).fill(0);
  const cells = Array.from({ length: total + 1 }, () => /** @type {number[]} */ ([]));
  step.forEach((s, i) => {
    counts[s]++;
    cells[s].push(i);
  });
  const mirrored = isMirror(spec, seedPosition);
  return {
    spec,
    seedPosition,
    step,
    distance: distance ?? Int32Array.from(step, (_, i) => distanceOf(spec, seedPosition, i)),
    total,
    counts,
    cells,
    mirrored,
    directions: mirrored ? spec.directions.map((d) => MIRRORED[d] ?? d) : spec.directions,
  };
}

/** The proximity mask: a cell sees every cell of its own or a lower level. @param {Plan} plan */
const levelsOf = (plan) => (plan.spec.known_level === 'distance' ? plan.distance : plan.step);

/** @param {Plan} plan @param {number} i @param {number} other */
export const maySee = (plan, i, other) => levelsOf(plan)[other] <= levelsOf(plan)[i];

/**
 * Does what grows beside a kept cell see it? Where kept cells are seen at their distance only, what
 * grows to their left or above does not.
 * @param {Plan} plan
 */
export function followsKept(plan) {
  const { grid } = plan.spec;
  for (let i = 0; i < plan.step.length; i++) {
    if (!plan.step[i]) continue;
    for (const head of HEADS) {
      const beside = senderAt(positionOf(grid, i), head);
      if (!isInside(grid, beside)) continue;
      const j = flatOf(grid, beside);
      if (!plan.step[j] && !maySee(plan, i, j)) return false;
    }
  }
  return true;
}

/** Whether cells reach from end to end of the grid along each axis. @param {Position[]} cells @param {Position} grid */
const isWide = (cells, grid) =>
  grid.every((side, k) => [0, side - 1].every((end) => cells.some((at) => at[k] === end)));

/**
 * Where growth starts unless it is said: in the middle of what is known, or of a hole in it; as `start_amid`.
 * @param {ArrayLike<number>} known 1 for every known cell, of which there is one at least @param {Position} grid
 */
export function startAmid(known, grid) {
  const all = Array.from({ length: cellsOf(grid) }, (_, i) => positionOf(grid, i));
  const [given, open] = [1, 0].map((kind) => all.filter((_, i) => known[i] === kind));
  const cells = isWide(given, grid) && open.length && !isWide(open, grid) ? open : given;
  const middle = [0, 1, 2].map((k) => {
    const along = cells.map((at) => at[k]);
    return (Math.min(...along) + Math.max(...along) + 1) >> 1;
  });
  return cells.reduce((best, at) => (distanceBetween(at, middle) < distanceBetween(best, middle) ? at : best));
}

/** @typedef {{ cell: number, from: Position, head: Head }} Sender */

/**
 * The neighbours that predict cell i: those of lower level whose direction the checkpoint has.
 * @param {Plan} plan @param {number} i
 */
export function sendersOf(plan, i) {
  const { spec, step, directions } = plan;
  const senders = /** @type {Sender[]} */ ([]);
  if (step[i] === 0) return senders;
  const at = positionOf(spec.grid, i);
  const level = levelsOf(plan);
  if (spec.order === 'raster') {
    const before = i - 1;
    if (before >= 0 && level[before] < level[i])
      senders.push({ cell: before, from: positionOf(spec.grid, before), head: HEADS[0] });
    return senders;
  }
  for (const head of HEADS) {
    const from = senderAt(at, head);
    if (!directions.includes(head.name) || !isInside(spec.grid, from)) continue;
    const cell = flatOf(spec.grid, from);
    if (level[cell] < level[i]) senders.push({ cell, from, head });
  }
  return senders;
}

/** Can every unknown cell be reached? A seed with no sender is predicted by the condition. @param {Plan} plan */
export function isLegal(plan) {
  const { spec, seedPosition } = plan;
  if (spec.seed_positions === 'corner' && seedPosition.some((x) => x > 0)) return false;
  const seed = flatOf(spec.grid, seedPosition);
  return plan.step.every((s, i) => !s || i === seed || sendersOf(plan, i).length > 0);
}

/**
 * Among all cells, the legal seed position nearest to a wished one; null where there is none.
 * @param {Spec} spec @param {Position} wished @param {ArrayLike<number> | null} known
 */
export function nearestLegal(spec, wished, known) {
  const all = Array.from({ length: cellsOf(spec.grid) }, (_, i) => positionOf(spec.grid, i));
  all.sort((a, b) => distanceBetween(a, wished) - distanceBetween(b, wished));
  return all.find((at) => isLegal(makePlan(spec, at, known))) ?? null;
}
