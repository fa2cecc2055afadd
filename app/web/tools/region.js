// The cells of a grid that are kept, and where growth starts because of them. Pure.

import { cellsOf, followsKept, isLegal, makePlan, nearestLegal, positionOf, startAmid } from '../plan.js';

/** @typedef {import('../plan.js').Position} Position */
/** @typedef {import('../plan.js').Spec} Spec */

/**
 * @typedef {object} Region
 * @property {Uint8Array} keep 1 for every kept cell
 * @property {import('./board.js').Extent} rectangle what the tool of that name keeps of a board
 * @property {import('./board.js').Cell} cursor where the keyboard's brush is on it
 * @property {import('./board.js').Cell | null} brushed where the pointer was last
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

/** Nothing is kept yet. @param {Spec} spec @returns {Region} */
export const emptyRegion = ({ grid: [T, H, W] }) => ({
  keep: new Uint8Array(T * H * W),
  rectangle: { top: 0, left: 0, bottom: H, right: W },
  cursor: [H >> 1, W >> 1],
  brushed: null,
});

/**
 * The first slices of a clip are kept, and growth starts amid them.
 * @param {Region} region @param {Position} grid @param {number} count
 * @returns {Placed}
 */
export function withSlices(region, grid, count) {
  const keep = cellsWhere(grid, (_h, _w, t) => t < count);
  return { region: { ...region, keep }, seedPosition: startAmid(keep, grid) };
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
