// The grid itself: what is drawn on it, and what the pointer does there.

import { isHolistic } from '../plan.js';
import { imageAt, sampleOf } from '../run.js';
import * as store from '../store.js';
import * as boards from '../tools/board.js';
import { allFrames } from '../tools/clip.js';
import { meanColours, wholeBut, windowOf } from '../tools/pixels.js';
import { clamp } from '../tools/region.js';
import { findCanvas, penOf, resizeCanvas } from './dom.js';
import { boardPlace, coloursOf, paintGrid, tilesOf } from './grid.js';
import { cellUnder } from './panes.js';

/** @typedef {import('../plan.js').Position} Position */
/** @typedef {import('../run.js').Run} Run */
/** @typedef {import('../store.js').State} State */

const density = () => window.devicePixelRatio || 1;

/** How much of a board is seen, and where the grid lies on it; null elsewhere. @param {State} s */
export function placeOnBoard(s) {
  const { board } = s;
  const run = store.seenRun(s);
  const at = run ? run.window : s.window;
  if (!board || !at) return null;
  const [, H, W] = board.spec.grid;
  const { top, left, bottom, right } = s.held ?? boards.boundsOf(board);
  const bounds = {
    top: Math.min(top, at[0]),
    left: Math.min(left, at[1]),
    bottom: Math.max(bottom, at[0] + H),
    right: Math.max(right, at[1] + W),
  };
  return { bounds, at };
}

/** The board around the grid. @param {State} s @param {boolean} hasFocus @returns {import('./grid.js').Frame | null} */
function frameOf(s, hasFocus) {
  const place = placeOnBoard(s);
  if (!s.board || !place) return null;
  const cursor = hasFocus && s.tool === 'erase' && store.canEdit(s) ? s.region.cursor : null;
  return { ...place, ...wholeBut(s.board, store.seenRun(s)?.id ?? ' '), missing: boards.missingOf(s.board), cursor };
}

/** @type {WeakMap<boards.Board, Map<string, HTMLCanvasElement>>} */
const windows = new WeakMap();

/** What a window of a board shows, made once. @param {boards.Board} board @param {[number, number]} at */
export function windowPicture(board, at) {
  const made = windows.get(board) ?? new Map();
  windows.set(board, made);
  if (!made.has(`${at}`)) made.set(`${at}`, windowOf(board, at));
  return /** @type {HTMLCanvasElement} */ (made.get(`${at}`));
}

/**
 * Of a clip that goes on, the frame that is seen of all of it; none where its growth is looked at.
 * @param {State} s @param {Run} run @param {number} sample
 */
function wholeFrame(s, run, sample) {
  if (s.layout !== 'loop' || s.step < run.plan.total || !run.earlier.length || !run.finals.length) return null;
  const all = allFrames(run, sample);
  const { image, frame } = all[s.repeat ? s.tick % all.length : Math.min(s.tick, all.length - 1)];
  return { image, row: 0, frames: [frame], slices: [run.spec.slice_of_frame[frame]] };
}

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
  const whole = wholeFrame(s, run, sample);
  const cells = spec.grid[1] * spec.grid[2];
  /** @param {number} i */
  const mean = (i) => {
    const frame = frames[slices.indexOf(Math.floor(i / cells))];
    const at = 4 * (i % cells);
    const colour = image && meanColours(image, spec, row, frame);
    return colour ? [...colour.subarray(at, at + 3)] : [];
  };
  return {
    ...{ plan, step, image, row, slices, frames, colours, ...whole },
    layers: isHolistic(spec) && step < plan.total ? { ...s.layers, confidence: true } : s.layers,
    ready: false,
    isLegal: true,
    seedPosition: plan.seedPosition,
    mean: image && s.layers.tokens ? mean : null,
    tokens: sampleOf(run, run.tokens, sample),
    confidence: sampleOf(run, run.confidence, sample),
    hover: s.lens ? (store.aimNow(s) ?? store.explainedNow(s)?.cell ?? null) : s.hover,
    heat: (store.aimNow(s) ? null : store.explainedNow(s)?.told?.attention) ?? store.mapNow(s)?.values ?? null,
    hideFront: step >= plan.total && !s.active,
    density: density(),
  };
}

/**
 * A start that is being chosen.
 * @param {State} s @param {import('./grid.js').Colours} colours @returns {import('./grid.js').Scene}
 */
function readyScene(s, colours) {
  const { plan, isLegal } = store.planned(s);
  const keep = store.knownCells(s);
  const { picture, front } = s.layers;
  const known = s.board && s.window ? windowPicture(s.board, s.window) : s.source?.image;
  return {
    ...{ plan, isLegal, colours, keep },
    ...store.shownSlices(s, s.spec),
    step: 0,
    layers: { picture, front },
    ready: true,
    seedPosition: plan.seedPosition,
    image: (keep && known) || null,
    row: 0,
    density: density(),
  };
}

