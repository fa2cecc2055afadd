// Drawing one moment of a growth on a canvas. Nothing here keeps state.

import { flatOf, maySee, positionOf, sendersOf } from '../plan.js';
import { sizeOf } from '../tools/board.js';
import { UNKNOWN_CONFIDENCE } from '../wire.js';

/** @typedef {import('../plan.js').Plan} Plan */
/** @typedef {import('../plan.js').Position} Position */
/** @typedef {import('../plan.js').Spec} Spec */
/** @typedef {CanvasRenderingContext2D} Pen */

/**
 * One moment of a growth.
 * @typedef {object} Scene
 * @property {Plan} plan
 * @property {number} step cells of this step and before are written
 * @property {Partial<Record<import('../store.js').Layer, boolean>>} layers
 * @property {boolean} ready whether a start is being chosen: then it shows the rings to come
 * @property {boolean} isLegal
 * @property {Position} seedPosition
 * @property {import('../run.js').Pixels | null} image frames side by side, samples below each other
 * @property {number} row which sample of the image
 * @property {number[]} slices one for each tile
 * @property {number[]} frames the frame of the image that each tile shows
 * @property {number} density pixels of the canvas for one of the page
 * @property {Colours} colours
 * @property {Uint16Array} [tokens]
 * @property {Uint8Array} [confidence]
 * @property {((i: number) => number[]) | null} [mean] the mean colour of a cell
 * @property {Position | null} [hover] the cell whose senders are shown
 * @property {number[][][] | null} [heat] what of the grid is clear, in place of what a cell may see: where its senders
 *   looked, or where heads disagreed
 * @property {Uint8Array | null} [keep] cells that are kept; their border is drawn
 * @property {boolean} [hideFront]
 * @property {Frame | null} [frame] the board around the grid
 */

/**
 * A board of which the grid is a part.
 * @typedef {object} Frame
 * @property {import('../tools/board.js').Extent} bounds
 * @property {[number, number]} at the grid's upper left
 * @property {HTMLCanvasElement | null} picture all but what the grid shows
 * @property {import('../tools/board.js').Extent | null} extent of the picture
 * @property {[number, number][]} missing cells that are to grow
 * @property {[number, number] | null} cursor where the keyboard's brush is
 */

/** @typedef {{ x: number, y: number, cell: number }} Tile */

/**
 * Where the cells of one tile lie, in pixels.
 * @typedef {{
 *   t: number, frame: number, first: number, last: number, c: number,
 *   x: (i: number) => number, y: (i: number) => number,
 * }} Place
 */

const COLOURS = /** @type {const} */ ([
  ...['bg', 'surface', 'sunken', 'line-2', 'ink', 'ink-3', 'accent', 'on-accent', 'front', 'ramp-0', 'ramp-1'],
]);
/** @typedef {Record<string, string>} Colours */

/** The theme's colours and font as they are at an element. @param {Element} element @returns {Colours} */
export function coloursOf(element) {
  const style = getComputedStyle(element);
  const named = COLOURS.map((name) => [name, style.getPropertyValue(`--n-${name}`).trim()]);
  return { ...Object.fromEntries(named), font: style.fontFamily };
}

/** @param {string} hex */
const channels = (hex) => [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16));

/** @param {number[]} from @param {number[]} to @param {number} share */
const blended = (from, to, share) => from.map((x, i) => Math.round(x + (to[i] - x) * share));

/** @param {Colours} colours @param {number} byte */
function rampAt(colours, byte) {
  const share = Math.max(0, Math.min(1, byte / 254)) ** 1.6;
  return blended(channels(colours['ramp-0']), channels(colours['ramp-1']), share);
}

/** @param {Colours} colours @param {number} byte */
export const rampColour = (colours, byte) => `rgb(${rampAt(colours, byte)})`;

/** Black or white, whichever is read better on a colour: 4.5 to 1 at least. @param {number[]} colour red, green, blue */
export function inkOn(colour) {
  const [r, g, b] = colour.map((x) => (x > 10 ? ((x / 255 + 0.055) / 1.055) ** 2.4 : x / 255 / 12.92));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? '#000000' : '#ffffff';
}

/** Room around a board, where its handles are, as a share of the width. */
const MARGIN = 0.055;

/**
 * Where a board lies on a canvas of a given width: no taller than it is wide, and no flatter than half of that. Its
 * cells are whole pixels, so that no seam is seen where one thing is painted beside another.
 * @param {Pick<Frame, 'bounds'>} frame @param {number} width in pixels of the canvas
 */
