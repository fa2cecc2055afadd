// Putting pixels together: crops, strips of frames, boards. Everything here makes a new picture.

import { imageAt } from '../run.js';
import { bytesOf, textOf } from '../wire.js';
import { extentOf, mirrorsOf, sizeOf } from './board.js';

const LARGE = 1024; // pixels of a longer side in which the server finds a thing alone
const SENT = 4e6; // characters of an address that is sent as it is
const READ_THERE = /^data:image\/(png|jpeg|webp|gif);/;

/** @typedef {import('../plan.js').Spec} Spec */
/** @typedef {import('../run.js').Pixels} Pixels */
/** @typedef {import('./board.js').Board} Board */

/** @param {string} address @returns {Promise<HTMLImageElement>} */
export async function loadImage(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

/**
 * A sheet of a given size to draw on, and its pen.
 * @param {number} width @param {number} height @param {string} [colour]
 */
function sheetOf(width, height, colour) {
  const sheet = Object.assign(document.createElement('canvas'), { width, height });
  const pen = /** @type {CanvasRenderingContext2D} */ (sheet.getContext('2d'));
  pen.imageSmoothingQuality = 'high';
  if (colour) {
    pen.fillStyle = colour;
    pen.fillRect(0, 0, width, height);
  }
  return { sheet, pen };
}

/**
 * What stands of a picture at a step; where nothing has grown it is clear.
 * @param {import('../run.js').Run} run @param {number} step @param {number} sample
 */
export function standing(run, step, sample) {
  const [height, width] = run.spec.size;
  const [, H, W] = run.spec.grid;
  const { sheet, pen } = sheetOf(width, height);
  const { image, row } = imageAt(run, step, sample);
  if (!image) return sheet;
  const wide = image.width / W;
  const tall = (image.width * height) / width / H;
  run.plan.step.forEach((written, i) => {
    if (written > step) return;
    const [x, y] = [i % W, Math.floor(i / W)];
    const at = /** @type {const} */ ([(x * width) / W, (y * height) / H, width / W, height / H]);
    pen.drawImage(image, x * wide, (y + row * H) * tall, wide, tall, ...at);
  });
  return sheet;
}

/**
 * A picture at the model's size: cropped and scaled here, so that only what the model sees is sent.
 * @param {string} address @param {Spec} spec @param {number} along which part, 0 to 1, where it is no square
 */
export async function cropped(address, spec, along = 0.5) {
  const image = await loadImage(address);
  const [height, width] = spec.size;
  // a drawing may say no size; the server reads none, so that it is always sent as pixels
  const isDrawing = address.startsWith('data:image/svg');
  const naturalWidth = image.naturalWidth || width;
  const naturalHeight = image.naturalHeight || height;
  if (!isDrawing && naturalWidth === width && naturalHeight === height)
    return { image, address, isWhole: true, isAlone: false };
  const { sheet, pen } = sheetOf(width, height, '#fff');
  const scale = Math.max(width / naturalWidth, height / naturalHeight);
  const [w, h] = [naturalWidth * scale, naturalHeight * scale];
  pen.drawImage(image, (width - w) * along, (height - h) * along, w, h);
  const made = sheet.toDataURL('image/png');
  return { image: await loadImage(made), address: made, isWhole: false, isAlone: false };
}

/**
 * A picture of a thing alone, drawn by the server as large as the model's own; null for any other picture.
 * @param {string} address @param {(picture: string) => Promise<{ picture?: string }>} ask
 */
export async function framed(address, ask) {
  const { picture: made } = await ask(await sendable(address));
  return made ? { image: await loadImage(made), address: made, isWhole: false, isAlone: true } : null;
}

/** A picture as it is sent: itself, or what is seen of it where it is large or of another kind. @param {string} address */
async function sendable(address) {
  if (address.length <= SENT && READ_THERE.test(address)) return address;
  const image = await loadImage(address);
  const share = Math.min(1, LARGE / Math.max(image.naturalWidth, image.naturalHeight, 1));
  const { sheet, pen } = sheetOf(
    Math.max(1, Math.round(image.naturalWidth * share)),
    Math.max(1, Math.round(image.naturalHeight * share)),
    '#fff',
  );
  pen.drawImage(image, 0, 0, sheet.width, sheet.height);
  return sheet.toDataURL('image/png');
}

/**
 * Frames side by side, the given ones first and the last of them again for the rest.
 * @param {Spec} spec @param {{ image: Pixels, x: number }[]} frames
 */
export function stripOf(spec, frames) {
  const [height, width] = spec.size;
  const { sheet, pen } = sheetOf(width * spec.frames, height);
  for (let f = 0; f < spec.frames; f++) {
    const { image, x } = frames[Math.min(f, frames.length - 1)];
    pen.drawImage(image, x, 0, width, height, f * width, 0, width, height);
  }
  return sheet;
}

/**
 * What is seen of a board through a window, white where nothing has grown.
 * @param {Board} board @param {[number, number]} at
 */
export function windowOf({ spec, pieces }, at) {
  const [, H, W] = spec.grid;
  const [height, width] = spec.size;
  const { sheet, pen } = sheetOf(width, height, '#fff');
  for (const piece of pieces) {
    const [h, w] = [piece.at[0] - at[0], piece.at[1] - at[1]];
    pen.drawImage(piece.image, (w * width) / W, (h * height) / H, width, height);
  }
  return sheet;
}

/**
 * A window as it is sent to grow in: what is not there yet mirrors what is.
 * @param {Board} board @param {[number, number]} at
 */
export function windowFilled(board, at) {
  const shown = windowOf(board, at);
  const [y, x] = [board.spec.size[0] / board.spec.grid[1], board.spec.size[1] / board.spec.grid[2]]; // pixels of a cell
  const { sheet, pen } = sheetOf(shown.width, shown.height);
  pen.drawImage(shown, 0, 0);
  for (const { cell, from, flips } of mirrorsOf(board, at)) {
    pen.save();
    pen.translate((cell[1] + (flips[1] ? 1 : 0)) * x, (cell[0] + (flips[0] ? 1 : 0)) * y);
    pen.scale(flips[1] ? -1 : 1, flips[0] ? -1 : 1);
    pen.drawImage(shown, from[1] * x, from[0] * y, x, y, 0, 0, x, y);
    pen.restore();
  }
  return sheet;
}

/** @param {Board} board */
export function wholePicture(board) {
  const { spec, pieces } = board;
  const extent = extentOf(board);
  const [rows, columns] = sizeOf(extent);
  const [height, width] = spec.size;
  const [y, x] = [height / spec.grid[1], width / spec.grid[2]]; // pixels of a cell
  const { sheet, pen } = sheetOf(columns * x, rows * y);
  for (const { at, image } of pieces) {
    pen.drawImage(image, (at[1] - extent.left) * x, (at[0] - extent.top) * y, width, height);
  }
  return sheet;
}

/** The whole picture as a file, with the recipe of what grew last. @param {Board} board @returns {Promise<string>} its address */
export async function wholeAddress(board) {
  const { spec, pieces } = board;
  const { at, file } = pieces[pieces.length - 1];
  const address = wholePicture(board).toDataURL('image/png');
  if (!file) return address;
  const { top, left } = extentOf(board);
  const [height, width] = spec.size;
  const [, H, W] = spec.grid;
  const from = /** @type {[number, number]} */ ([((at[0] - top) * height) / H, ((at[1] - left) * width) / W]);
  const { wholeFile } = await import('./whole.js');
  const [whole, part] = [address, file].map((one) => bytesOf(one.slice(one.indexOf(',') + 1)));
  return `data:image/png;base64,${textOf(wholeFile(whole, part, from))}`;
}

/** @type {WeakMap<Board['pieces'], Map<string, HTMLCanvasElement>>} */
const wholes = new WeakMap();

/**
 * Everything on a board but what a run has grown, made once.
 * @param {Board} board @param {string} run
 */
export function wholeBut(board, run) {
  const made = wholes.get(board.pieces) ?? new Map();
  wholes.set(board.pieces, made);
  const pieces = board.pieces.filter((piece) => piece.run !== run);
  if (!made.has(run)) made.set(run, pieces.length ? wholePicture({ ...board, pieces }) : null);
  return { picture: made.get(run), extent: pieces.length ? extentOf({ ...board, pieces }) : null };
}

/** @type {WeakMap<Pixels, Map<string, Uint8ClampedArray>>} */
const means = new WeakMap();

/**
 * The mean colour of each cell of a frame, as red, green, blue and alpha.
 * @param {Pixels} image @param {Spec} spec @param {number} row sample @param {number} frame
 */
export function meanColours(image, spec, row, frame) {
  const known = means.get(image) ?? new Map();
  means.set(image, known);
  const key = `${row},${frame}`;
  if (!known.has(key)) {
    const [, H, W] = spec.grid;
    const [height, width] = spec.size;
    const { pen } = sheetOf(W, H);
    pen.drawImage(image, frame * width, row * height, width, height, 0, 0, W, H);
    known.set(key, pen.getImageData(0, 0, W, H).data);
  }
  return /** @type {Uint8ClampedArray} */ (known.get(key));
}
