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

const HIGH = 220;
const EDGE = { left: 40, right: 12, top: 10, bottom: 26 };

/** Rows of the first model, way by way, those that were timed. @param {Figures} figures */
export function linesOf({ rows }) {
  const own = rows.filter(({ model }) => model === rows[0].model);
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
      `<text x="${EDGE.left - 8}" y="${y(value)}" dy="4" text-anchor="end">${value}</text>`,
  );
  const under = batches.map((batch) => `<text x="${x(batch)}" y="${HIGH - 8}" text-anchor="middle">${batch}</text>`);
  const drawn = lines.map(({ way, points: own }) => {
    const at = own.map((row) => [x(row.batch), y(row[quantity])]);
    const dots = at.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="4"/>`).join('');
    return `<g class="${way}"><path d="M${at.map((place) => place.join(' ')).join('L')}"/>${dots}</g>`;
  });
  return `<svg viewBox="0 0 ${wide} ${HIGH}" height="${HIGH}" aria-hidden="true">${[...grid, ...under, ...drawn].join('')}</svg>`;
}

/** @param {Figures} figures @param {Quantity} quantity @param {number} wide of the chart */
export function speedMarkup(figures, quantity, wide) {
  const lines = linesOf(figures);
  const quantities = quantitiesOf(figures);
  const [, , told] = QUANTITIES.find(([name]) => name === quantity) ?? QUANTITIES[0];
  const buttons = quantities.map(([name, title]) => {
    const on = name === quantity;
    return `<button type="button" data-quantity="${name}" aria-pressed="${on}"${on ? ' class="on"' : ''}>${title}</button>`;
  });
  const batches = [...new Set(lines.flatMap(({ points }) => points.map(({ batch }) => batch)))].sort((a, b) => a - b);
  const rows = lines.map(({ way, name, points }) => {
    const cells = batches.map((batch) => {
      const value = points.find((row) => row.batch === batch)?.[quantity];
      return value === undefined ? '–' : Number(value.toPrecision(3));
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
    `<div class="seg" role="group" aria-label="What the chart shows">${buttons.join('')}</div>` +
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
  const answer = await fetch(`${folder}/figures/speed.json`);
  if (!answer.ok) return;
  const figures = /** @type {Figures} */ (await answer.json());
  let quantity = /** @type {Quantity} */ ('seconds');
  const render = () => setMarkup(host, speedMarkup(figures, quantity, host.clientWidth || 400));
  host.addEventListener('click', (e) => {
    const chosen = around(e, '[data-quantity]')?.dataset.quantity;
    if (!chosen) return;
    quantity = /** @type {Quantity} */ (chosen);
    render();
    find(host, `[data-quantity=${chosen}]`).focus(); // it was written anew
  });
  host.hidden = false;
  new ResizeObserver(render).observe(host);
}
