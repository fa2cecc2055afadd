// Handles on the edges of a board: pulled or pressed, it grows on that side.

import * as store from '../store.js';
import { reachOf, sizeOf } from '../tools/board.js';
import { placeOnBoard } from './canvas.js';
import { find, findAll, findCanvas } from './dom.js';
import { boardPlace } from './grid.js';

/** @typedef {import('../tools/board.js').Side} Side */

/** @typedef {{ side: Side, x: number, y: number, cell: number, before: store.State | null }} Pull */

/** Rows and columns of a step outwards. @type {Record<Side, [number, number]>} */
const OUTWARDS = { left: [0, -1], top: [-1, 0], right: [0, 1], bottom: [1, 0] };

/** @type {Record<string, [number, number]>} */
const KEYS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

const NEAR = 4; // pixels within which a pull is a press

/** @param {HTMLElement} root @param {import('../player.js').Player} player */
export function handlesView(root, player) {
  const box = find(root, '.handles');
  const handles = findAll(box, '[data-side]');
  const canvas = findCanvas(root, '.screen canvas');
  /** `before`: the state before it was pulled farther than a press. @type {Pull | null} */
  let pull = null;
  /** What keys have pulled, to be grown with Enter. @type {import('../tools/board.js').Extent | null} */
  let byKeys = null;

  const scale = () => canvas.clientWidth / canvas.width;
  /** @param {HTMLElement} handle */
  const sideOf = (handle) => /** @type {Side} */ (handle.dataset.side);
  /** How far it is to grow on a side already. @param {Side} side */
  const reach = (side) => (player.state.board && isPulled() ? reachOf(player.state.board, side) : 0);
  const isPulled = () => byKeys !== null && byKeys === player.state.board?.wanted;
  /** Half a grid further. @param {Side} side */
  function grow(side) {
    const before = player.state;
    const [, H, W] = before.spec.grid;
    if (!isPulled()) pullTo(side, OUTWARDS[side][0] ? H >> 1 : W >> 1);
    player.start({ before });
  }
  /** @param {Side} side @param {number} cells */
  const pullTo = (side, cells) => player.set(store.pulled(player.state, side, cells));

  for (const handle of handles) {
    const side = sideOf(handle);
    handle.addEventListener('pointerdown', (e) => {
      const place = placeOnBoard(player.state);
      if (!place || !store.canEdit(player.state)) return;
      e.preventDefault();
      handle.focus();
      handle.setPointerCapture(e.pointerId);
      pull = { side, x: e.clientX, y: e.clientY, cell: boardPlace(place, canvas.width).cell * scale(), before: null };
    });
    handle.addEventListener('pointermove', (e) => {
      if (pull?.side !== side) return;
      const far = cellsTo(pull, e);
      if (far * pull.cell > NEAR) pull.before ??= player.state;
      if (pull.before) pullTo(side, Math.round(far));
    });
    handle.addEventListener('pointerup', (e) => {
      if (pull?.side !== side) return;
      const { before } = pull;
      const isPulled = Math.round(cellsTo(pull, e)) > 0;
      pull = null;
      if (!before) grow(side);
      else if (isPulled) player.start({ before });
      else player.set(store.broughtBack(player.state, before));
    });
    handle.addEventListener('pointercancel', () => {
      if (pull?.side === side && pull.before) player.set(store.broughtBack(player.state, pull.before));
      pull = null;
    });
    handle.addEventListener('keydown', (e) => {
      const by = KEYS[e.key];
      if (e.key === 'Enter' || e.key === ' ') grow(side);
      else if (by && by[0] * OUTWARDS[side][0] + by[1] * OUTWARDS[side][1]) {
        const cells = reach(side) + by[0] * OUTWARDS[side][0] + by[1] * OUTWARDS[side][1];
        pullTo(side, cells);
        byKeys = player.state.board?.wanted ?? null;
      } else return;
      e.preventDefault();
      e.stopPropagation(); // the player's own keys
    });
  }

  /** Cells outwards. @param {Pull} from @param {PointerEvent} e */
  function cellsTo({ side, x, y, cell }, e) {
    const [h, w] = OUTWARDS[side];
    return ((e.clientX - x) * w + (e.clientY - y) * h) / cell;
  }

  /** @param {store.State} s */
  function render(s) {
    const place = placeOnBoard(s);
    box.hidden = !place || !store.canEdit(s);
    if (!place || box.hidden || !canvas.clientWidth) return;
    const able = store.sidesOf(s.spec);
    const { bounds } = place;
    const { cell, x, y } = boardPlace(place, canvas.width);
    const [tall, wide] = sizeOf(bounds).map((cells) => cells * cell);
    const middle = { left: [0, tall / 2], top: [wide / 2, 0], right: [wide, tall / 2], bottom: [wide / 2, tall] };
    for (const handle of handles) {
      const side = sideOf(handle);
      const [left, top] = middle[side];
      handle.style.left = `${(x + left) * scale()}px`;
      handle.style.top = `${canvas.offsetTop + (y + top) * scale()}px`;
      /** @type {HTMLButtonElement} */ (handle).disabled = !able.includes(side);
      handle.title = able.includes(side) ? '' : `${s.spec.model} does not grow that way`;
    }
  }
  return { render };
}
