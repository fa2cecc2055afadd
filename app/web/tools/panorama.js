// Beyond the canvas: windows that overlap what exists. Pure; the pixels are put together in pixels.js.

import { cellsOf, distanceBetween, flatOf, positionOf } from '../plan.js';
import { sampleOf } from '../run.js';
import { UNKNOWN_TOKEN } from '../wire.js';

/** @typedef {import('../plan.js').Position} Position */
/** @typedef {import('../plan.js').Spec} Spec */
/** @typedef {import('../run.js').Run} Run */

/** @typedef {{ at: [number, number], tokens: Uint16Array, image: import('../run.js').Pixels }} Piece */

/**
 * What has grown, each piece at its place in cells; the newest lies on top.
 * @typedef {{ spec: Spec, pieces: Piece[], at: [number, number] }} Panorama
 */

/**
 * A finished run takes its place.
 * @param {Panorama | null} panorama @param {Run} run @param {number} sample
 * @returns {Panorama}
 */
export function withPiece(panorama, run, sample) {
  const piece = {
    at: run.window ?? /** @type {[number, number]} */ ([0, 0]),
    tokens: sampleOf(run, run.tokens, Math.min(sample, run.samples - 1)).slice(),
    image: run.finals[Math.min(sample, run.finals.length - 1)],
  };
  const goesOn = panorama && run.window && panorama.spec === run.spec;
  const pieces = goesOn ? [...panorama.pieces] : [];
  if (`${pieces.at(-1)?.at}` === `${piece.at}`) pieces.pop(); // grown again
  return { spec: run.spec, pieces: [...pieces, piece], at: piece.at };
}

/**
 * The window half a grid further.
 * @param {Panorama} panorama @param {[number, number]} by @returns {[number, number]}
 */
export function windowBeside({ spec, at }, [dh, dw]) {
  return [at[0] + dh * (spec.grid[1] >> 1), at[1] + dw * (spec.grid[2] >> 1)];
}

/**
 * The cells of a window that have grown already, with their tokens: encoded anew, the white around them would
 * colour their border.
 * @param {Panorama} panorama @param {[number, number]} at
 */
export function overlapOf({ spec, pieces }, at) {
  const [, H, W] = spec.grid;
  const keep = new Uint8Array(cellsOf(spec.grid));
  const tokens = new Uint16Array(keep.length).fill(UNKNOWN_TOKEN);
  for (const piece of pieces) {
    const [h0, w0] = [piece.at[0] - at[0], piece.at[1] - at[1]];
    for (let h = Math.max(0, h0); h < Math.min(H, h0 + H); h++) {
      for (let w = Math.max(0, w0); w < Math.min(W, w0 + W); w++) {
        const i = flatOf(spec.grid, [0, h, w]);
        keep[i] = 1;
        tokens[i] = piece.tokens[flatOf(spec.grid, [0, h - h0, w - w0])];
      }
    }
  }
  return { keep, tokens };
}

/**
 * The kept cell nearest to the middle of its grid.
 * @param {Uint8Array} keep @param {Position} grid @returns {Position}
 */
export function keptNearMiddle(keep, grid) {
  const middle = [0, grid[1] >> 1, grid[2] >> 1];
  const kept = [...keep.keys()].filter((i) => keep[i]).map((i) => positionOf(grid, i));
  return kept.reduce((best, at) => (distanceBetween(at, middle) < distanceBetween(best, middle) ? at : best));
}

/** Corner and size in cells of everything that has grown. @param {Panorama} panorama */
export function extentOf({ spec, pieces }) {
  const rows = pieces.map((piece) => piece.at[0]);
  const columns = pieces.map((piece) => piece.at[1]);
  const [top, left] = [Math.min(...rows), Math.min(...columns)];
  return {
    top,
    left,
    height: Math.max(...rows) - top + spec.grid[1],
    width: Math.max(...columns) - left + spec.grid[2],
  };
}
