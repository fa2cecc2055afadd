// More than one growth together: a panorama that can be grown beyond its edges, a clip that goes on.

import * as store from '../store.js';
import { allFrames } from '../tools/clip.js';
import { wholePicture } from '../tools/pixels.js';
import { canExtend } from '../tools/region.js';
import { find, findAll, findCanvas, penOf, resizeCanvas } from './dom.js';

/** @typedef {import('../plan.js').Spec} Spec */
/** @typedef {import('../run.js').Run} Run */

/** @param {HTMLElement} root @param {import('../player.js').Player} player */
export function wholeView(root, player) {
  const beyond = find(root, '.beyond');
  const arrows = findAll(beyond, '[data-extend]');
  const [wide, whole] = ['.wide', '.whole'].map((query) => findCanvas(root, query));
  const able = /** @type {WeakMap<Spec, boolean[]>} */ (new WeakMap()); // in which directions a model can go on
  let painted = /** @type {import('../tools/panorama.js').Panorama | null} */ (null);

  /** @param {HTMLElement} arrow @returns {[number, number]} */
  const directionOf = (arrow) => {
    const [rows, columns] = String(arrow.dataset.extend).split(',').map(Number);
    return [rows, columns];
  };
  for (const arrow of arrows) arrow.onclick = () => player.extend(directionOf(arrow));

  /** @param {store.State} s @param {Run | null} run */
  function renderPanorama(s, run) {
    const { panorama } = s;
    beyond.hidden = !(run && panorama);
    wide.hidden = !(run && panorama && panorama.pieces.length > 1);
    if (!run || !panorama) return;
    const directions = able.get(run.spec) ?? arrows.map((arrow) => canExtend(run.spec, directionOf(arrow)));
    able.set(run.spec, directions);
    arrows.forEach((arrow, k) => {
      /** @type {HTMLButtonElement} */ (arrow).disabled = !directions[k];
      arrow.title = directions[k] ? '' : `${run.spec.model} does not grow that way`;
    });
    if (wide.hidden || painted === panorama) return;
    painted = panorama;
    const picture = wholePicture(panorama);
    resizeCanvas(wide, picture.width, picture.height);
    penOf(wide).drawImage(picture, 0, 0);
  }

  /** @param {store.State} s @param {Run | null} run */
  function renderClip(s, run) {
    whole.hidden = !run?.earlier.length;
    if (!run || whole.hidden) return;
    const [height, width] = run.spec.size;
    const all = allFrames(run, s.sample);
    const { image, frame } = all[s.tick % all.length];
    resizeCanvas(whole, width, height);
    penOf(whole).drawImage(image, frame * width, 0, width, height, 0, 0, width, height);
    whole.title = `${all.length} frames`;
  }

  /** @param {store.State} s */
  function render(s) {
    const run = store.currentRun(s);
    const isFinished = s.phase === 'done' && run !== null && run.pictures.length > 0 && run.finals.length > 0;
    if (s.mode === 'outpaint') renderPanorama(s, isFinished ? run : null);
    if (s.mode === 'video') renderClip(s, isFinished ? run : null);
  }
  return { render };
}
