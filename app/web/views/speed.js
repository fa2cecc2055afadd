// What was timed against the batch, as in Figure 6 of the paper: a chart and its table, in the lab and in the article.

import { around, escapeText, find, setMarkup } from './dom.js';

/**
 * @typedef {object} Timed one way of sampling at one batch
 * @property {string} model
 * @property {string} way
 * @property {number} batch
 * @property {number} passes
 * @property {number} seconds
 * @property {number} per_second
 * @property {number} memory_mb
 */

/** @typedef {'seconds' | 'per_second' | 'memory_mb'} Quantity */

/**
 * What `bench --suite` has written.
 * @typedef {object} Figures
 * @property {string} command
 * @property {string} device_name
 * @property {number} threads
 * @property {number} guidance
 * @property {Timed[]} rows
 */

/** @type {[string, string][]} */
const WAYS = [
  ['ours', 'next neighbours, here'],
  ['published', 'next neighbours, as published'],
  ['raster', 'line by line, here'],
];

/** @type {[Quantity, string, string][]} */
const QUANTITIES = [
  ['seconds', 'Seconds', 'Seconds for all pictures of a batch, the median of the runs'],
  ['per_second', 'Pictures a second', 'Pictures in a second'],
  ['memory_mb', 'Memory', 'Megabytes at most'],
];

/** Files of `bench --suite`, and what each was timed on. */
const FILES = [
  ['speed.json', 'On a CPU'],
  ['speed-gpu.json', 'On a GPU'],
];

const HIGH = 220;
const EDGE = { left: 40, right: 12, top: 10, bottom: 26 };

/** Rows of the first model, way by way and by batch, those that were timed. @param {Figures} figures */
export function linesOf({ rows }) {
  const own = rows.filter(({ model }) => model === rows[0].model).sort((a, b) => a.batch - b.batch);
  return WAYS.map(([way, name]) => ({ way, name, points: own.filter((row) => row.way === way) })).filter(
    ({ points }) => points.length,
  );
}

/** What tells the ways apart: on a CPU all need the same memory. @param {Figures} figures */
export const quantitiesOf = (figures) =>
  QUANTITIES.filter(([name]) => {
    const [first, ...others] = linesOf(figures).map(({ points }) => points);
    return others.some((points) =>
      points.some((row) => first.some((f) => f.batch === row.batch && f[name] !== row[name])),
    );
  });

/** How many times as fast as another way: the least and the most. @param {Figures} figures @param {string} way */
export function gainOf(figures, way) {
  const lines = linesOf(figures);
  const rowsOf = (/** @type {string} */ name) => lines.find((line) => line.way === name)?.points ?? [];
  const gains = rowsOf(way).flatMap((row) =>
    rowsOf('ours')
      .filter(({ batch }) => batch === row.batch)
      .map((ours) => row.seconds / ours.seconds),
  );
  return gains.length ? [Math.min(...gains), Math.max(...gains)].map((x) => x.toFixed(1)) : null;
}

/** Powers of two between the least and the most. @param {number} low @param {number} high */
export function ticksOf(low, high) {
  const first = Math.ceil(Math.log2(low));
  return Array.from({ length: Math.max(0, Math.floor(Math.log2(high)) - first + 1) }, (_, k) => 2 ** (first + k));
}

/** A power of two in few letters. @param {number} value */
export const shortOf = (value) => (value < 0.2 ? `1/${1 / value}` : `${value}`);

