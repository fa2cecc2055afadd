// Clips that continue each other. Pure.

import { cellsOf } from '../plan.js';

/** @typedef {import('../run.js').Run} Run */
/** @typedef {import('../run.js').Pixels} Pixels */

/** How many frames of a clip tell how it moves. */
const FRAMES_TO_GO_ON = 5;

/**
 * What of a clip begins the next one: its last frames, which become the first slices.
 * @param {import('../plan.js').Spec} spec
 */
export function overlapOf({ frames, slice_of_frame }) {
  const slices = slice_of_frame[Math.min(FRAMES_TO_GO_ON, frames) - 1] + 1;
  return { slices, frames: slice_of_frame.filter((t) => t < slices).length };
}

/** @param {Uint8Array} bytes @param {number} at */
const nameAt = (bytes, at) => String.fromCharCode(...bytes.subarray(at, at + 4));

/** Whether a file is of a clip: an MP4, or a PNG that says before its pixels that it moves. @param {Uint8Array} bytes */
export function isClipFile(bytes) {
  if (nameAt(bytes, 4) === 'ftyp') return true;
  if (nameAt(bytes, 0) !== '\x89PNG') return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 8 <= bytes.length; at += 12 + view.getUint32(at)) {
    const name = nameAt(bytes, at + 4);
    if (name === 'acTL' || name === 'IDAT') return name === 'acTL';
  }
  return false;
}

/**
 * All frames of a clip and of those it continues: frames that were given to a clip stand in the one before.
 * @param {Run} run @param {number} sample
 * @returns {{ image: Pixels, frame: number }[]}
 */
export function allFrames(run, sample) {
  const clips = [
    ...run.earlier.map((part) => ({ image: part.image, of: part.run })),
    { image: run.finals[sample], of: run },
  ];
  return clips.flatMap(({ image, of }, k) => {
    const { spec, plan } = of;
    const cells = cellsOf(spec.grid) / spec.grid[0];
    const isGiven = (/** @type {number} */ t) =>
      k > 0 && plan.step.subarray(t * cells, (t + 1) * cells).every((step) => step === 0);
    return spec.slice_of_frame.flatMap((t, frame) => (isGiven(t) ? [] : [{ image, frame }]));
  });
}
