// Small pictures to choose from, where several grow together.

import * as store from '../store.js';
import { sceneOf } from './canvas.js';
import { find, findCanvas, penOf, resizeCanvas, setChosen } from './dom.js';
import { coloursOf, paintGrid, tilesOf } from './grid.js';

const WIDE = 192;

/** @param {HTMLElement} root @param {import('../player.js').Player} player */
export function samplesView(root, player) {
  const strip = find(root, '.samples');
  // of a hole the pictures are alternatives: large, below the canvas, one beside the other
  if (player.state.mode === 'outpaint') find(root, '.deck').prepend(strip);
  strip.addEventListener('click', (e) => {
    const n = buttons().findIndex((button) => button.contains(/** @type {Node} */ (e.target)));
    if (n >= 0) player.set(store.withSample(player.state, n));
  });
  const buttons = () => /** @type {HTMLElement[]} */ ([...strip.children]);

  function addButton() {
    const button = document.createElement('button');
    button.type = 'button';
    button.setAttribute('aria-label', `Picture ${strip.children.length + 1}`);
    button.innerHTML = `<canvas width="${WIDE}" height="${WIDE}"></canvas>`;
    strip.append(button);
  }

  /** @param {import('../store.js').State} s */
  function render(s) {
    const run = store.seenRun(s);
    strip.hidden = !run || run.samples < 2;
    if (!run || strip.hidden) return;
    while (strip.children.length > run.samples) strip.lastElementChild?.remove();
    while (strip.children.length < run.samples) addButton();
    const colours = coloursOf(root);
    const { height } = tilesOf(run.spec, WIDE, s.layout);
    buttons().forEach((button, n) => {
      setChosen(button, n === s.sample);
      const canvas = findCanvas(button, 'canvas');
      resizeCanvas(canvas, WIDE, height);
      const scene = sceneOf(s, run, n, colours);
      paintGrid(penOf(canvas), WIDE, { ...scene, layers: { picture: true }, hover: null });
    });
  }
  return { render };
}
