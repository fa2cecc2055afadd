// The part of a picture that is kept, and where growth starts because of it. Pure.

import {
  cellsOf,
  distanceBetween,
  flatOf,
  followsKept,
  HEADS,
  isInside,
  isLegal,
  makePlan,
  nearestLegal,
  positionOf,
  senderAt,
} from '../plan.js';

/** @typedef {import('../plan.js').Position} Position */
/** @typedef {import('../plan.js').Spec} Spec */

/**
 * @typedef {object} Region
 * @property {Uint8Array} keep 1 for every kept cell
 * @property {[number, number, number, number]} rectangle top, left, bottom, right
 * @property {[number, number]} cursor where the keyboard's brush is
 * @property {'rectangle' | 'brush' | 'slices' | 'window'} shape what it was made by
 * @property {Position | null} brushed where the pointer's brush was last
 */
/** @typedef {'keep' | 'erase' | 'start'} Tool */
/** @typedef {{ region: Region, seedPosition: Position }} Placed */

/** @param {number} x @param {number} low @param {number} high */
export const clamp = (x, low, high) => Math.max(low, Math.min(high, x));

/**
 * Cells of every slice for which `isKept(h, w, t)`.
 * @param {Position} grid @param {(h: number, w: number, t: number) => boolean} isKept
 */
const cellsWhere = (grid, isKept) =>
  Uint8Array.from({ length: cellsOf(grid) }, (_, i) => {
    const [t, h, w] = positionOf(grid, i);
    return isKept(h, w, t) ? 1 : 0;
  });

/** The middle half of the picture. @param {Spec} spec @returns {Placed} */
export function middleOf({ grid: [T, H, W] }) {
  const rectangle = /** @type {Region['rectangle']} */ (
    [H / 4, W / 4].map(Math.floor).concat([(3 * H) / 4, (3 * W) / 4].map(Math.ceil))
  );
  const cursor = /** @type {[number, number]} */ ([Math.floor(H / 2), Math.floor(W / 2)]);
  return withRectangle({ cursor, brushed: null }, [T, H, W], rectangle);
}

/**
 * @param {Pick<Region, 'cursor' | 'brushed'>} region @param {Position} grid @param {Region['rectangle']} rectangle
 * @returns {Placed}
 */
export function withRectangle(region, grid, rectangle) {
  const [top, left, bottom, right] = rectangle;
  const keep = cellsWhere(grid, (h, w) => h >= top && h < bottom && w >= left && w < right);
  return {
    region: { ...region, rectangle, keep, shape: 'rectangle' },
    seedPosition: [0, (top + bottom) >> 1, (left + right) >> 1],
  };
}

/**
 * The first slices of a clip are kept.
 * @param {Region} region @param {Position} grid @param {number} count
 * @returns {Placed}
 */
export const withSlices = (region, grid, count) => ({
  region: { ...region, keep: cellsWhere(grid, (_h, _w, t) => t < count), shape: 'slices' },
  seedPosition: [0, grid[1] >> 1, grid[2] >> 1],
});

/**
 * Everything is kept but a hole in the middle.
 * @param {Region} region @param {Spec} spec @param {Position} seedPosition
 * @returns {Placed}
 */
export function withHole(region, { grid }, seedPosition) {
  const [, H, W] = grid;
  const keep = new Uint8Array(cellsOf(grid)).fill(1);
  for (let h = Math.floor((3 * H) / 8); h < Math.floor((5 * H) / 8); h += 2) {
    for (let w = Math.floor((3 * W) / 8); w < Math.floor((5 * W) / 8); w += 2) brush(keep, grid, h, w, 0);
  }
  return { region: { ...region, keep, shape: 'brush' }, seedPosition: bestHoleCell(keep, grid) ?? seedPosition };
}

/**
 * Two by two cells.
 * @param {Uint8Array} keep is changed @param {Position} grid @param {number} h0 @param {number} w0
 * @param {number} kept
 */
function brush(keep, grid, h0, w0, kept) {
  for (let t = 0; t < grid[0]; t++) {
    for (const h of [h0, h0 + 1]) {
      for (const w of [w0, w0 + 1]) if (h < grid[1] && w < grid[2]) keep[flatOf(grid, [t, h, w])] = kept;
    }
  }
}

