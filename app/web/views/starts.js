// Buttons for the usual places to start from.

import * as store from '../store.js';
import { around, findAll, setChosen, setText } from './dom.js';

/** @typedef {import('../plan.js').Position} Position */

/** @param {import('../plan.js').Spec} spec @param {string} name @returns {Position} */
export function placeOf({ grid }, name) {
  const [t, h, w] = grid.map((n) => Math.floor(n / 2));
  return /** @type {Record<string, Position>} */ ({
    centre: [t, h, w],
    corner: [0, 0, 0],
    edge: [t, 0, w],
  })[name];
}

/** @param {HTMLElement} studio @param {import('../player.js').Player} player */
export function startsView(studio, player) {
  const buttons = findAll(studio, '[data-at]');
  const note = findAll(studio, '.starts small')[0];
  const waysToLab = findAll(studio, '.starts [data-lab]');
  studio.addEventListener('click', (e) => {
    const name = around(e, '[data-at]')?.dataset.at;
    if (name) player.set(store.withSeedPosition(player.state, placeOf(player.state.spec, name)));
  });

  /** @param {store.State} s */
  function render(s) {
    const { spec } = s;
    const isCorner = spec.seed_positions === 'corner';
    for (const button of buttons) {
      const name = String(button.dataset.at);
      button.hidden = isCorner && name !== 'corner';
      setChosen(button, s.mode !== 'outpaint' && `${placeOf(spec, name)}` === `${s.seedPosition}`);
    }
    for (const way of waysToLab) way.hidden = isCorner; // it compares starts where there are several
    if (!note) return;
    setText(note, spec.note || 'or click a cell');
    note.hidden = isCorner && !spec.note;
  }
  return { render };
}
