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
