// One moment of a growth on a canvas of its own: the panes of the lab and of the article.

import { shownSlices } from '../store.js';
import { penOf, resizeCanvas } from './dom.js';
import { coloursOf, paintGrid, tilesOf } from './grid.js';

/** @typedef {import('../plan.js').Position} Position */
/** @typedef {import('../plan.js').Spec} Spec */
/** @typedef {import('../store.js').Layout} Layout */

/**
 * The cell of a canvas that an event lies over.
 * @param {HTMLCanvasElement} canvas @param {Spec} spec @param {Layout} layout @param {number[]} slices
 * @param {{ clientX: number, clientY: number }} event
 * @param {Pick<import('./grid.js').Frame, 'bounds' | 'at'> | null} [frame] the board around the grid
 * @returns {Position | null}
 */
export function cellUnder(canvas, spec, layout, slices, { clientX, clientY }, frame = null) {
  const box = canvas.getBoundingClientRect();
  const scale = canvas.width / box.width;
  const [px, py] = [(clientX - box.left) * scale, (clientY - box.top) * scale];
  const [, H, W] = spec.grid;
  const { tiles } = tilesOf(spec, canvas.width, layout, frame);
  for (let k = 0; k < slices.length; k++) {
    const { x, y, cell } = tiles[k];
    const [h, w] = [Math.floor((py - y) / cell), Math.floor((px - x) / cell)];
    if (h >= 0 && h < H && w >= 0 && w < W) return [slices[k], h, w];
  }
  return null;
}

/**
 * @param {HTMLCanvasElement} canvas @param {Element} root whose colours it takes
 * @param {{ plan: import('../plan.js').Plan, step: number, layout?: Layout, tick?: number }
 *   & Partial<import('./grid.js').Scene>} moment
 */
export function paintPane(canvas, root, { plan, step, layout = 'slices', tick = 0, ...more }) {
  const density = window.devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * density);
  if (!width) return;
  const { spec, seedPosition } = plan;
  const { height } = tilesOf(spec, width, layout);
  resizeCanvas(canvas, width, height);
  canvas.style.aspectRatio = `${width} / ${height}`;
  paintGrid(penOf(canvas), width, {
    ...{ plan, step, density, seedPosition },
    ...shownSlices({ layout, tick, seedPosition, repeat: true }, spec),
    ...{ image: null, row: 0, ready: false, isLegal: true },
    layers: { picture: true, front: true },
    hideFront: step >= plan.total,
    colours: coloursOf(root),
    ...more,
  });
}
