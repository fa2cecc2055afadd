// What is known of the cell under the pointer.

import { flatOf, nameOfCell, sendersOf } from '../plan.js';
import { sampleOf } from '../run.js';
import * as store from '../store.js';
import { clamp } from '../tools/region.js';
import { UNKNOWN_CONFIDENCE, UNKNOWN_TOKEN } from '../wire.js';
import { placeOnBoard } from './canvas.js';
import { definitions, find, findCanvas, setMarkup } from './dom.js';
import { tilesOf } from './grid.js';

/** @typedef {import('../store.js').State} State */
/** @typedef {import('../run.js').Run} Run */

/** Markup. @param {State} s @param {Run} run @param {import('../plan.js').Position} at */
export function tipOf(s, run, at) {
  const { plan, spec } = run;
  const i = flatOf(spec.grid, at);
  const isWritten = plan.step[i] <= s.step;
  const token = sampleOf(run, run.tokens, s.sample)[i];
  const confidence = sampleOf(run, run.confidence, s.sample)[i];
  const isSure = isWritten && confidence !== UNKNOWN_CONFIDENCE;
  const senders = sendersOf(plan, i);
  const rows = /** @type {[string, string | number][]} */ ([
    ['Distance', plan.distance[i]],
    ['Step', plan.step[i] || 'given'],
    ...(isWritten && token !== UNKNOWN_TOKEN ? [['Token', token]] : []),
    ...(isSure ? [['Probability', (confidence / 254).toFixed(2)]] : []),
  ]);
  const meter = isSure ? `<div class="meter"><i style="width:${(100 * confidence) / 254}%"></i></div>` : '';
  const axes = [...new Set(senders.map((sender) => sender.head.axis))].join(' + ');
  let from = '<b>condition</b>the seed token';
  if (plan.step[i] === 0) from = 'given with the picture';
  else if (axes) from = `<b>${axes}</b>${senders.length} ${senders.length > 1 ? 'senders' : 'sender'}`;
  const name = nameOfCell(at, spec.grid[0] > 1);
  return (
    `<header>${name[0].toUpperCase()}${name.slice(1)}</header>` +
    `<dl>${definitions(rows)}${meter}</dl><p class="from">${from}</p>`
  );
}

/** @param {HTMLElement} root */
export function tipView(root) {
  const tip = find(root, '.tip');
  const canvas = findCanvas(root, '.screen canvas');

  /** @param {State} s */
  function render(s) {
    const run = store.seenRun(s);
    const at = s.lens && store.canExplain(s) ? null : s.hover; // the microscope says more
    const shown = run && at ? store.shownSlices(s, run.spec).slices.indexOf(at[0]) : -1;
    tip.hidden = shown < 0;
    if (!run || !at || shown < 0) return;
    setMarkup(tip, tipOf(s, run, at));
    const box = canvas.getBoundingClientRect();
    const scale = box.width / canvas.width;
    const tile = tilesOf(run.spec, canvas.width, s.layout, placeOnBoard(s)).tiles[shown];
    const [x, y] = [(tile.x + at[2] * tile.cell) * scale, (tile.y + at[1] * tile.cell) * scale];
    const right = x + tile.cell * scale + 14;
    const left = right + tip.offsetWidth > box.width ? x - tip.offsetWidth - 14 : right;
    tip.style.left = `${clamp(left, 4, Math.max(4, box.width - tip.offsetWidth - 4))}px`;
    const top = clamp(y - 20, 4, Math.max(4, box.height - tip.offsetHeight - 4));
    tip.style.top = `${canvas.offsetTop + top}px`;
  }
  return { render };
}