export function boardPlace({ bounds }, width) {
  const [rows, columns] = sizeOf(bounds);
  const room = width * (1 - 2 * MARGIN);
  const cell = Math.max(1, Math.floor(room / Math.max(rows, columns)));
  const height = Math.max(rows * cell, room / 2);
  return {
    cell,
    x: Math.round((width - columns * cell) / 2),
    y: Math.round(width * MARGIN + (height - rows * cell) / 2),
    height: Math.round(height + 2 * width * MARGIN),
  };
}

/**
 * Where every slice of the grid lies: one tile for a picture, a square of tiles for a clip.
 * @param {Spec} spec @param {number} width @param {import('../store.js').Layout} layout
 * @param {Pick<Frame, 'bounds' | 'at'> | null} [frame] the board around it
 * @returns {{ height: number, tiles: Tile[] }}
 */
export function tilesOf(spec, width, layout, frame = null) {
  const [T, H, W] = spec.grid;
  if (frame) {
    const { cell, x, y, height } = boardPlace(frame, width);
    const [h, w] = [frame.at[0] - frame.bounds.top, frame.at[1] - frame.bounds.left];
    return { height, tiles: [{ x: x + w * cell, y: y + h * cell, cell }] };
  }
  if (T === 1 || layout !== 'slices') {
    return { height: Math.round((width * H) / W), tiles: [{ x: 0, y: 0, cell: width / W }] };
  }
  const gap = Math.round(width / 60);
  const across = Math.ceil(Math.sqrt(T));
  const side = (width - gap * (across - 1)) / across;
  const tall = (side * H) / W;
  const down = Math.ceil(T / across);
  const tiles = Array.from({ length: T }, (_, t) => ({
    x: (t % across) * (side + gap),
    y: Math.floor(t / across) * (tall + gap),
    cell: side / W,
  }));
  return { height: Math.round(tall * down + gap * (down - 1)), tiles };
}

/** @param {Pen} pen @param {number} x @param {number} y @param {number} w @param {number} h @param {number} r */
function outline(pen, x, y, w, h, r) {
  pen.beginPath();
  pen.roundRect(x, y, w, h, r);
}

/** @param {Pen} pen @param {number} width @param {Scene} scene */
export function paintGrid(pen, width, scene) {
  const { grid } = scene.plan.spec;
  const [, H, W] = grid;
  const { frame = null } = scene;
  const { height, tiles } = tilesOf(scene.plan.spec, width, scene.slices.length === 1 ? 'loop' : 'slices', frame);
  pen.clearRect(0, 0, width, height);
  if (frame) paintBoard(pen, frame, width, scene.colours);
  scene.slices.forEach((t, k) => {
    const tile = tiles[k];
    const c = tile.cell;
    const place = {
      t,
      frame: scene.frames[k],
      first: t * H * W,
      last: (t + 1) * H * W,
      c,
      x: (/** @type {number} */ i) => tile.x + (i % W) * c,
      y: (/** @type {number} */ i) => tile.y + (Math.floor(i / W) % H) * c,
    };
    pen.save();
    pen.beginPath();
    pen.rect(tile.x, tile.y, c * W, c * H);
    pen.clip();
    pen.fillStyle = scene.colours.sunken;
    pen.fillRect(tile.x, tile.y, c * W, c * H);
    paintTile(pen, tile, place, scene);
    pen.restore();
  });
  if (frame?.cursor) paintCursor(pen, frame, width, scene.colours);
}

/**
 * Everything around the grid: the picture, and dots where it is to grow.
 * @param {Pen} pen @param {Frame} frame @param {number} width @param {Colours} colours
 */
function paintBoard(pen, { bounds, picture, extent, missing }, width, colours) {
  const { cell: c, x: left, y: top } = boardPlace({ bounds }, width);
  const [rows, columns] = sizeOf(bounds);
  const x = (/** @type {number} */ w) => left + (w - bounds.left) * c;
  const y = (/** @type {number} */ h) => top + (h - bounds.top) * c;
  pen.fillStyle = colours.sunken;
  pen.fillRect(left, top, columns * c, rows * c);
  if (picture && extent) {
    const [tall, wide] = sizeOf(extent);
    pen.imageSmoothingEnabled = true;
    pen.imageSmoothingQuality = 'high';
    pen.drawImage(picture, x(extent.left), y(extent.top), wide * c, tall * c);
  }
  for (const [h, w] of missing) {
    pen.fillStyle = colours.sunken;
    pen.fillRect(x(w), y(h), c + 0.5, c + 0.5);
    pen.fillStyle = colours['line-2'];
    pen.beginPath();
    pen.arc(x(w) + c / 2, y(h) + c / 2, Math.max(1, (1.3 * c) / 37), 0, 7);
    pen.fill();
  }
}

