// A clip that goes on, together with those it continues.

import * as store from '../store.js';
import { allFrames } from '../tools/clip.js';
import { findCanvas, penOf, resizeCanvas } from './dom.js';

/** @typedef {import('../run.js').Run} Run */

/** @param {HTMLElement} root */
export function wholeView(root) {
  const whole = findCanvas(root, '.whole');

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
    if (s.mode === 'video') renderClip(s, isFinished ? run : null);
  }
  return { render };
}
