// Why a cell became what it is: a panel under the canvas, for the cell that was clicked while it is open.

import { HEADS } from '../plan.js';
import * as store from '../store.js';
import { escapeText, find, setChosen, setMarkup } from './dom.js';
import { percent } from './status.js';

/** @typedef {import('../store.js').State} State */
/** @typedef {import('../wire.js').Candidate} Candidate */
/** @typedef {import('../wire.js').Explained} Explained */

/** Where the sender lies, seen from the cell. @type {Record<string, string>} */
const ARROWS = { '+w': '→', '-w': '←', '+h': '↓', '-h': '↑', '+t': '⟶', '-t': '⟵' };
const ASK = 'Click a cell to see why it became what it is.';

/** @param {number[]} at */
const nameOfCell = ([t, h, w], isClip = false) => `${isClip ? `slice ${t + 1}, ` : ''}row ${h + 1}, column ${w + 1}`;

/** @param {Candidate} candidate @param {number} drawn the token that was */
function candidateMarkup({ token, probability, picture }, drawn) {
  const isDrawn = token === drawn;
  const words = `Token ${token}, ${percent(probability)}${isDrawn ? ', drawn' : ''}`;
  return (
    `<li${isDrawn ? ' class="drawn-one"' : ''}><img src="${escapeText(picture)}" alt="${words}" title="${words}">` +
    `<span aria-hidden="true">${Math.round(100 * probability)}</span></li>`
  );
}

/** @param {string} name @param {string} told @param {Candidate[]} candidates @param {number} token */
const rowMarkup = (name, told, candidates, token) =>
  `<div class="row"><p><b>${name}</b>${told}</p><ol>${candidates.map((c) => candidateMarkup(c, token)).join('')}</ol></div>`;

/** Markup. @param {Explained} told @param {boolean} isClip */
export function explanationOf(told, isClip) {
  const axis = (/** @type {string} */ name) => HEADS.find((head) => head.name === name)?.axis ?? '';
  const heads = told.heads.map(({ direction, sender, candidates }) =>
    rowMarkup(
      `${ARROWS[direction] ?? ''} ${axis(direction)} head`,
      sender ? `for ${nameOfCell(sender, isClip)}` : 'for the condition alone',
      candidates,
      told.token,
    ),
  );
  const number = told.number.toFixed(3);
  return (
    `<header><b>${nameOfCell(told.cell, isClip)}</b> in step ${told.step}</header>${heads.join('')}` +
    rowMarkup(
      'Fused',
      told.heads.length > 1 ? 'what the heads say together' : 'one head alone',
      told.fused,
      told.token,
    ) +
    rowMarkup('Guided', 'after guidance', told.guided, told.token) +
    rowMarkup('Drawn from', `after the filters, by the number ${number}`, told.drawn_from, told.token) +
    `<footer><span>Heads disagree by ${told.disagreement.toFixed(2)} nats.</span> ` +
    `<span>On the canvas: where the senders looked; ${percent(told.attention_to_condition)} at the condition.</span></footer>`
  );
}

/** @param {HTMLElement} root @param {import('../player.js').Player} player */
export function microscopeView(root, player) {
  const panel = find(root, '.microscope');
  const button = find(root, '.lens');
  button.onclick = () => player.set(store.lensTurned(player.state));

  /** @param {State} s */
  function render(s) {
    const run = store.currentRun(s);
    button.hidden = !store.canExplain(s);
    setChosen(button, s.lens);
    panel.hidden = !s.lens || !store.canExplain(s);
    if (panel.hidden || !run) return;
    const asked = store.explainedNow(s);
    if (!asked) setMarkup(panel, `<p class="ask">${ASK}</p>`);
    else if (!asked.told) setMarkup(panel, '<p class="ask">Looking</p>');
    else setMarkup(panel, explanationOf(asked.told, run.spec.grid[0] > 1));
  }
  return { render };
}