/**
 * Brush along a line, without gaps.
 * @param {Region} region @param {Spec} spec @param {Position} to @param {Position} seedPosition
 * @returns {Placed}
 */
export function brushedTo(region, { grid }, to, seedPosition) {
  const last = region.brushed ?? to;
  const steps = Math.max(1, distanceBetween(last, to));
  const keep = region.keep.slice();
  const between = (/** @type {number} */ axis, /** @type {number} */ k) =>
    Math.round(last[axis] + ((to[axis] - last[axis]) * k) / steps);
  for (let k = 0; k <= steps; k++) brush(keep, grid, between(1, k), between(2, k), 0);
  return { region: { ...region, keep, brushed: to }, seedPosition: bestHoleCell(keep, grid) ?? seedPosition };
}

/**
 * Erase under the cursor, or keep again what is erased there.
 * @param {Region} region @param {Spec} spec @param {Position} seedPosition
 * @returns {Placed}
 */
export function brushedAtCursor(region, { grid }, seedPosition) {
  const keep = region.keep.slice();
  brush(keep, grid, ...region.cursor, keep[flatOf(grid, [0, ...region.cursor])] ? 0 : 1);
  return { region: { ...region, keep }, seedPosition: bestHoleCell(keep, grid) ?? seedPosition };
}

/**
 * The hole's cell with most kept neighbours; among equals the one nearest to the hole's middle.
 * @param {Uint8Array} keep @param {Position} grid
 * @returns {Position | null}
 */
export function bestHoleCell(keep, grid) {
  const hole = [...keep.keys()].filter((i) => !keep[i]).map((i) => positionOf(grid, i));
  if (!hole.length) return null;
  const middle = [0, 1, 2].map((k) => hole.reduce((sum, at) => sum + at[k], 0) / hole.length);
  const score = (/** @type {Position} */ at) => {
    const senders = HEADS.map((head) => senderAt(at, head)).filter((from) => isInside(grid, from));
    return 1000 * senders.filter((from) => keep[flatOf(grid, from)]).length - distanceBetween(at, middle);
  };
  return hole.reduce((best, at) => (score(at) > score(best) ? at : best));
}

/**
 * Move or, with Shift, resize the kept rectangle by one cell.
 * @param {Region} region @param {Spec} spec @param {[number, number]} by @param {boolean} resize
 * @returns {Placed}
 */
export function movedRectangle(region, { grid }, [dh, dw], resize) {
  const [, H, W] = grid;
  let [top, left, bottom, right] = region.rectangle;
  if (resize) {
    bottom = clamp(bottom + dh, top + 1, H);
    right = clamp(right + dw, left + 1, W);
  } else if (top + dh >= 0 && bottom + dh <= H && left + dw >= 0 && right + dw <= W) {
    [top, left, bottom, right] = [top + dh, left + dw, bottom + dh, right + dw];
  }
  return withRectangle(region, grid, [top, left, bottom, right]);
}

/**
 * A checkpoint may not grow from everywhere: the seed position moves to the nearest that is possible.
 * @param {Placed} placed @param {Spec} spec @returns {Placed}
 */
export function legally({ region, seedPosition }, spec) {
  const { keep } = region;
  if (keep.every((k) => k) || isLegal(makePlan(spec, seedPosition, keep))) return { region, seedPosition };
  return { region, seedPosition: nearestLegal(spec, seedPosition, keep) ?? seedPosition };
}

/**
 * Can this checkpoint grow a window of which the far half is known already?
 * @param {Spec} spec @param {[number, number]} by direction in rows and columns
 */
export function canExtend(spec, [dh, dw]) {
  const [, H, W] = spec.grid;
  const keep = cellsWhere(spec.grid, (h0, w0) => {
    const [h, w] = [h0 + dh * (H >> 1), w0 + dw * (W >> 1)];
    return h >= 0 && h < H && w >= 0 && w < W;
  });
  return [...keep.keys()].some((i) => {
    const plan = makePlan(spec, positionOf(spec.grid, i), keep);
    return isLegal(plan) && followsKept(plan);
  });
}
