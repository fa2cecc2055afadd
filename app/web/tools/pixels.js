// Putting pixels together: crops, strips of frames, panoramas. Everything here makes a new picture.

import { imageAt } from '../run.js';
import { extentOf } from './panorama.js';

/** @typedef {import('../plan.js').Spec} Spec */
/** @typedef {import('../run.js').Pixels} Pixels */
/** @typedef {import('./panorama.js').Panorama} Panorama */

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
 * A picture at the model's size: cropped in its middle and scaled here, so that only what the model sees is sent.
 * @param {string} address @param {Spec} spec
 */
export async function cropped(address, spec) {
  const image = await loadImage(address);
  const [height, width] = spec.size;
  // a drawing may say no size; the server reads none, so that it is always sent as pixels
  const isDrawing = address.startsWith('data:image/svg');
  const naturalWidth = image.naturalWidth || width;
  const naturalHeight = image.naturalHeight || height;
  if (!isDrawing && naturalWidth === width && naturalHeight === height) return { image, address, isWhole: true };
  const { sheet, pen } = sheetOf(width, height, '#fff');
  const scale = Math.max(width / naturalWidth, height / naturalHeight);
  const [w, h] = [naturalWidth * scale, naturalHeight * scale];
  pen.drawImage(image, (width - w) / 2, (height - h) / 2, w, h);
  const made = sheet.toDataURL('image/png');
  return { image: await loadImage(made), address: made, isWhole: false };
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
 * What is seen of a panorama through a window, white where nothing has grown.
 * @param {Panorama} panorama @param {[number, number]} at
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

/** @param {Panorama} panorama */
export function wholePicture(panorama) {
  const { spec, pieces } = panorama;
  const { top, left, ...cells } = extentOf(panorama);
  const [y, x] = [spec.size[0] / spec.grid[1], spec.size[1] / spec.grid[2]]; // pixels of a cell
  const { sheet, pen } = sheetOf(cells.width * x, cells.height * y);
  for (const { at, image } of pieces) pen.drawImage(image, (at[1] - left) * x, (at[0] - top) * y);
  return sheet;
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
