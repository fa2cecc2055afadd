// Which part of a chosen picture is continued, where it is no square: shown, and moved by pointer or keys.

import * as store from '../store.js';
import { clamp } from '../tools/region.js';
import { find } from './dom.js';

const WAIT = 250; // ms without a move
const STEP = 0.05;

/** @typedef {{ wide: number, tall: number }} Shape */

/**
 * The part of a picture that is kept, as shares of its sides: as large as it can be with the shape of the model's.
 * @param {Shape} picture @param {Shape} model @param {number} along 0 to 1
 */
export function cutOf(picture, model, along) {
  const scale = Math.min(picture.wide / model.wide, picture.tall / model.tall);
  const [width, height] = [(model.wide * scale) / picture.wide, (model.tall * scale) / picture.tall];
  return { left: (1 - width) * along, top: (1 - height) * along, width, height };
}

/** @param {HTMLElement} studio @param {import('../player.js').Player} player */
export function cropView(studio, player) {
  const box = /** @type {HTMLElement | null} */ (studio.querySelector('.source .crop'));
  if (!box) return { render() {} };
  const image = /** @type {HTMLImageElement} */ (find(box, 'img'));
  const cut = find(box, '.cut');
  let along = 0.5;
  let waiting = 0;
  let shown = '';
  let isHeld = false;

  const picture = () => ({ wide: image.naturalWidth || 1, tall: image.naturalHeight || 1 });
  const model = () => ({ wide: player.state.spec.size[1], tall: player.state.spec.size[0] });

  function place() {
    const { wide, tall } = picture();
    const part = cutOf({ wide, tall }, model(), along);
    /** @type {HTMLElement} */ (box).style.setProperty('--wide', String(wide / tall));
    for (const side of /** @type {const} */ (['left', 'top', 'width', 'height']))
      cut.style[side] = `${100 * part[side]}%`;
    cut.setAttribute('aria-valuenow', String(Math.round(100 * along)));
    const isSquare = part.width > 0.99 && part.height > 0.99;
    /** @type {HTMLElement} */ (box).hidden = !player.chosen?.address || isSquare;
  }

  /** Why it may not be moved now: what has grown beside it would be lost. */
  function whyNot() {
    const { state } = player;
    if (store.isBusy(state)) return store.STILL_GROWING;
    return state.board?.pieces.some(({ run }) => run) ? 'Undo what has grown, then the crop can be moved.' : '';
  }

  /** @param {number} to */
  function move(to) {
    along = clamp(to, 0, 1);
    place();
    clearTimeout(waiting);
    waiting = setTimeout(() => player.chosen && player.useSource({ ...player.chosen, along, tokens: null }), WAIT);
  }

  image.onload = place;
  box.addEventListener('pointerdown', (e) => {
    const why = whyNot();
    if (why) return player.say(why);
    isHeld = true;
    box.setPointerCapture(e.pointerId);
    follow(e);
  });
  box.addEventListener('pointermove', (e) => isHeld && follow(e));
  for (const over of ['pointerup', 'pointercancel']) {
    box.addEventListener(over, () => {
      isHeld = false;
    });
  }
  /** The middle of the cut comes to the pointer. @param {PointerEvent} e */
  function follow(e) {
    const { left, top, width, height } = /** @type {HTMLElement} */ (box).getBoundingClientRect();
    const part = cutOf(picture(), model(), along);
    const isAcross = part.width < 1;
    const at = isAcross ? (e.clientX - left) / width : (e.clientY - top) / height;
    const share = isAcross ? part.width : part.height;
    move((at - share / 2) / (1 - share || 1));
  }
  cut.addEventListener('keydown', (e) => {
    const by = { ArrowLeft: -STEP, ArrowUp: -STEP, ArrowRight: STEP, ArrowDown: STEP }[e.key];
    if (!by) return;
    e.preventDefault();
    e.stopPropagation();
    const why = whyNot();
    if (why) player.say(why);
    else move(along + by);
  });

  function render() {
    const address = player.chosen?.address ?? '';
    if (address !== shown) {
      shown = address;
      along = player.chosen?.along ?? 0.5;
      if (address) image.src = address;
    }
    place();
  }
  return { render };
}
