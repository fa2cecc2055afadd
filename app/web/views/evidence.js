// What was measured and published, below the lab's panes: a map of starts from a file, and tables.

import { mountAblations } from './ablations.js';
import {
  find,
  findAll,
  findCanvas,
  onThemeChange,
  penOf,
  resizeCanvas,
  save,
  setChosen,
  setMarkup,
  setText,
} from './dom.js';
import { coloursOf, rampColour } from './grid.js';
import { mountHeard } from './heard.js';
import { mountSpeed } from './speed.js';

/**
 * What `evaluate --seed-map` has found; lists hold a value for each of `cells`.
 * @typedef {object} SeedMap
 * @property {string} model
 * @property {number[]} grid
 * @property {number} prompts
 * @property {number[][]} cells rows and columns
 * @property {number[]} steps
 * @property {number[]} right of `prompts`
 * @property {number[]} damage
 * @property {number[]} [seconds] where the machine had nothing else to do
 * @property {Record<string, number[]>} by_steps
 * @property {string} [command]
 */

/** @typedef {'right' | 'damage' | 'steps' | 'seconds'} What */

/** @type {Record<What, string>} */
const WORDS = {
  right: 'Share of prompts that come out right in everything.',
  damage: 'Share of cells that are farther from every right picture than the tokenizer explains.',
  steps: 'Steps that growth takes from there: none is fewer than from the centre.',
  seconds: 'Seconds of a processor for a picture, in batches, the median of the rounds.',
};

const AROUND = ' Each cell is shown with those around it.';

/** Values for each measured cell. @param {SeedMap} map @param {What} what */
export const valuesOf = (map, what) => (what === 'right' ? map.right.map((n) => n / map.prompts) : (map[what] ?? []));

/** Whether every cell was measured. @param {SeedMap} map */
const isWhole = ({ grid: [, H, W], cells }) => cells.length === H * W;

/**
 * What is seen of each measured cell. Of a whole map shares are those of a cell and all around it, because every cell
 * was asked few prompts.
 * @param {SeedMap} map @param {What} what
 */
export function seenOf(map, what) {
  const values = valuesOf(map, what);
  if (!isWhole(map) || (what !== 'right' && what !== 'damage')) return values;
  return map.cells.map(([h, w]) => {
    const near = values.filter((_, k) => Math.abs(map.cells[k][0] - h) < 2 && Math.abs(map.cells[k][1] - w) < 2);
    return near.reduce((sum, value) => sum + value, 0) / near.length;
  });
}

/** What is said of a quantity, and how little chance lets it tell. @param {SeedMap} map @param {What} what */
export function wordsOf(map, what) {
  if (what !== 'right') return WORDS[what] + (what === 'damage' && isWhole(map) ? AROUND : '');
  const room = Math.round(196 * Math.sqrt(0.25 / map.prompts / (isWhole(map) ? 9 : 1)));
  return `${WORDS.right}${isWhole(map) ? AROUND : ''} So few prompts leave each cell within about ${room} points: smaller differences say nothing.`;
}

/** Which of the measured cells lies nearest to each of the grid. @param {SeedMap} map */
export function nearest({ grid: [, H, W], cells }) {
  return Array.from({ length: H * W }, (_, i) => {
    const away = cells.map(([h, w]) => Math.hypot(h - Math.floor(i / W), w - (i % W)));
    return away.indexOf(Math.min(...away));
  });
}

/** @param {What} what @param {number} value */
export const told = (what, value) =>
  what === 'steps' ? String(value) : what === 'seconds' ? `${value.toFixed(2)} s` : `${Math.round(100 * value)} %`;

/** The map as a table with commas. @param {SeedMap} map */
export const csvOf = (map) =>
  ['row,column,steps,right,prompts,damage,seconds']
    .concat(
      map.cells.map(([h, w], k) =>
        [h + 1, w + 1, map.steps[k], map.right[k], map.prompts, map.damage[k], map.seconds?.[k] ?? ''].join(','),
      ),
    )
    .join('\n');

/** @param {HTMLElement} root @param {SeedMap} map */
function mapView(root, map) {
  const section = find(root, '.starts-map');
  const canvas = findCanvas(section, 'canvas');
  const [, H, W] = map.grid;
  const cellOf = nearest(map);
  let what = /** @type {What} */ ('right');

  function render() {
    const density = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * density);
    const values = seenOf(map, what);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    setText(find(section, '.least'), told(what, low));
    setText(find(section, '.most'), told(what, high));
    setText(find(section, '.told'), wordsOf(map, what));
    for (const button of findAll(section, '[data-map]')) setChosen(button, button.dataset.map === what);
    if (!width) return;
    resizeCanvas(canvas, width, Math.round((width * H) / W));
    const pen = penOf(canvas);
    const colours = coloursOf(root);
    const c = width / W;
    cellOf.forEach((k, i) => {
      pen.fillStyle = rampColour(colours, high > low ? (254 * (values[k] - low)) / (high - low) : 127);
      pen.fillRect(Math.floor((i % W) * c), Math.floor(Math.floor(i / W) * c), Math.ceil(c), Math.ceil(c));
    });
    pen.fillStyle = colours.ink;
    if (!isWhole(map)) for (const [h, w] of map.cells) pen.fillRect((w + 0.44) * c, (h + 0.44) * c, 0.12 * c, 0.12 * c);
  }

  section.addEventListener('click', (e) => {
    const at = /** @type {HTMLElement} */ (e.target).closest('button');
    if (at?.dataset.map) what = /** @type {What} */ (at.dataset.map);
    if (at?.dataset.keep === 'csv')
      save(`data:text/csv;charset=utf-8,${encodeURIComponent(csvOf(map))}`, 'nar-starts.csv');
    if (at?.dataset.keep === 'png') save(canvas.toDataURL('image/png'), 'nar-starts.png');
    render();
  });
  const rows = Object.entries(map.by_steps).map(
    ([steps, [share, low, high]]) =>
      `<tr><th scope="row">${steps}</th><td>${told('right', share)}</td><td>${told('right', low)} to ${told('right', high)}</td></tr>`,
  );
  setMarkup(find(section, 'tbody'), rows.join(''));
  const where = isWhole(map)
    ? 'every cell'
    : `${map.cells.length} cells, the dots; around them the nearest one's value`;
  setMarkup(
    find(section, '.how'),
    `${map.model}, ${map.prompts} prompts of its world, the same from ${where}. <code>${map.command ?? ''}</code>`,
  );
  find(section, '[data-map=seconds]').hidden = !map.seconds;
  section.hidden = false;
  new ResizeObserver(render).observe(canvas);
  onThemeChange(render);
}

/** @param {HTMLElement} element @param {import('../wire.js').Tools} _tools @param {{ folder: string }} config */
export async function mountEvidence(element, _tools, { folder }) {
  const root = find(element, '.evidence');
  mountSpeed(root, folder);
  mountHeard(root, folder);
  mountAblations(root, folder);
  const answer = await fetch(`${folder}/figures/starts.json`);
  if (answer.ok) mapView(root, await answer.json());
}