/** @param {Scene} scene @param {number} i */
const isWritten = ({ plan, step, image }, i) => plan.step[i] <= step && (plan.step[i] > 0 || image !== null);

/** @param {Pen} pen @param {Tile} tile @param {Place} place @param {Scene} scene */
function paintTile(pen, tile, place, scene) {
  const { layers, ready, hover } = scene;
  if (layers.picture && scene.image) paintPicture(pen, tile, place, scene);
  for (let i = place.first; i < place.last; i++) {
    if (isWritten(scene, i)) paintWritten(pen, i, place, scene);
    else if (ready && layers.front) paintPlanned(pen, i, place, scene);
    else paintMissing(pen, i, place, scene);
  }
  if (layers.front && !ready && !scene.hideFront && scene.step > 0) paintFront(pen, place, scene);
  if (ready && layers.front && scene.isLegal) paintRings(pen, place, scene);
  if (scene.keep) paintBorder(pen, place, scene, scene.keep);
  if (scene.heat) paintHeat(pen, place, scene, scene.heat);
  else if (hover && !ready) paintSeen(pen, place, scene, hover);
  if (hover && !ready && hover[0] === place.t) paintSenders(pen, place, scene, hover);
}

/** @param {Pen} pen @param {Tile} tile @param {Place} place @param {Scene} scene */
function paintPicture(pen, tile, { frame, first, last, c, x, y }, scene) {
  const [, H, W] = scene.plan.spec.grid;
  const [h, w] = scene.plan.spec.size;
  pen.save();
  pen.beginPath();
  for (let i = first; i < last; i++) if (isWritten(scene, i)) pen.rect(x(i), y(i), c + 0.5, c + 0.5);
  pen.clip();
  pen.imageSmoothingEnabled = true;
  pen.imageSmoothingQuality = 'high';
  const image = /** @type {CanvasImageSource} */ (scene.image);
  pen.drawImage(image, frame * w, scene.row * h, w, h, tile.x, tile.y, c * W, c * H);
  pen.restore();
}

/** Token and confidence of a cell. @param {Pen} pen @param {number} i @param {Place} place @param {Scene} scene */
function paintWritten(pen, i, { c, x, y }, { layers, colours, mean, tokens, confidence, density }) {
  let below = channels(colours.surface); // what is painted so far
  if (layers.tokens || !layers.picture) {
    pen.fillStyle = colours.surface;
    pen.fillRect(x(i), y(i), c + 0.5, c + 0.5);
  }
  if (layers.tokens && mean) {
    below = mean(i);
    pen.fillStyle = `rgb(${below.join(' ')})`;
    outline(pen, x(i) + c * 0.06, y(i) + c * 0.06, c * 0.88, c * 0.88, c * 0.16);
    pen.fill();
  }
  if (layers.confidence && confidence && confidence[i] !== UNKNOWN_CONFIDENCE) {
    pen.globalAlpha = layers.picture || layers.tokens ? 0.84 : 1;
    below = blended(below, rampAt(colours, confidence[i]), pen.globalAlpha);
    pen.fillStyle = rampColour(colours, confidence[i]);
    pen.fillRect(x(i), y(i), c + 0.5, c + 0.5);
    pen.globalAlpha = 1;
  }
  if (layers.tokens && tokens && c / density > 30) {
    label(pen, tokens[i], x(i) + c / 2, y(i) + c / 2, c * 0.26, inkOn(below), colours.font);
  }
}

/**
 * A cell that a chosen start would reach, the fainter the later.
 * @param {Pen} pen @param {number} i @param {Place} place @param {Scene} scene
 */
function paintPlanned(pen, i, { c, x, y }, { plan, isLegal, colours }) {
  pen.globalAlpha = isLegal ? 0.05 + 0.5 * (1 - (plan.step[i] - 1) / (plan.total + 1)) ** 2.2 : 0.05;
  pen.fillStyle = isLegal ? colours.accent : colours['ink-3'];
  outline(pen, x(i) + c * 0.07, y(i) + c * 0.07, c * 0.86, c * 0.86, c * 0.14);
  pen.fill();
  pen.globalAlpha = 1;
}

