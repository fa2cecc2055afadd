// A thing alone on a plain ground: where it stands, and where a model of a world would have it stand. Pure.

/** @typedef {import('../plan.js').Spec} Spec */
/** @typedef {{ x: number, y: number, wide: number, high: number, ground: [number, number, number] }} Subject */

const PLAIN = 40; // of 255: what differs less is ground
const SMALLEST = 0.1; // of the picture's longer side
const LARGEST = 0.85; // what is larger are several things, or a scene
const SAME = 0.05; // what is as large already keeps its pixels

/**
 * What stands alone on a ground of one colour; null where the edge has several, or nothing or too much stands there.
 * @param {{ data: Uint8ClampedArray, width: number, height: number }} pixels opaque
 * @returns {Subject | null}
 */
export function subjectOf({ data, width, height }) {
  const ground = /** @type {[number, number, number]} */ ([data[0], data[1], data[2]]);
  const differs = (/** @type {number} */ x, /** @type {number} */ y) =>
    ground.some((value, c) => Math.abs(data[4 * (y * width + x) + c] - value) > PLAIN);
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!differs(x, y)) continue;
      if (x === 0 || y === 0 || x === width - 1 || y === height - 1) return null;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = y;
    }
  }
  const [wide, high] = [right - left + 1, bottom - top + 1];
  const share = Math.max(wide, high) / Math.max(width, height);
  return right < 0 || share < SMALLEST || share > LARGEST ? null : { x: left, y: top, wide, high, ground };
}

/**
 * Where a picture is drawn so that its subject is as large as the model's things alone, and lies on its grid.
 * @param {Subject} subject in the pixels of the picture @param {Spec} spec of a model with such things
 * @param {[number, number] | null} [stands] column and row of the first cell of its box, else the middle
 */
export function placeOf({ x, y, wide, high }, { grid: [, H, W], size: [, width], alone = 0 }, stands) {
  const cell = width / W;
  const wanted = (alone * cell) / Math.max(wide, high);
  const scale = Math.abs(wanted - 1) < SAME ? 1 : wanted;
  // on pixels that stay, cells lie where they lay
  const edge = (/** @type {number} */ at) => (scale === 1 ? Math.floor(at / cell) * cell : at * scale);
  const cells = (/** @type {number} */ at, /** @type {number} */ n) =>
    Math.min(alone, Math.ceil(((at + n) * scale - edge(at)) / cell - 1e-6));
  const [left, top] = stands ?? [(W - alone) >> 1, (H - alone + 1) >> 1];
  const column = left + ((alone - cells(x, wide)) >> 1);
  const row = top + ((alone - cells(y, high)) >> 1);
  return { scale, x: column * cell - edge(x), y: row * cell - edge(y) };
}
