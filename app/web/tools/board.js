// The whole picture that is outpainted: what was given and what has grown, each piece at its place in cells, holes in
// it, and how far it is to grow. Pure; the pixels are put together in pixels.js.

import { cellsOf, distanceBetween, positionOf, startAmid } from '../plan.js';
import { sampleOf } from '../run.js';
import { UNKNOWN_TOKEN } from '../wire.js';
import { clamp } from './region.js';

/** @typedef {import('../plan.js').Position} Position */
/** @typedef {import('../plan.js').Spec} Spec */
/** @typedef {import('../run.js').Run} Run */
/** @typedef {import('../run.js').Given} Given */
/** @typedef {[number, number]} Cell row and column, counted from the upper left of what was given first */
/** @typedef {{ top: number, left: number, bottom: number, right: number }} Extent in cells; the last two lie outside */
/** @typedef {'left' | 'top' | 'right' | 'bottom'} Side */

/**
 * @typedef {object} Piece
 * @property {Cell} at its upper left
 * @property {Uint16Array | null} tokens where they are known
 * @property {import('../run.js').Pixels} image
 * @property {string} run that grew it; none of what was given
 * @property {string} file its address as a PNG with its recipe, likewise
 */

/**
 * @typedef {object} Board
 * @property {Spec} spec
 * @property {Piece[]} pieces the newest lies on top
 * @property {ReadonlySet<string>} hole cells that are to grow again, as "row,column"
 * @property {'brush' | 'rectangle'} shape what the hole was made by
 * @property {Extent | null} wanted how far it is to grow
 */

/** A part of a board, as large as the model's grid. @typedef {{ at: Cell, keep: Uint8Array, missing: number }} Window */

/** Sides of a board, with what pulling them changes. @type {Record<Side, [keyof Extent, number]>} */
const PULLED = { left: ['left', -1], top: ['top', -1], right: ['right', 1], bottom: ['bottom', 1] };
/** @type {Side[]} */
export const SIDES = ['left', 'top', 'right', 'bottom'];

/** Most grids side by side: what is wider is neither seen nor saved well. */
const MOST = 8;

/** @param {Cell} cell */
const key = ([h, w]) => `${h},${w}`;

/** Nothing is there yet. @param {Spec} spec @returns {Board} */
export const emptyBoard = (spec) => ({ spec, pieces: [], hole: new Set(), shape: 'brush', wanted: null });

/** A picture of the grid's size, whole. @param {Spec} spec @param {Given} given @returns {Board} */
export const boardOf = (spec, { image, tokens }) => ({
  ...emptyBoard(spec),
  pieces: [{ at: [0, 0], tokens, image, run: '', file: '' }],
});

/** What was given has these tokens. @param {Board} board @param {Uint16Array} tokens @returns {Board} */
export const withTokens = (board, tokens) => ({
  ...board,
  pieces: board.pieces.map((piece) => (piece.run === '' ? { ...piece, tokens } : piece)),
});

/** Everything that is there. @param {Board} board @returns {Extent} */
export function extentOf({ spec, pieces }) {
  const rows = pieces.map((piece) => piece.at[0]);
  const columns = pieces.map((piece) => piece.at[1]);
  return {
    top: Math.min(...rows),
    left: Math.min(...columns),
    bottom: Math.max(...rows) + spec.grid[1],
    right: Math.max(...columns) + spec.grid[2],
  };
}

/** With what it is to become. @param {Board} board @returns {Extent} */
export const boundsOf = (board) => board.wanted ?? extentOf(board);

/** @param {Extent} extent @returns {[number, number]} rows and columns */
export const sizeOf = ({ top, left, bottom, right }) => [bottom - top, right - left];

/** @param {Board} board @param {Cell} cell @returns {Piece | undefined} the one that is seen there */
const pieceAt = ({ spec, pieces }, [h, w]) =>
  pieces.findLast(({ at }) => h >= at[0] && h < at[0] + spec.grid[1] && w >= at[1] && w < at[1] + spec.grid[2]);

