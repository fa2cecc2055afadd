// One growth, as far as it has arrived: everything needed to scrub and to branch. Values, never changed.

import { isHolistic, planFromSteps } from './plan.js';
import { UNKNOWN_CONFIDENCE, UNKNOWN_TOKEN } from './wire.js';

/** @typedef {import('./plan.js').Plan} Plan */
/** @typedef {import('./plan.js').Spec} Spec */
/** @typedef {import('./wire.js').Asked} Asked */

/** Decoded pixels; only the views look into them. @typedef {HTMLImageElement | HTMLCanvasElement} Pixels */

/**
 * A picture, or the first frames of a clip, of which some cells are kept.
 * @typedef {object} Given
 * @property {Pixels} image its frames side by side, at the model's size
 * @property {string} [address] the picture as a data address
 * @property {Uint16Array | null} tokens if it was grown here
 * @property {Uint16Array | null} before tokens of the clip whose last frames are the first of this one
 */

/**
 * @typedef {object} Run
 * @property {string} id
 * @property {Spec} spec
 * @property {Plan} plan
 * @property {number} samples pictures that grow together
 * @property {'waiting' | 'growing' | 'stopped' | 'done'} state
 * @property {Uint16Array} tokens of all samples, one after the other
 * @property {Uint8Array} confidence likewise
 * @property {ReadonlyMap<number, Pixels>} sheets quick pictures by step, the samples below each other
 * @property {ReadonlyMap<number, Pixels>} guesses full decodes of an unfinished clip
 * @property {Pixels[]} finals the full decode of each sample, frames side by side
 * @property {string[]} pictures the files, one for each sample
 * @property {number} last the last step that can be shown
 * @property {number} elapsed seconds
 * @property {{ step: number, elapsed: number } | null} since the first step that has come: what is read before it takes time
 * @property {number} perStep seconds of a step after it; 0 where that is not known
 * @property {string} title
 * @property {string} drawn what its prompt was taken for, where that is not what it says
 * @property {string | null} parent the run it branched from
 * @property {boolean} isForced whether a token was chosen in place of the one that was drawn
 * @property {number} from the step it branched at
 * @property {Pixels[]} early its parent's finals: what is shown up to that step
 * @property {Asked | null} request
 * @property {import('./wire.js').Verdict | null} verdict
 * @property {boolean} replayed
 * @property {number} sample which of the pictures of its growth the file it came from shows
 * @property {boolean} isPart whether the file it came from shows more than it
 * @property {boolean} again whether the file it came from can be made again here
 * @property {Given | null} given
 * @property {[number, number] | null} window where it lies in a panorama, in cells
 * @property {Earlier[]} earlier clips that this one continues
 * @property {import('./line.js').Place | null} place its place in the line; null where the server does not answer
 * @property {{ text: string, share: number | null } | null} news of the model being fetched or loaded
 */
/** @typedef {{ picture: string, image: Pixels, run: Run }} Earlier */

/** @param {string} id @param {Plan} plan @param {number} samples @param {Partial<Run>} [more] @returns {Run} */
export function newRun(id, plan, samples, more = {}) {
  const cells = samples * plan.step.length;
  return {
    id,
    spec: plan.spec,
    plan,
    samples,
    state: 'waiting',
    tokens: new Uint16Array(cells).fill(UNKNOWN_TOKEN),
    confidence: new Uint8Array(cells).fill(UNKNOWN_CONFIDENCE),
    sheets: new Map(),
    guesses: new Map(),
    finals: [],
    pictures: [],
    last: 0,
    elapsed: 0,
    since: null,
    perStep: 0,
    title: '',
    drawn: '',
    parent: null,
    from: 0,
    isForced: false,
    early: [],
    request: null,
    verdict: null,
    replayed: false,
    again: false,
    sample: 0,
    isPart: false,
    given: null,
    window: null,
    earlier: [],
    place: { ahead: 0, seconds: 0 },
    news: null,
    ...more,
  };
}

/**
 * The part of `tokens` or `confidence` that belongs to one sample.
 * @template {Uint16Array | Uint8Array} T @param {Run} run @param {T} values @param {number} sample
 * @returns {T}
 */