/**
 * A cell that is still to come; those of the next front stand out.
 * @param {Pen} pen @param {number} i @param {Place} place @param {Scene} scene
 */
function paintMissing(pen, i, { c, x, y }, { plan, step, layers, colours }) {
  const isNext = layers.front && plan.step[i] === step + 1;
  pen.fillStyle = isNext ? colours.accent : colours['line-2'];
  pen.beginPath();
  pen.arc(x(i) + c / 2, y(i) + c / 2, Math.max(1, ((isNext ? 2.1 : 1.3) * c) / 37), 0, 7);
  pen.fill();
}

/** @param {Pen} pen @param {Place} place @param {Scene} scene */
function paintFront(pen, { first, last, c, x, y }, { plan, step, layers, colours }) {
  const line = Math.max(1.5, (2.5 * c) / 37);
  for (const i of plan.cells[step] ?? []) {
    if (i < first || i >= last) continue;
    if (!layers.confidence && !layers.tokens) {
      pen.fillStyle = 'rgb(255 255 255 / .38)';
      pen.fillRect(x(i), y(i), c, c);
    }
    pen.strokeStyle = colours.front;
    pen.lineWidth = line;
    outline(pen, x(i) + line, y(i) + line, c - 2 * line, c - 2 * line, c * 0.12);
    pen.stroke();
  }
}

/**
 * @param {Pen} pen @param {string | number} text @param {number} x @param {number} y @param {number} size
 * @param {string} colour @param {string} font
 */
function label(pen, text, x, y, size, colour, font) {
  pen.font = `500 ${Math.round(size)}px ${font}`;
  pen.textAlign = 'center';
  pen.textBaseline = 'middle';
  pen.fillStyle = colour;
  pen.fillText(String(text), x, y + 1);
}

/**
 * Lines wherever two cells side by side differ.
 * @param {Pen} pen @param {Place} place @param {number} W @param {(i: number) => number} kind
 */
function paintEdges(pen, { first, last, c, x, y }, W, kind) {
  pen.beginPath();
  for (let i = first; i < last; i++) {
    if (i % W < W - 1 && kind(i) !== kind(i + 1)) {
      pen.moveTo(x(i) + c, y(i));
      pen.lineTo(x(i) + c, y(i) + c);
    }
    if (i + W < last && kind(i) !== kind(i + W)) {
      pen.moveTo(x(i), y(i) + c);
      pen.lineTo(x(i) + c, y(i) + c);
    }
  }
  pen.stroke();
}

/**
 * Before the start: a ring every fourth step, their numbers, and the seed position.
 * @param {Pen} pen @param {Place} place @param {Scene} scene
 */
function paintRings(pen, place, { plan, seedPosition, density, colours }) {
  const { first, last, c, x, y } = place;
  const [, H, W] = plan.spec.grid;
  pen.strokeStyle = colours.accent;
  pen.globalAlpha = 0.5;
  pen.lineWidth = Math.max(1, c / 30);
  paintEdges(pen, place, W, (i) => (plan.step[i] ? Math.floor((plan.step[i] - 1) / 4) : -1));
  pen.globalAlpha = 1;
  const isWide = c / density > 13;
  const [, seedRow, seedColumn] = seedPosition;
  const every = Math.max(4, 4 * Math.ceil(Math.max(H, W) / 24));
  for (let i = first; isWide && i < last; i++) {
    const [, h, w] = positionOf(plan.spec.grid, i);
    const step = plan.step[i];
    const isOnAxis = h === seedRow || w === seedColumn;
    const isEnd = step === plan.total && (h === 0 || h === H - 1) && (w === 0 || w === W - 1);
    if (step > 1 && ((isOnAxis && (step - 1) % every === 0) || isEnd)) {
      const size = Math.max(c * 0.34, 9 * density);
      label(pen, step, x(i) + c / 2, y(i) + c / 2, size, colours.ink, colours.font);
    }
  }
  if (seedPosition[0] !== place.t) return;
  const i = flatOf(plan.spec.grid, seedPosition);
  const inset = c * 0.03;
  pen.fillStyle = colours.accent;
  outline(pen, x(i) - inset, y(i) - inset, c + 2 * inset, c + 2 * inset, c * 0.2);
  pen.fill();
  pen.lineWidth = c * 0.09;
  pen.strokeStyle = colours.bg;
  pen.stroke();
  if (!isWide) return;
  const size = Math.max(c * 0.36, 9 * density);
  label(pen, plan.step[i] || '', x(i) + c / 2, y(i) + c / 2, size, colours['on-accent'], colours.font);
}