/** Whether a cell is there and is to stay. @param {Board} board @param {Cell} cell */
export const isKept = (board, cell) => !board.hole.has(key(cell)) && pieceAt(board, cell) !== undefined;

/** @type {WeakMap<Board, Cell[]>} */
const lacking = new WeakMap();

/** Cells that are to grow. @param {Board} board @returns {Cell[]} */
export function missingOf(board) {
  const found = lacking.get(board);
  if (found) return found;
  const { top, left, bottom, right } = boundsOf(board);
  const missing = /** @type {Cell[]} */ ([]);
  for (let h = top; h < bottom; h++)
    for (let w = left; w < right; w++) if (!isKept(board, [h, w])) missing.push([h, w]);
  lacking.set(board, missing);
  return missing;
}

/** What a window looks like. @param {Board} board @param {Cell} at @returns {Window} */
export function windowAt(board, at) {
  const { grid } = board.spec;
  const keep = new Uint8Array(cellsOf(grid));
  let missing = 0;
  for (let i = 0; i < keep.length; i++) {
    const [, h, w] = positionOf(grid, i);
    keep[i] = isKept(board, [at[0] + h, at[1] + w]) ? 1 : 0;
    missing += 1 - keep[i];
  }
  return { at, keep, missing };
}

/** The window nearest to a place that shows nothing but the picture. @param {Board} board @param {Cell} at */
export function windowNear(board, at) {
  const { top, left, bottom, right } = extentOf(board);
  const [, H, W] = board.spec.grid;
  return windowAt(board, [clamp(at[0], top, bottom - H), clamp(at[1], left, right - W)]);
}

/**
 * Where a window may lie between two edges: half a grid apart.
 * @param {number} first @param {number} last @param {number} side of the grid
 */
function stops(first, last, side) {
  const out = [];
  for (let at = first; at < last - side; at += side >> 1) out.push(at);
  return [...out, last - side];
}

/**
 * The part that grows next: around all that is missing where it has room for it, else where most is known.
 * @param {Board} board @returns {Window | null} none where nothing is missing
 */
export function nextWindow(board) {
  const missing = missingOf(board);
  if (!missing.length) return null;
  const { top, left, bottom, right } = boundsOf(board);
  const [, H, W] = board.spec.grid;
  const range = (/** @type {number[]} */ all) => [Math.min(...all), Math.max(...all) + 1];
  const [[h0, h1], [w0, w1]] = [range(missing.map(([h]) => h)), range(missing.map(([, w]) => w))];
  if (h1 - h0 <= H && w1 - w0 <= W) {
    const window = windowAt(board, [
      clamp(Math.floor((h0 + h1 - H) / 2), top, bottom - H),
      clamp(Math.floor((w0 + w1 - W) / 2), left, right - W),
    ]);
    if (window.missing < H * W) return window; // one that holds nothing could only begin anew
  }
  const all = stops(top, bottom, H).flatMap((h) =>
    stops(left, right, W).map((w) => windowAt(board, /** @type {Cell} */ ([h, w]))),
  );
  const open = all.filter((window) => window.missing && window.missing < H * W);
  return open.reduce((best, window) => (window.missing < best.missing ? window : best), open[0] ?? null);
}

/**
 * Tokens of a window's kept cells where they lie as they were grown or read; null elsewhere: a token at the edge of its
 * picture means something else in the middle of another, which is encoded anew.
 * @param {Board} board @param {Window} window
 */
export function tokensOf(board, { at, keep }) {
  const tokens = new Uint16Array(keep.length).fill(UNKNOWN_TOKEN);
  for (let i = 0; i < keep.length; i++) {
    if (!keep[i]) continue;
    const [, h, w] = positionOf(board.spec.grid, i);
    const piece = /** @type {Piece} */ (pieceAt(board, [at[0] + h, at[1] + w]));
    if (!piece.tokens || piece.at[0] !== at[0] || piece.at[1] !== at[1]) return null;
    tokens[i] = piece.tokens[i];
  }
  return tokens;
}