export function sampleOf(run, values, sample) {
  const n = run.plan.step.length;
  return /** @type {T} */ (values.subarray(sample * n, (sample + 1) * n));
}

const VARIATIONS = 2 ** 32; // rng seeds are smaller

/** So many variations further: each picture of a growth has one of its own. @param {number} first @param {number} further */
export const variationAfter = (first, further) => (first + further) % VARIATIONS;

/**
 * A run that goes on from step `from` of another.
 * @param {Run} run @param {string} id @param {number} from
 * @param {{ cell: number, token: number, sample: number } | null} [forced] a token in place of the one that was drawn
 * @returns {Run}
 */
export function branchOf(run, id, from, forced = null) {
  const { step } = run.plan;
  const kept = (/** @type {number} */ i) => step[i % step.length] <= from;
  /** @param {ReadonlyMap<number, Pixels>} all */
  const early = (all) => new Map([...all].filter(([k]) => k <= from));
  const tokens = run.tokens.map((token, i) => (kept(i) ? token : UNKNOWN_TOKEN));
  const confidence = run.confidence.map((sure, i) => (kept(i) ? sure : UNKNOWN_CONFIDENCE));
  if (forced) {
    const at = forced.sample * step.length + forced.cell;
    tokens[at] = forced.token;
    confidence[at] = UNKNOWN_CONFIDENCE; // nothing was drawn
  }
  return newRun(id, run.plan, run.samples, {
    tokens,
    isForced: forced !== null,
    confidence,
    sheets: early(run.sheets),
    guesses: early(run.guesses),
    parent: run.id,
    from,
    last: from,
    early: run.finals,
    given: run.given,
    window: run.window,
    earlier: run.earlier,
  });
}

/**
 * The server's order is the truth, and so is its number of pictures.
 * @param {Run} run @param {Uint16Array} order @param {number} samples
 * @returns {Run}
 */
function adopted(run, order, samples) {
  const same = run.plan.step.every((s, i) => s === order[i]);
  const { tokens, confidence } = samples === run.samples ? run : newRun(run.id, run.plan, samples);
  return {
    ...run,
    ...{ samples, tokens, confidence },
    plan: same ? run.plan : planFromSteps(run.spec, run.plan.seedPosition, order),
    state: run.state === 'waiting' ? 'growing' : run.state,
  };
}

/**
 * Tokens and confidence of some steps; their pictures come later.
 * @param {Run} run @param {import('./wire.js').StepsRead} message
 * @returns {Run}
 */
export function withSteps(run, message) {
  const [first] = message.frames;
  const written = message.order.filter((step) => step === first.step).length;
  const next = adopted(run, message.order, first.tokens.length / written);
  const { plan, samples } = next;
  const n = plan.step.length;
  const tokens = next.tokens.slice();
  const confidence = next.confidence.slice();
  for (const frame of message.frames) {
    const cells = plan.cells[frame.step];
    for (let sample = 0; sample < samples; sample++) {
      cells.forEach((cell, j) => {
        tokens[sample * n + cell] = frame.tokens[sample * cells.length + j];
        confidence[sample * n + cell] = frame.confidence[sample * cells.length + j];
      });
    }
  }
  const { step, elapsed } = message.frames[message.frames.length - 1];
  const since = run.since ?? { step: first.step, elapsed: first.elapsed };
  const perStep = step > since.step ? (elapsed - since.elapsed) / (step - since.step) : 0;
  return { ...next, tokens, confidence, elapsed, since, perStep };
}

/**
 * A step can be shown: with its picture, or with none where tokens are no places.
 * @param {Run} run @param {number} step @param {Pixels | null} sheet
 * @returns {Run}
 */
export function withSheet(run, step, sheet) {
  if (run.finals.length) return run;
  const sheets = sheet ? new Map(run.sheets).set(step, sheet) : run.sheets;
  // one that was stopped has ended at the step that was seen
  return { ...run, sheets, last: run.state === 'stopped' ? run.last : Math.max(run.last, step) };
}

/** @param {Run} run @param {number} step @param {Pixels} guess @returns {Run} */
export const withGuess = (run, step, guess) => ({ ...run, guesses: new Map(run.guesses).set(step, guess) });

/**
 * All tokens and files; the pixels come later.
 * @param {Run} run @param {import('./wire.js').Finished} message
 * @returns {Run}
 */