/** What the keys do on the canvas, for who does not see the hints. @param {State} s */
export function labelOf(s) {
  let keys = 'Arrow keys move the start, Enter starts growing.';
  if (s.lens && store.canExplain(s)) keys = 'Arrow keys choose a cell, Enter tells why it became what it is.';
  else if (s.phase !== 'ready') keys = 'Left and right go from step to step, Space plays.';
  else if (s.mode === 'outpaint' && s.tool === 'erase')
    keys = 'Arrow keys move the brush, Space brushes, Enter starts growing.';
  else if (s.mode === 'outpaint' && s.tool === 'keep')
    keys = 'Arrow keys move what is kept, with Shift its size, Enter starts growing.';
  return `Token grid. ${keys}`;
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
    return cellUnder(canvas, spec, s.layout, slices, event, placeOnBoard(s));
  }

  /**
   * The cell of the board under the pointer, or the nearest; whether it is under it.
   * @param {PointerEvent} event @returns {{ cell: boards.Cell, isUnder: boolean } | null}
   */
  function boardCellAt({ clientX, clientY }) {
    const place = placeOnBoard(player.state);
    if (!player.state.board || !place) return null;
    const box = canvas.getBoundingClientRect();
    const { cell, x, y } = boardPlace(place, canvas.width);
    const scale = canvas.width / box.width;
    const { top, left, bottom, right } = boards.extentOf(player.state.board);
    const h = place.bounds.top + Math.floor(((clientY - box.top) * scale - y) / cell);
    const w = place.bounds.left + Math.floor(((clientX - box.left) * scale - x) / cell);
    const nearest = /** @type {boards.Cell} */ ([clamp(h, top, bottom - 1), clamp(w, left, right - 1)]);
    return { cell: nearest, isUnder: nearest[0] === h && nearest[1] === w };
  }

  const isEditing = () => store.canEdit(player.state) && !player.state.lens;
  /** @param {Position | null} hover */
  const hoverAt = (hover) => {
    if (`${hover}` !== `${player.state.hover}`) player.set({ ...player.state, hover });
  };

  let pressed = /** @type {boards.Cell | null} */ (null);
  let wasReady = false; // when the pointer went down: a growth may begin or end before it goes up
  let wasDone = false;
  let chosen = ''; // the cell that was clicked last, where a second click grows
  const released = () => {
    pressed = null;
    if (player.state.held) player.set({ ...player.state, held: null });
  };
  canvas.addEventListener('pointermove', (e) => {
    const cell = cellAt(e);
    const to = pressed && isEditing() ? boardCellAt(e) : null;
    if (pressed && to) player.set(store.edited(player.state, pressed, to.cell));
    else if (e.pointerType !== 'touch' || player.state.phase !== 'ready') hoverAt(cell);
  });
  canvas.addEventListener('pointerleave', (e) => e.pointerType !== 'touch' && hoverAt(null));
  canvas.addEventListener('pointerdown', (e) => {
    wasReady = player.state.phase === 'ready';
    wasDone = player.state.phase === 'done';
    if (!isEditing()) return;
    const under = boardCellAt(e);
    if (player.state.tool === 'erase' && !under?.isUnder) return; // a brush beside the picture has nothing to erase
    pressed = under?.cell ?? null;
    canvas.setPointerCapture(e.pointerId);
    const held = placeOnBoard(player.state)?.bounds ?? null;
    if (pressed) player.set(store.edited(store.strokeBegun({ ...player.state, held }), pressed, pressed));
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
    const { height, tiles } = tilesOf(spec, width, s.layout, placeOnBoard(s));
    root.toggleAttribute('data-tiles', tiles.length > 1);
    // Slices and loop take the same room, so that nothing below moves from one to the other.
    const rooms = [tilesOf(spec, width, 'slices').height, tilesOf(spec, width, 'loop').height];
    screen.style.minHeight = s.board ? '' : `${Math.max(...rooms) / density()}px`;
    root.toggleAttribute('data-board', s.board !== null);
    canvas.ariaLabel = labelOf(s);
    resizeCanvas(canvas, width, height);
    canvas.style.aspectRatio = `${width} / ${height}`;
    const colours = coloursOf(root);
    const run = store.seenRun(s);
    const hasFocus = document.activeElement === canvas;
    const scene = run ? sceneOf(s, run, s.sample, colours) : readyScene(s, colours);
    paintGrid(pen, width, { ...scene, frame: frameOf(s, hasFocus) });
  }

  return { render, cellAt };
}