/**
 * What is put where a window shows nothing yet, so that what it does show has no edge when it is encoded: mirror images
 * of the nearest cells.
 * @param {Board} board @param {Cell} at
 * @returns {{ cell: Cell, from: Cell, flips: [boolean, boolean] }[]} places in the window; flipped up and down, left and
 * right
 */
export function mirrorsOf(board, at) {
  const [, H, W] = board.spec.grid;
  const all = Array.from({ length: H * W }, (_, i) => /** @type {Cell} */ ([Math.floor(i / W), i % W]));
  const isThere = (/** @type {Cell} */ [h, w]) => pieceAt(board, [at[0] + h, at[1] + w]) !== undefined;
  const there = all.filter(isThere);
  if (!there.length) return [];
  return all.flatMap((cell) => {
    if (isThere(cell)) return [];
    const far = (/** @type {Cell} */ [h, w]) => Math.abs(h - cell[0]) + Math.abs(w - cell[1]);
    const near = there.reduce((best, next) => (far(next) < far(best) ? next : best));
    const beyond = [cell[0] - near[0], cell[1] - near[1]];
    const mirrored = /** @type {Cell} */ (near.map((x, axis) => x - beyond[axis] + Math.sign(beyond[axis])));
    const isInside = mirrored[0] >= 0 && mirrored[0] < H && mirrored[1] >= 0 && mirrored[1] < W;
    const from = isInside && isThere(mirrored) ? mirrored : near;
    return [{ cell, from, flips: /** @type {[boolean, boolean]} */ ([beyond[0] !== 0, beyond[1] !== 0]) }];
  });
}

/**
 * Where a window grows from: amid what is kept or in a hole of it, or beside the edge that was pulled.
 * @param {Board} board @param {Window} window @returns {Position}
 */
export function startIn(board, { keep }) {
  const { grid } = board.spec;
  if (board.hole.size) return startAmid(keep, grid);
  const middle = /** @type {Position} */ ([0, grid[1] >> 1, grid[2] >> 1]);
  const kept = [...keep.keys()].filter((i) => keep[i]).map((i) => positionOf(grid, i));
  return kept.reduce((best, cell) => (distanceBetween(cell, middle) < distanceBetween(best, middle) ? cell : best));
}

/**
 * A finished run takes its place, also that of another sample of it.
 * @param {Board} board @param {Run} run @param {number} sample
 * @returns {Board}
 */
export function withPiece(board, run, sample) {
  const [, H, W] = board.spec.grid;
  const at = run.window ?? /** @type {Cell} */ ([0, 0]);
  const piece = {
    at,
    tokens: sampleOf(run, run.tokens, Math.min(sample, run.samples - 1)).slice(),
    image: run.finals[Math.min(sample, run.finals.length - 1)],
    run: run.id,
    file: run.pictures[Math.min(sample, run.pictures.length - 1)] ?? '',
  };
  const below = board.pieces.filter(({ run: id }) => id !== run.id);
  const hole = new Set(board.hole);
  for (let h = at[0]; h < at[0] + H; h++) for (let w = at[1]; w < at[1] + W; w++) hole.delete(key([h, w]));
  const next = { ...board, pieces: [...below, piece], hole };
  return missingOf(next).length ? next : { ...next, wanted: null };
}

/**
 * It is to grow so many cells further on one side; what was brushed stays as it is.
 * @param {Board} board @param {Side} side @param {number} cells @returns {Board}
 */
export function pulled(board, side, cells) {
  const extent = extentOf(board);
  const [edge, sign] = PULLED[side];
  const [, H, W] = board.spec.grid;
  const [rows, columns] = sizeOf(extent);
  const room = edge === 'top' || edge === 'bottom' ? MOST * H - rows : MOST * W - columns;
  const by = clamp(cells, 0, Math.max(0, room));
  const wanted = by ? { ...extent, [edge]: extent[edge] + sign * by } : null;
  return { ...board, hole: new Set(), wanted };
}

