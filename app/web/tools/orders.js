// In which step each cell of a picture is written, by the ways of growing that the paper's Figure 3 sets side by
// side. These are schedules, not models: they say when, not what. Pure.

/** @typedef {{ steps: Uint16Array, total: number }} Order the step of every cell, counted from 1 */

/** @param {number} side @param {(h: number, w: number) => number} step @returns {Order} */
function ordered(side, step) {
  const steps = Uint16Array.from({ length: side * side }, (_, i) => step(Math.floor(i / side), i % side));
  return { steps, total: steps.reduce((a, b) => Math.max(a, b), 0) };
}

/** AR: one token after another, line by line. @param {number} side */
export const rasterOrder = (side) => ordered(side, (h, w) => h * side + w + 1);

/** NAR: all cells at one distance from the start at once. @param {number} side @param {[number, number]} start */
export const neighbourOrder = (side, [h0, w0] = [0, 0]) =>
  ordered(side, (h, w) => Math.abs(h - h0) + Math.abs(w - w0) + 1);

/**
 * PAR: as many regions as `regions`, a square number. Their first tokens one after the other, then the next token of
 * every region at once.
 * @param {number} side @param {number} regions
 */
export function parallelOrder(side, regions) {
  const across = Math.sqrt(regions);
  const tall = side / across;
  return ordered(side, (h, w) => {
    const inside = (h % tall) * tall + (w % tall);
    return inside ? regions + inside : Math.floor(h / tall) * across + Math.floor(w / tall) + 1;
  });
}

/** Numbers from 0 to 1, always the same. @param {number} state */
function numbers(state) {
  let x = state;
  return () => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    return x / 2 ** 32;
  };
}

/**
 * MAR: a random order, of which each step takes a part, small ones first: after step k of n the cosine of
 * k / n of a right angle is still masked.
 * @param {number} side @param {number} total steps
 * @returns {Order}
 */
export function maskedOrder(side, total) {
  const cells = side * side;
  const draw = numbers(7);
  const shuffled = Array.from({ length: cells }, (_, i) => i);
  for (let i = cells - 1; i > 0; i--) {
    const j = Math.floor(draw() * (i + 1));
    [shuffled[i], shuffled[j]] = [shuffled[j], shuffled[i]];
  }
  const steps = new Uint16Array(cells);
  let written = 0;
  for (let k = 1; k <= total; k++) {
    const masked = Math.floor(cells * Math.cos((Math.PI / 2) * (k / total)));
    // every step writes at least one cell and leaves at least one for each that follows
    const end = k === total ? cells : Math.min(Math.max(cells - masked, written + 1), cells - (total - k));
    for (; written < end; written++) steps[shuffled[written]] = k;
  }
  return { steps, total };
}

/** VAR: sides of the maps that it writes, each of them whole in one step, from coarse to fine. */
export const SCALES = [1, 2, 3, 4, 5, 6, 8, 10, 13, 16];

/** The cell of a coarse map that lies over cell i of a grid. @param {number} i @param {number} side @param {number} scale */
export function coarseCell(i, side, scale) {
  const [h, w] = [Math.floor(i / side), i % side].map((x) => Math.floor((x * scale) / side));
  return h * scale + w;
}