/**
 * Between what is kept and what will grow.
 * @param {Pen} pen @param {Place} place @param {Scene} scene @param {Uint8Array} keep
 */
function paintBorder(pen, place, { plan, colours }, keep) {
  pen.strokeStyle = colours.accent;
  pen.lineWidth = Math.max(2, place.c / 15);
  paintEdges(pen, place, plan.spec.grid[2], (i) => keep[i]);
}

/** @param {Pen} pen @param {Frame} frame @param {number} width @param {Colours} colours */
function paintCursor(pen, { bounds, cursor }, width, colours) {
  if (!cursor) return;
  const { cell: c, x, y } = boardPlace({ bounds }, width);
  pen.setLineDash([c / 5, c / 8]);
  pen.strokeStyle = colours.ink;
  pen.lineWidth = Math.max(2, c / 16);
  pen.strokeRect(x + (cursor[1] - bounds.left) * c, y + (cursor[0] - bounds.top) * c, 2 * c, 2 * c);
  pen.setLineDash([]);
}

/**
 * What a cell may attend to stays lit: lower levels and its own front, in every slice.
 * @param {Pen} pen @param {Place} place @param {Scene} scene @param {Position} at
 */
function paintSeen(pen, { first, last, c, x, y }, { plan, colours }, at) {
  const cell = flatOf(plan.spec.grid, at);
  for (let i = first; i < last; i++) {
    if (i === cell) continue;
    const isLit = maySee(plan, cell, i);
    pen.globalAlpha = isLit ? 0.16 : 0.5;
    pen.fillStyle = isLit ? colours.accent : colours.bg;
    pen.fillRect(x(i), y(i), c + 0.5, c + 0.5);
  }
  pen.globalAlpha = 1;
}

/**
 * The more there is of it in a cell, the clearer that is seen.
 * @param {Pen} pen @param {Place} place @param {Scene} scene @param {number[][][]} heat
 */
function paintHeat(pen, { t, first, last, c, x, y }, { plan, colours }, heat) {
  const most = Math.max(...heat.flat(2), 1e-9);
  const W = plan.spec.grid[2];
  pen.fillStyle = colours.bg;
  for (let i = first; i < last; i++) {
    const [h, w] = [Math.floor((i - first) / W), (i - first) % W];
    pen.globalAlpha = 0.82 * (1 - Math.sqrt(heat[t][h][w] / most));
    // whole pixels: where two of them overlap, a line would be seen
    const [left, top] = [Math.round(x(i)), Math.round(y(i))];
    pen.fillRect(left, top, Math.round(x(i) + c) - left, Math.round(y(i) + c) - top);
  }
  pen.globalAlpha = 1;
}

/**
 * A ring around a cell and a line from each of its senders.
 * @param {Pen} pen @param {Place} place @param {Scene} scene @param {Position} at
 */
function paintSenders(pen, { c, x, y }, { plan }, at) {
  const cell = flatOf(plan.spec.grid, at);
  const pens = /** @type {[number, string][]} */ ([
    [Math.max(4, c / 7), '#ffffff'],
    [Math.max(2, c / 14), '#111214'],
  ]);
  for (const [wide, colour] of pens) {
    pen.strokeStyle = colour;
    pen.lineWidth = wide;
    outline(pen, x(cell) + wide / 2, y(cell) + wide / 2, c - wide, c - wide, c * 0.14);
    pen.stroke();
  }
  const [bx, by] = [x(cell) + c / 2, y(cell) + c / 2];
  for (const sender of sendersOf(plan, cell)) {
    if (sender.from[0] !== at[0]) continue;
    const [ax, ay] = [x(sender.cell) + c / 2, y(sender.cell) + c / 2];
    for (const [wide, colour] of pens) {
      pen.strokeStyle = colour;
      pen.fillStyle = colour;
      pen.lineWidth = wide;
      pen.beginPath();
      pen.moveTo(ax, ay);
      pen.lineTo(bx + (ax - bx) * 0.42, by + (ay - by) * 0.42);
      pen.stroke();
      pen.beginPath();
      pen.arc(ax, ay, wide * 1.1, 0, 7);
      pen.fill();
    }
  }
}