/** How many cells it is to grow on a side. @param {Board} board @param {Side} side */
export function reachOf(board, side) {
  const [edge, sign] = PULLED[side];
  return sign * (boundsOf(board)[edge] - extentOf(board)[edge]);
}

/**
 * What grows where nobody has said what: half a grid to the left and to the right, or where the model can.
 * @param {Board} board @param {Side[]} able @returns {Board}
 */
export function widened(board, able) {
  const by = board.spec.grid[2] >> 1;
  const sides = able.filter((side) => side === 'left' || side === 'right');
  const wanted = { ...extentOf(board) };
  for (const side of sides) wanted[side] = pulled(board, side, by).wanted?.[side] ?? wanted[side];
  return { ...board, wanted: sides.length ? wanted : null };
}

/**
 * Brush along a line, two by two cells and without gaps.
 * @param {Board} board @param {Cell} from @param {Cell} to @returns {Board}
 */
export function brushed(board, from, to) {
  const steps = Math.max(1, distanceBetween(from, to));
  const hole = new Set(board.shape === 'brush' ? board.hole : []);
  for (let k = 0; k <= steps; k++) {
    const [h, w] = from.map((x, axis) => Math.round(x + ((to[axis] - x) * k) / steps));
    for (const cell of dab([h, w])) if (pieceAt(board, cell)) hole.add(key(cell));
  }
  return { ...board, hole, shape: 'brush', wanted: null };
}

/** What the brush covers. @param {Cell} at @returns {Cell[]} */
const dab = ([h, w]) => [
  [h, w],
  [h, w + 1],
  [h + 1, w],
  [h + 1, w + 1],
];

/** Brush at a cell, or keep again what is brushed there. @param {Board} board @param {Cell} at @returns {Board} */
export function dabbed(board, at) {
  if (!board.hole.has(key(at)) || board.shape !== 'brush') return brushed(board, at, at);
  const hole = new Set(board.hole);
  for (const cell of dab(at)) hole.delete(key(cell));
  return { ...board, hole };
}

/** Only a rectangle is kept. @param {Board} board @param {Extent} rectangle @returns {Board} */
export function keptIn(board, rectangle) {
  const { top, left, bottom, right } = extentOf(board);
  const hole = new Set(/** @type {string[]} */ ([]));
  for (let h = top; h < bottom; h++) {
    for (let w = left; w < right; w++) {
      const isInside = h >= rectangle.top && h < rectangle.bottom && w >= rectangle.left && w < rectangle.right;
      if (!isInside && pieceAt(board, [h, w])) hole.add(key([h, w]));
    }
  }
  return { ...board, hole, shape: 'rectangle', wanted: null };
}

/** The middle half of everything. @param {Board} board @returns {Extent} */
export function middleOf(board) {
  const { top, left, bottom, right } = extentOf(board);
  const [rows, columns] = [bottom - top, right - left];
  return {
    top: top + Math.floor(rows / 4),
    left: left + Math.floor(columns / 4),
    bottom: top + Math.ceil((3 * rows) / 4),
    right: left + Math.ceil((3 * columns) / 4),
  };
}

/**
 * A rectangle moved or, with Shift, resized by a cell, and still inside.
 * @param {Board} board @param {Extent} rectangle @param {[number, number]} by @param {boolean} resize
 * @returns {Extent}
 */
export function movedRectangle(board, rectangle, [dh, dw], resize) {
  const all = extentOf(board);
  const { top, left, bottom, right } = rectangle;
  if (resize) {
    return {
      ...rectangle,
      bottom: clamp(bottom + dh, top + 1, all.bottom),
      right: clamp(right + dw, left + 1, all.right),
    };
  }
  const isInside = top + dh >= all.top && bottom + dh <= all.bottom && left + dw >= all.left && right + dw <= all.right;
  return isInside ? { top: top + dh, left: left + dw, bottom: bottom + dh, right: right + dw } : rectangle;
}
