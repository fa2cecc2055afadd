// The grid itself: what is drawn on it, and what the pointer does there.

import { isHolistic } from '../plan.js';
import { imageAt, sampleOf } from '../run.js';
import * as store from '../store.js';
import { meanColours } from '../tools/pixels.js';
import { findCanvas, penOf, resizeCanvas } from './dom.js';
import { coloursOf, paintGrid, tilesOf } from './grid.js';
import { cellUnder } from './panes.js';

/** @typedef {import('../plan.js').Position} Position */
/** @typedef {import('../run.js').Run} Run */
/** @typedef {import('../store.js').State} State */

const density = () => window.devicePixelRatio || 1;

/**
 * A moment of a growth, as it is drawn.
 * @param {State} s @param {Run} run @param {number} sample @param {import('./grid.js').Colours} colours
 * @returns {import('./grid.js').Scene}
 */
export function sceneOf(s, run, sample, colours) {
  const { spec, plan } = run;
  const { step } = s;
  const { image, row } = imageAt(run, step, sample);
  const { slices, frames } = store.shownSlices(s, spec);
  const cells = spec.grid[1] * spec.grid[2];
  /** @param {number} i */
  const mean = (i) => {
    const frame = frames[slices.indexOf(Math.floor(i / cells))];
    const at = 4 * (i % cells);
    const colour = image && meanColours(image, spec, row, frame);
    return colour ? [...colour.subarray(at, at + 3)] : [];
  };
  return {
    ...{ plan, step, image, row, slices, frames, colours },
    layers: isHolistic(spec) && step < plan.total ? { ...s.layers, confidence: true } : s.layers,
    ready: false,
    isLegal: true,
    seedPosition: plan.seedPosition,
    mean: image && s.layers.tokens ? mean : null,
    tokens: sampleOf(run, run.tokens, sample),
    confidence: sampleOf(run, run.confidence, sample),
    hover: s.lens ? (store.explainedNow(s)?.cell ?? null) : s.hover,
    attention: store.explainedNow(s)?.told?.attention ?? null,
    hideFront: step >= plan.total && !s.active,
    density: density(),
  };
}

/**
 * A start that is being chosen.
 * @param {State} s @param {import('./grid.js').Colours} colours @param {boolean} hasFocus
 * @returns {import('./grid.js').Scene}
 */
function readyScene(s, colours, hasFocus) {
  const { plan, isLegal } = store.planned(s);
  const keep = store.knownCells(s);
  const { picture, front } = s.layers;
  return {
    ...{ plan, isLegal, colours, keep },
    ...store.shownSlices(s, s.spec),
    step: 0,
    layers: { picture, front },
    ready: true,
    seedPosition: plan.seedPosition,
    image: (keep && s.source?.image) || null,
    row: 0,
    density: density(),
    cursor: keep && s.tool === 'erase' && hasFocus ? s.region.cursor : null,
  };
}

/** @param {HTMLElement} root @param {import('../player.js').Player} player */
export function canvasView(root, player) {
  const canvas = findCanvas(root, '.screen canvas');
  const screen = /** @type {HTMLElement} */ (canvas.parentElement);
  const pen = penOf(canvas);

  /** The cell under the pointer. @param {{ clientX: number, clientY: number }} event @returns {Position | null} */
  function cellAt(event) {
    const s = player.state;
    const spec = s.phase === 'ready' ? s.spec : store.seenSpec(s);
    const { slices } = store.shownSlices(s, spec);
    return cellUnder(canvas, spec, s.layout, slices, event);
  }

  const isEditing = () => {
    const { mode, phase, source } = player.state;
    return mode === 'outpaint' && phase === 'ready' && source !== null;
  };
  /** @param {Position | null} hover */
  const hoverAt = (hover) => {
    if (`${hover}` !== `${player.state.hover}`) player.set({ ...player.state, hover });
  };

  let pressed = /** @type {Position | null} */ (null);
  let wasReady = false; // when the pointer went down: a growth may begin or end before it goes up
  let wasDone = false;
  let chosen = ''; // the cell that was clicked last, where a second click grows
  const released = () => {
    pressed = null;
  };
  canvas.addEventListener('pointermove', (e) => {
    const cell = cellAt(e);
    if (pressed && cell && isEditing()) player.set(store.edited(player.state, pressed, cell));
    else if (e.pointerType !== 'touch' || player.state.phase !== 'ready') hoverAt(cell);
  });
  canvas.addEventListener('pointerleave', (e) => e.pointerType !== 'touch' && hoverAt(null));
  canvas.addEventListener('pointerdown', (e) => {
    wasReady = player.state.phase === 'ready';
    wasDone = player.state.phase === 'done';
    if (!isEditing()) return;
    pressed = cellAt(e);
    canvas.setPointerCapture(e.pointerId);
    if (pressed) player.set(store.edited(store.strokeBegun(player.state), pressed, pressed));
  });
  canvas.addEventListener('pointerup', released);
  canvas.addEventListener('pointercancel', released);
  canvas.addEventListener('click', (e) => {
    const cell = cellAt(e);
    const { phase, mode, seedPosition } = player.state;
    if (!cell) return;
    const isChosen = chosen === `${cell}` && chosen === `${seedPosition}`;
    chosen = `${cell}`;
    const isTouched = /** @type {PointerEvent} */ (e).pointerType === 'touch' && `${player.state.hover}` !== `${cell}`;
    const isOwn = store.seenSpec(player.state).model === player.state.spec.model;
    if (player.state.lens && store.canExplain(player.state)) return player.explain(cell);
    // a finger shows a cell first, and starts there when it comes down on it again
    if (phase === 'done' && mode !== 'outpaint' && isOwn && wasDone && !isTouched) player.startAt(cell);
    else if (phase !== 'ready') hoverAt(cell);
    else if (isChosen && wasReady && mode !== 'outpaint') player.start();
    else if (wasReady && mode !== 'outpaint') player.set(store.withSeedPosition(player.state, cell));
  });
  // whoever comes by keyboard sees the start that the keys move
  canvas.addEventListener('focus', () => {
    if (canvas.matches(':focus-visible')) player.set({ ...player.state, opening: false });
  });
  canvas.addEventListener('blur', () => player.set({ ...player.state, hover: null }));

  /** @param {State} s */
  function render(s) {
    const wide = screen.clientWidth;
    if (!wide) return;
    const width = Math.round(wide * density());
    const spec = store.seenSpec(s);
    const { height, tiles } = tilesOf(spec, width, s.layout);
    root.toggleAttribute('data-tiles', tiles.length > 1);
    // Slices and loop take the same room, so that nothing below moves from one to the other.
    const rooms = [tilesOf(spec, width, 'slices').height, tilesOf(spec, width, 'loop').height];
    screen.style.minHeight = `${Math.max(...rooms) / density()}px`;
    resizeCanvas(canvas, width, height);
    canvas.style.aspectRatio = `${width} / ${height}`;
    const colours = coloursOf(root);
    const run = store.seenRun(s);
    const hasFocus = document.activeElement === canvas;
    paintGrid(pen, width, run ? sceneOf(s, run, s.sample, colours) : readyScene(s, colours, hasFocus));
  }

  return { render, cellAt };
}
