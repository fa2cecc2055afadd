// What the page opens on: one prompt grown in three orders, recorded, a step of each at a time.

import { loadImage } from '../tools/pixels.js';
import { find, findAll, findCanvas, penOf, setText } from './dom.js';

/** @typedef {import('../plan.js').Position} Position */
/** @typedef {{ name: string, title: string, file: string, seed_position: Position | null }} Pane no seed position: one by one */
/** @typedef {{ prompt: string, grid: number[], panes: Pane[] }} Race */
/** @typedef {{ folder: string, recorded: { race: Race | null, examples: import('./examples.js').Example[] } }} Recorded */

const PACE = 110; // ms for a step
const HOLD = 3000; // ms at the end
const PIXELS = 320;

/**
 * The step that writes each cell of a picture when nothing is known: its distance from the start, else its number.
 * @param {number[]} grid @param {Position | null} seedPosition @returns {number[]}
 */
export function orderOf([, H, W], seedPosition) {
  return Array.from({ length: H * W }, (_, i) =>
    seedPosition ? 1 + Math.abs(Math.floor(i / W) - seedPosition[1]) + Math.abs((i % W) - seedPosition[2]) : i + 1,
  );
}

/** How far a growth is. @param {number} step @param {number} total */
export const progressOf = (step, total) => (step >= total ? `done in ${total} steps` : `step ${step} of ${total}`);

/**
 * What stands of a finished picture at a step, cell by cell.
 * @param {CanvasRenderingContext2D} pen @param {number} side of its square, pixels
 * @param {HTMLImageElement} image a square, or several beside each other
 * @param {{ order: number[], step: number, grid: number[], number?: number }} at `number`: which square, from 0 on
 */
export function paintWritten(pen, side, image, { order, step, grid: [, H, W], number = 0 }) {
  const from = image.naturalHeight;
  const at = (/** @type {number} */ n, /** @type {number} */ of) => Math.round((n * side) / of);
  pen.clearRect(0, 0, side, side);
  order.forEach((written, i) => {
    if (written > step) return;
    const [x, y] = [i % W, Math.floor(i / W)];
    const [left, top] = [at(x, W), at(y, H)];
    const source = /** @type {const} */ ([(number + x / W) * from, (y * from) / H, from / W, from / H]);
    pen.drawImage(image, ...source, left, top, at(x + 1, W) - left, at(y + 1, H) - top);
  });
}

/**
 * @param {HTMLElement} root @param {import('../player.js').Player} player
 * @param {string} folder @param {Race | null} race
 */
export function raceView(root, player, folder, race) {
  const stage = find(root, '.race');
  if (!race) return { render() {} };
  const [, H, W] = race.grid;
  const orders = race.panes.map(({ seed_position }) => orderOf(race.grid, seed_position));
  const totals = orders.map((order) => Math.max(...order));
  const longest = Math.max(...totals);
  let images = /** @type {HTMLImageElement[]} */ ([]);
  let step = 0;
  let clock = 0;

  function build() {
    const told = race?.panes.map(({ title }, k) => `${title.toLowerCase()} in ${totals[k]} steps`).join(', ');
    stage.setAttribute('aria-label', `A recorded race: “${race?.prompt}” grown ${told}.`);
    stage.innerHTML =
      race?.panes
        .map(
          ({ title }) =>
            `<figure><canvas width="${PIXELS}" height="${PIXELS}"></canvas>` +
            `<figcaption><b>${title}</b><span></span></figcaption></figure>`,
        )
        .concat('<div><b>Yours next</b><p></p><small></small></div>')
        .join('') ?? '';
    setText(find(stage, 'p'), 'Click a cell of the grid, then Grow.');
    setText(find(stage, 'small'), `Recorded: the model grew “${race?.prompt}” in each order.`);
  }

  /** @param {number} k */
  function paint(k) {
    const figure = findAll(stage, 'figure')[k];
    const pen = penOf(findCanvas(figure, 'canvas'));
    const [w, h] = [PIXELS / W, PIXELS / H];
    const now = Math.min(step, totals[k]);
    paintWritten(pen, PIXELS, images[k], { order: orders[k], step: now, grid: race?.grid ?? [1, H, W] });
    pen.strokeStyle = getComputedStyle(root).getPropertyValue('--n-front');
    pen.lineWidth = 2;
    orders[k].forEach((written, i) => {
      if (written !== now || now === totals[k]) return;
      pen.strokeRect((i % W) * w + 1, Math.floor(i / W) * h + 1, w - 2, h - 2);
    });
    figure.toggleAttribute('data-over', now === totals[k]);
    setText(find(figure, 'span'), progressOf(now, totals[k]));
  }

  function turn() {
    clearTimeout(clock);
    if (!player.state.opening || !root.isConnected) return;
    // with reduced motion one moment stands for all: the shortest is done
    step = player.state.calm ? Math.min(...totals) : (step % longest) + 1;
    for (const k of orders.keys()) if (step <= totals[k] || step === 1) paint(k);
    if (!player.state.calm) clock = setTimeout(turn, step === longest ? HOLD : PACE);
  }

  async function begin() {
    build();
    images = await Promise.all(race?.panes.map(({ file }) => loadImage(`${folder}/${file}`)) ?? []);
    stage.hidden = false;
    turn();
  }

  let begun = false;
  /** @param {import('../store.js').State} s */
  function render(s) {
    if (!begun && s.opening && root.offsetParent) {
      begun = true;
      begin();
    }
    if (!s.opening) stage.hidden = true;
    // the grid is below: a pointer over it sees what a start would be
    stage.toggleAttribute('data-away', s.hover !== null);
  }
  return { render };
}
