// Why a cell became what it is: a panel under the canvas, for the cell that was clicked while it is open.

import { HEADS, nameOfCell } from '../plan.js';
import * as store from '../store.js';
import { around, escapeText, find, setChosen, setMarkup } from './dom.js';
import { percent, SILENT } from './status.js';

/** @typedef {import('../store.js').State} State */
/** @typedef {import('../wire.js').Candidate} Candidate */
/** @typedef {import('../wire.js').Explained} Explained */

/** Where the sender lies, seen from the cell. @type {Record<string, string>} */
const ARROWS = { '+w': '→', '-w': '←', '+h': '↓', '-h': '↑', '+t': '⟶', '-t': '⟵' };
const ASK = 'Click a cell to see why it became what it is.';

/** @param {Candidate} candidate @param {number} drawn the token that was @param {boolean} canForce */
function candidateMarkup({ token, probability, picture }, drawn, canForce) {
  const isDrawn = token === drawn;
  const words = `Token ${token}, ${percent(probability)}${isDrawn ? ', drawn' : ''}`;
  const image = `<img src="${escapeText(picture)}" alt="${words}" title="${words}">`;
  const choice = `<button type="button" data-token="${token}" aria-label="Go on with token ${token}">${image}</button>`;
  return (
    `<li${isDrawn ? ' class="drawn-one"' : ''}>${canForce && !isDrawn ? choice : image}` +
    `<span aria-hidden="true">${Math.round(100 * probability)}</span></li>`
  );
}

/** Markup. @param {Explained} told @param {boolean} isClip @param {boolean} [canForce] */
export function explanationOf(told, isClip, canForce = false) {
  const axis = (/** @type {string} */ name) => HEADS.find((head) => head.name === name)?.axis ?? '';
  /** @param {string} name @param {string} words @param {Candidate[]} candidates */
  const row = (name, words, candidates) => {
    const items = candidates.map((c) => candidateMarkup(c, told.token, canForce)).join('');
    return `<div class="row"><p><b>${name}</b>${words}</p><ol>${items}</ol></div>`;
  };
  const heads = told.heads.map(({ direction, sender, candidates }) =>
    row(
      `${ARROWS[direction] ?? ''} ${axis(direction)} head`,
      sender ? `for ${nameOfCell(sender, isClip)}` : 'for the condition alone',
      candidates,
    ),
  );
  const number = told.number.toFixed(3);
  const choose = canForce ? ' <span>Choose another token, and growth goes on from it.</span>' : '';
  return (
    `<header><b>${nameOfCell(told.cell, isClip)}</b> in step ${told.step}</header>${heads.join('')}` +
    row('Fused', told.heads.length > 1 ? 'what the heads say together' : 'one head alone', told.fused) +
    row('Guided', 'after guidance', told.guided) +
    row('Drawn from', `after the filters, by the number ${number}`, told.drawn_from) +
    `<footer><span>Heads disagree by ${told.disagreement.toFixed(2)} nats.</span> ` +
    `<span>On the canvas: where the senders looked; ${percent(told.attention_to_condition)} at the condition.</span>` +
    `${choose}</footer>`
  );
}

/** What keys have come to. @param {import('../plan.js').Position} cell @param {boolean} isClip */
export function aimText(cell, isClip) {
  const name = nameOfCell(cell, isClip);
  return `${name[0].toUpperCase()}${name.slice(1)}: press Enter to see why it became what it is.`;
}

/** What is seen of a map. @param {number[][][]} values nats */
export const mapText = (values) =>
  `The clearer a cell, the more its heads disagreed: by up to ${Math.max(...values.flat(2)).toFixed(2)} nats ` +
  '(Jensen-Shannon). Where one head spoke alone there is nothing to disagree about. Click a cell to see why.';

/** @param {HTMLElement} root @param {import('../player.js').Player} player */
export function microscopeView(root, player) {
  const panel = find(root, '.microscope');
  const button = find(root, '.lens');
  const disagree = find(root, '.disagree');
  disagree.onclick = () => player.disagree();
  button.onclick = () => player.set(store.lensTurned(player.state));
  panel.addEventListener('click', (e) => {
    const token = around(e, '[data-token]')?.dataset.token;
    if (token) player.force(Number(token));
  });

  /** @param {State} s */
  function render(s) {
    const run = store.currentRun(s);
    button.hidden = !store.canExplain(s);
    setChosen(button, s.lens);
    panel.hidden = disagree.hidden = !s.lens || !store.canExplain(s);
    setChosen(disagree, store.mapNow(s) !== null);
    if (panel.hidden || !run) return;
    const asked = store.explainedNow(s);
    const map = store.mapNow(s);
    const aim = store.aimNow(s);
    const looking = s.silent ? SILENT : 'Looking';
    if (aim) setMarkup(panel, `<p class="ask">${aimText(aim, run.spec.grid[0] > 1)}</p>`);
    else if (map) setMarkup(panel, `<p class="ask">${map.values ? mapText(map.values) : looking}</p>`);
    else if (!asked) setMarkup(panel, `<p class="ask">${ASK}</p>`);
    else if (!asked.told) setMarkup(panel, `<p class="ask">${looking}</p>`);
    else setMarkup(panel, explanationOf(asked.told, run.spec.grid[0] > 1, store.canForce(s)));
  }
  return { render };
}