/** Both axes are logarithmic. @param {ReturnType<typeof linesOf>} lines @param {Quantity} quantity @param {number} wide */
function chartOf(lines, quantity, wide) {
  const points = lines.flatMap((line) => line.points);
  const batches = [...new Set(points.map(({ batch }) => batch))].sort((a, b) => a - b);
  const values = points.map((row) => row[quantity]);
  const [low, high] = [Math.min(...values) / 1.15, Math.max(...values) * 1.15];
  const share = (/** @type {number} */ x, /** @type {number} */ a, /** @type {number} */ b) =>
    b > a ? Math.log2(x / a) / Math.log2(b / a) : 0.5;
  const x = (/** @type {number} */ batch) =>
    (EDGE.left + share(batch, batches[0], batches[batches.length - 1]) * (wide - EDGE.left - EDGE.right)).toFixed(1);
  const y = (/** @type {number} */ value) =>
    (HIGH - EDGE.bottom - share(value, low, high) * (HIGH - EDGE.top - EDGE.bottom)).toFixed(1);
  const grid = ticksOf(low, high).map(
    (value) =>
      `<line x1="${EDGE.left}" x2="${wide - EDGE.right}" y1="${y(value)}" y2="${y(value)}"/>` +
      `<text x="${EDGE.left - 8}" y="${y(value)}" dy="4" text-anchor="end">${shortOf(value)}</text>`,
  );
  const under = batches.map((batch) => `<text x="${x(batch)}" y="${HIGH - 8}" text-anchor="middle">${batch}</text>`);
  const drawn = lines.map(({ way, points: own }) => {
    const at = own.map((row) => [x(row.batch), y(row[quantity])]);
    const dots = at.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="4"/>`).join('');
    return `<g class="${way}"><path d="M${at.map((place) => place.join(' ')).join('L')}"/>${dots}</g>`;
  });
  return `<svg viewBox="0 0 ${wide} ${HIGH}" height="${HIGH}" aria-hidden="true">${[...grid, ...under, ...drawn].join('')}</svg>`;
}

/** Buttons of which one is pressed. @param {string} key of what they say, in `dataset` @param {string} label */
const seg = (key, label, /** @type {string[][]} */ choices, /** @type {string} */ chosen) =>
  `<div class="seg" role="group" aria-label="${label}">${choices
    .map(
      ([name, title]) =>
        `<button type="button" data-${key}="${name}" aria-pressed="${name === chosen}"${name === chosen ? ' class="on"' : ''}>${title}</button>`,
    )
    .join('')}</div>`;

/** @param {Figures} figures @param {Quantity} quantity @param {number} wide of the chart */
export function speedMarkup(figures, quantity, wide) {
  const lines = linesOf(figures);
  const [, , told] = QUANTITIES.find(([name]) => name === quantity) ?? QUANTITIES[0];
  const batches = [...new Set(lines.flatMap(({ points }) => points.map(({ batch }) => batch)))].sort((a, b) => a - b);
  const rows = lines.map(({ way, name, points }) => {
    const cells = batches.map((batch) => {
      const value = points.find((row) => row.batch === batch)?.[quantity];
      return value === undefined ? '–' : Number(value.toPrecision(value < 0.1 ? 2 : 3));
    });
    return `<tr><th scope="row"><i class="${way}"></i>${name}</th><td>${points[0].passes}</td>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
  });
  const gains = [
    ['published', 'as the published way of sampling with the same weights'],
    ['raster', 'as line by line'],
  ].flatMap(([way, words]) => {
    const gain = gainOf(figures, way);
    return gain ? `${gain.join(' to ')} times as fast ${words}` : [];
  });
  return (
    seg('quantity', 'What the chart shows', quantitiesOf(figures), quantity) +
    chartOf(lines, quantity, wide) +
    `<table><caption>${told}, against how many grow at once</caption><thead><tr><th scope="col">way</th><th scope="col">steps</th>` +
    `${batches.map((batch) => `<th scope="col">${batch}</th>`).join('')}</tr></thead><tbody>${rows.join('')}</tbody></table>` +
    `<p>Next neighbours are here ${gains.join('; ')}.</p>` +
    `<p class="how">${escapeText(figures.rows[0].model)} with random weights, guidance ${figures.guidance}, tokens only, all ways in one run in turn, on ` +
    `${escapeText(figures.device_name)}, ${figures.threads} threads. <code>${escapeText(figures.command)}</code></p>`
  );
}

/**
 * Draws what was timed into an element, which stays hidden where there is nothing.
 * @param {HTMLElement} root @param {string} folder below it, the page's figures
 */
export async function mountSpeed(root, folder) {
  const host = find(root, '.speed');
  const answers = await Promise.all(FILES.map(([file]) => fetch(`${folder}/figures/${file}`)));
  const there = FILES.filter((_, i) => answers[i].ok);
  if (!there.length) return;
  const told = await Promise.all(answers.filter(({ ok }) => ok).map((answer) => answer.json()));
  let [file] = there[0];
  let quantity = /** @type {Quantity} */ ('seconds');
  const render = () => {
    const figures = /** @type {Figures} */ (told[there.findIndex(([name]) => name === file)]);
    if (!quantitiesOf(figures).some(([name]) => name === quantity)) quantity = 'seconds';
    const where = there.length > 1 ? seg('file', 'What it was timed on', there, file) : '';
    setMarkup(host, where + speedMarkup(figures, quantity, host.clientWidth || 400));
  };
  host.addEventListener('click', (e) => {
    const { quantity: chosen, file: other } = around(e, '[data-quantity], [data-file]')?.dataset ?? {};
    if (!chosen && !other) return;
    quantity = /** @type {Quantity} */ (chosen ?? quantity);
    file = other ?? file;
    render();
    find(host, chosen ? `[data-quantity=${chosen}]` : `[data-file="${file}"]`).focus(); // it was written anew
  });
  host.hidden = false;
  new ResizeObserver(render).observe(host);
}
