// How a growth is looked at: layers; slices or loop; how fast a clip runs.

import * as store from '../store.js';
import { find, findAll, setChosen, setText } from './dom.js';

/** @typedef {import('../store.js').Layer} Layer */
/** @typedef {import('../store.js').Layout} Layout */

/** @param {HTMLElement} root @param {import('../player.js').Player} player */
export function lookView(root, player) {
  const layers = /** @type {HTMLInputElement[]} */ (findAll(root, '[data-layer]'));
  const layouts = findAll(root, '[data-layout]');
  const [ramp, choice, rate] = ['.ramp', '.layout', '.rate'].map((query) => find(root, query));
  const frames = /** @type {HTMLSelectElement} */ (find(rate, 'select'));
  const repeat = /** @type {HTMLInputElement} */ (find(rate, '.repeat'));
  for (const box of layers) {
    box.onchange = () =>
      player.set(store.withLayer(player.state, /** @type {Layer} */ (box.dataset.layer), box.checked));
  }
  for (const button of layouts) {
    button.onclick = () => player.set(store.withLayout(player.state, /** @type {Layout} */ (button.dataset.layout)));
  }
  const slice = find(root, '.slice');
  for (const button of findAll(slice, '[data-slice]')) {
    button.onclick = () => {
      const [t, h, w] = player.state.seedPosition;
      player.set(store.withSeedPosition(player.state, [t + Number(button.dataset.slice), h, w]));
    };
  }
  repeat.onchange = () => player.set({ ...player.state, repeat: repeat.checked, tick: 0 });
  frames.onchange = () => player.beat();

  /** @param {store.State} s */
  function render(s) {
    for (const box of layers) box.checked = s.layers[/** @type {Layer} */ (box.dataset.layer)];
    for (const button of layouts) setChosen(button, button.dataset.layout === s.layout);
    slice.hidden = s.layout !== 'slice' || s.phase !== 'ready' || s.spec.grid[0] === 1;
    setText(find(slice, 'output'), `Slice ${s.seedPosition[0] + 1} of ${s.spec.grid[0]}`);
    ramp.hidden = !s.layers.confidence;
    setText(frames.options[0], `${store.seenSpec(s).fps || 8}, its own`);
    choice.hidden = rate.hidden = store.seenSpec(s).grid[0] === 1;
  }

  /** Frames a second. */
  const framesPerSecond = () => Number(frames.value) || store.seenSpec(player.state).fps || 8;
  return { render, framesPerSecond };
}