export function withEnd(run, message) {
  const { tokens, confidence, pictures, elapsed, request, verdict, again } = message;
  return {
    ...adopted(run, message.order, tokens.length / message.order.length),
    ...{ tokens, confidence, pictures, elapsed, request, verdict, again },
    state: 'done',
  };
}

/**
 * What a file holds, as far as it can be told without its pixels.
 * @param {import('./wire.js').ReplayRead} message
 * @returns {Run}
 */
export function recorded(message) {
  const plan = planFromSteps(message.spec, message.spec.seed_position, message.order);
  const { title, sample, part } = message;
  return withEnd(newRun(message.run, plan, 1, { title, sample, replayed: true, isPart: part }), message);
}

/** @param {Run} run @param {Pixels[]} finals @returns {Run} */
export const withFinals = (run, finals) => ({ ...run, finals, sheets: new Map(), last: run.plan.total });

/**
 * The pixels to draw at a step: the quick preview while it grows, the full decode once there is one (only the
 * cells of that step and before are shown of it). A branch begins with its parent's decode.
 * @param {Run} run @param {number} step @param {number} sample
 * @returns {{ image: Pixels | null, row: number }} `row` counts the samples in the image from above
 */
export function imageAt(run, step, sample) {
  if (isHolistic(run.spec) && step < run.plan.total) return { image: null, row: 0 };
  if (run.finals[sample]) return { image: run.finals[sample], row: 0 };
  if (step <= run.from && run.early[sample]) return { image: run.early[sample], row: 0 };
  for (let k = step; k >= 0; k--) {
    const sheet = run.sheets.get(k);
    if (sheet) return { image: sheet, row: sample };
  }
  return { image: run.given?.image ?? null, row: 0 };
}

/** The step of the latest full decode of an unfinished clip. @param {Run} run @param {number} step */
export function guessAt(run, step) {
  const found = [...run.guesses.keys()].filter((k) => k <= step);
  return found.length && step < run.plan.total ? Math.max(...found) : null;
}

/** Can a step be drawn with what has come? @param {Run} run @param {number} step */
export const hasStep = (run, step) =>
  (isHolistic(run.spec) && step <= run.last) ||
  run.finals.length > 0 ||
  run.sheets.has(step) ||
  (step <= run.from && run.early.length > 0);

/**
 * Mean confidence 0 to 1 of some cells, of all without; null where it is not known.
 * @param {Uint8Array} confidence @param {number[]} [cells]
 */
export function meanConfidence(confidence, cells = [...confidence.keys()]) {
  const known = cells.filter((i) => confidence[i] !== UNKNOWN_CONFIDENCE);
  return known.length ? known.reduce((sum, i) => sum + confidence[i], 0) / known.length / 254 : null;
}

/**
 * What a branch left and where, in a few words; none of what is no branch. The runs of its tree stand around it.
 * @param {Run} run @param {Run[]} tree
 */
export function leftOf(run, tree) {
  const trunk = tree.find(({ parent }) => parent === null);
  return run.parent === null || !trunk ? '' : `step ${run.from} of ${trunk.title}`;
}

/**
 * What a run is called where the tree around it is not seen. @param {Run} run @param {Run[]} tree
 */
export function nameOf(run, tree) {
  const left = leftOf(run, tree);
  return left ? `${run.title}, from ${left}` : run.title;
}

/** The words a run was asked for; none where there were none. @param {Run} run */
export const wordsOf = ({ request }) => String([request?.prompt ?? request?.label ?? ''].flat()[0] ?? '');

/**
 * How a branch differs from what it left, in a few words; none where its title says so already.
 * @param {Asked} before @param {Asked} now
 */
export function changesOf(before, now) {
  const differs = (/** @type {string} */ name) => String(before[name]) !== String(now[name]);
  if (differs('prompt') || differs('label')) return '';
  const { heads, prompt, label, seed_position, num_samples, ...others } = now;
  const words = Object.keys(others)
    .filter(differs)
    .map((name) => `${name === 'rng_seed' ? 'variation' : name.replaceAll('_', ' ')} ${now[name]}`);
  return [...(differs('heads') ? [heads] : []), ...words].join(', ') || 'the same again';
}
