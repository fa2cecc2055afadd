// What passes between the page and the server. This is the only script that knows base64.
// The server's half is app/wire.py. Tokens travel as little-endian 16-bit words,
// confidence as bytes: 0 to 254 for 0 to 1.

/** @typedef {import('./plan.js').Spec} Spec */
/** @typedef {import('./plan.js').Position} Position */

export const UNKNOWN_TOKEN = 65535;
export const UNKNOWN_CONFIDENCE = 255;
const RUNS_HEARD = 4;

// ---- what the server sends ---------------------------------------------------------------------

/**
 * Every message of a growth names its run; in the lab also its pane.
 * @typedef {{ run: string, pane?: number }} OfRun
 */

/** A growth has left the line. @typedef {OfRun & { kind: 'begun' }} Begun */

/**
 * A model is being fetched or loaded; share is 0 to 1.
 * @typedef {OfRun & { kind: 'progress', text: string, share: number | null }} Progress
 */

/** How well the model knows an uploaded picture. @typedef {OfRun & { kind: 'likeness', text: string }} Likeness */

/**
 * Some steps that are done; `order` holds the step of every cell.
 * @typedef {OfRun & { kind: 'steps', total: number, order: string, frames: {
 *   step: number, tokens: string, confidence: string, sheet: string | null, guess?: string, elapsed: number,
 * }[] }} Steps
 */

/**
 * What the engine was asked for, with every sampling setting by its name.
 * @typedef {{
 *   prompt?: string | string[] | null, label?: string | string[] | null, seed_position: Position, rng_seed: number,
 *   num_samples: number, heads: string, fusion: string, [setting: string]: any,
 * }} Asked
 */

/** Whether remaking a file gave the same tokens. @typedef {{ same: boolean, differs: string[] }} Verdict */

/**
 * A growth is finished: everything of it, and its pictures as files.
 * @typedef {OfRun & {
 *   kind: 'done', total: number, order: string, tokens: string, confidence: string, pictures: string[],
 *   sheets: string[] | null, elapsed: number, passes: number, request: Asked, digest: string, verdict: Verdict | null,
 * }} Done
 */

/** The last messages of a run, by number. @typedef {OfRun & { kind: 'lately', messages: Record<string, Message> }} Lately */

/** A growth failed; a toast says why. @typedef {OfRun & { kind: 'failed' }} Failed */

/** A start was refused before it had a place in the line. @typedef {{ kind: 'rejected', at: number }} Rejected */

/**
 * A file that was grown earlier, without any model; `again` if it can be made again here, `part` if the file shows more
 * growths than this one. `sample` is which of the pictures that grew together it shows.
 * @typedef {OfRun & {
 *   kind: 'replay', total: number, spec: Spec, order: string, tokens: string, confidence: string, pictures: string[],
 *   sheets: string[] | null, request: Asked, digest: string, again: boolean, title: string,
 *   sample: number, part: boolean,
 * }} Replay
 */

/** @typedef {{ token: number, probability: number, picture: string }} Candidate */

/**
 * Why a cell became what it is; see `Explanation` in the engine. `attention` holds [T][H][W].
 * @typedef {OfRun & {
 *   kind: 'explained', cell: Position, step: number, token: number,
 *   heads: { direction: string, sender: Position | null, candidates: Candidate[] }[], fused: Candidate[],
 *   guided: Candidate[], drawn_from: Candidate[], number: number, disagreement: number, attention: number[][][],
 *   attention_to_condition: number,
 * }} Explained
 */

/** How much the heads disagreed in every cell, nats [T][H][W]. @typedef {OfRun & { kind: 'disagreement', values: number[][][] }} Disagreement */

/** It was not explained; a toast says why. These three name the question as their run. @typedef {OfRun & { kind: 'unexplained' }} Unexplained */

/** A chosen picture as tokens, and whether the model knows such. @typedef {OfRun & { kind: 'read', tokens: string, text: string, foreign: boolean }} Read */

/** It was not read; a toast says why. @typedef {OfRun & { kind: 'unread' }} Unread */

/** @typedef {{ title: string, seed_position: Position, form: Record<string, unknown>, spec?: Spec }} PaneChoice */
/** @typedef {{ low: number, high: number | null, above: boolean, whole: boolean, expected: string }} Bounds */
/** @typedef {{ name: string, title: string, panes: PaneChoice[], setting?: string, bounds?: Bounds }} Comparison */

/**
 * Another model was chosen.
 * @typedef {{ kind: 'model', spec: Spec, seed_position?: Position | null, sets?: Comparison[] }} Model
 */

/**
 * @typedef {(
 *   Begun | Progress | Likeness | Steps | Done | Failed | Rejected | Replay | Model | Explained | Disagreement |
 *   Unexplained |
 *   Read | Unread
 * )} Message
 */

// ---- the same, decoded -------------------------------------------------------------------------

/**
 * @typedef {{
 *   step: number, tokens: Uint16Array, confidence: Uint8Array, sheet: string | null, guess: string | null,
 *   elapsed: number,
 * }} StepRead
 */
/** @typedef {OfRun & { kind: 'steps', order: Uint16Array, frames: StepRead[] }} StepsRead */
/**
 * @typedef {OfRun & {
 *   order: Uint16Array, tokens: Uint16Array, confidence: Uint8Array, pictures: string[], sheets: string[],
 *   elapsed: number, passes: number, request: Asked, verdict: Verdict | null, again: boolean,
 * }} Finished
 */
/** @typedef {OfRun & { kind: 'read', tokens: Uint16Array, text: string, foreign: boolean }} TokensRead */
/** @typedef {Finished & { kind: 'done' }} DoneRead */
/** @typedef {Finished & Pick<Replay, 'kind' | 'spec' | 'title' | 'sample' | 'part'>} ReplayRead */
/**
 * @typedef {(
 *   Begun | Progress | Likeness | StepsRead | DoneRead | Failed | Rejected | ReplayRead | Model | Explained |
 *   Disagreement | Unexplained | TokensRead | Unread
 * )} MessageRead
 */

/** @param {string} text base64 */
export function bytesOf(text) {
  const raw = atob(text);
  return Uint8Array.from({ length: raw.length }, (_, i) => raw.charCodeAt(i));
}

/** @param {string} text base64 of little-endian 16-bit words */
export function wordsOf(text) {
  const b = bytesOf(text);
  return Uint16Array.from({ length: b.length / 2 }, (_, i) => b[2 * i] | (b[2 * i + 1] << 8));
}

/** @param {Uint16Array | Uint8Array} values @returns {string} base64 */
export function textOf(values) {
  const b = new Uint8Array(values.length * values.BYTES_PER_ELEMENT);
  if (values instanceof Uint8Array) b.set(values);
  else
    values.forEach((v, i) => {
      b[2 * i] = v & 255;
      b[2 * i + 1] = v >> 8;
    });
  let raw = '';
  for (let i = 0; i < b.length; i += 8192) raw += String.fromCharCode(...b.subarray(i, i + 8192));
  return btoa(raw);
}

/** @param {Done | Replay} message @returns {Finished} */
function finished(message) {
  return {
    run: message.run,
    pane: message.pane,
    order: wordsOf(message.order),
    tokens: wordsOf(message.tokens),
    confidence: bytesOf(message.confidence),
    pictures: message.pictures,
    sheets: message.sheets ?? message.pictures,
    elapsed: message.kind === 'done' ? message.elapsed : 0,
    passes: message.kind === 'done' ? message.passes : 0,
    request: message.request,
    verdict: message.kind === 'done' ? message.verdict : null,
    again: message.kind === 'replay' && message.again,
  };
}

/** Which messages have been heard, of the last few runs. */
export class Heard {
  constructor() {
    this.sent = /** @type {Message | Lately | null | undefined} */ (null); // the last value
    this.last = /** @type {Map<string, number>} */ (new Map());
  }

  /**
   * The messages among those sent that have not been heard yet, in their order.
   * @param {Message | Lately | null | undefined} sent @returns {(Message | null | undefined)[]}
   */
  unheard(sent) {
    if (sent === this.sent) return []; // Gradio hands over the last value again when it is finished
    this.sent = sent;
    if (sent?.kind !== 'lately') return [sent];
    const last = this.last.get(sent.run) ?? -1;
    const numbers = Object.keys(sent.messages).map(Number);
    const fresh = numbers.filter((number) => number > last).sort((a, b) => a - b);
    this.last.delete(sent.run); // so that the runs of which something came last are kept
    this.last.set(sent.run, Math.max(last, ...numbers));
    if (this.last.size > RUNS_HEARD) this.last.delete([...this.last.keys()][0]);
    return fresh.map((number) => sent.messages[number]);
  }
}

/**
 * A message as it came -> decoded; null where none has come yet. Throws on a kind that is not known.
 * @param {Message | null | undefined} message
 * @returns {MessageRead | null}
 */
export function read(message) {
  if (!message?.kind) return null;
  switch (message.kind) {
    case 'begun':
    case 'progress':
    case 'likeness':
    case 'failed':
    case 'rejected':
    case 'model':
    case 'explained':
    case 'disagreement':
    case 'unexplained':
    case 'unread':
      return message;
    case 'read':
      return { ...message, tokens: wordsOf(message.tokens) };
    case 'steps':
      return {
        kind: 'steps',
        run: message.run,
        pane: message.pane,
        order: wordsOf(message.order),
        frames: message.frames.map((frame) => ({
          step: frame.step,
          tokens: wordsOf(frame.tokens),
          confidence: bytesOf(frame.confidence),
          sheet: frame.sheet,
          guess: frame.guess ?? null,
          elapsed: frame.elapsed,
        })),
      };
    case 'done':
      return { kind: 'done', ...finished(message) };
    case 'replay': {
      const { kind, spec, title, sample, part } = message;
      return { kind, ...finished(message), spec, title, sample, part };
    }
    default:
      throw new Error(`message: got kind ${JSON.stringify(/** @type {any} */ (message).kind)}, which is not known`);
  }
}

// ---- what the page sends -----------------------------------------------------------------------

/**
 * A growth that is asked for, before it is encoded.
 * @typedef {object} Start
 * @property {string} run
 * @property {Position} seedPosition
 * @property {string} [file] a file that is to be made again
 * @property {string} [prompt] in place of the one in the form
 * @property {number} [rngSeed] likewise
 * @property {Record<string, string>} [query] what a link says, likewise
 * @property {{ step: number, samples: number, tokens: Uint16Array, confidence: Uint8Array }} [resume]
 * @property {{ picture?: string, keep: Uint8Array, tokens: Uint16Array | null, before: Uint16Array | null }} [given]
 *   a picture or clip of which some cells are kept
 */

/** @param {Start} start */
export const startMessage = ({ run, seedPosition, file, prompt, rngSeed, query, resume, given }) => ({
  run,
  seed_position: seedPosition,
  file,
  prompt,
  rng_seed: rngSeed,
  query,
  resume: resume && {
    step: resume.step,
    pictures: resume.samples,
    tokens: textOf(resume.tokens),
    confidence: textOf(resume.confidence),
  },
  canvas: given && {
    picture: given.picture,
    keep: textOf(given.keep),
    tokens: given.tokens && textOf(given.tokens),
    before: given.before && textOf(given.before),
  },
});

/** Names in links that are not those of a request; see `form_of_link`. @type {Record<string, string>} */
const LINK_NAMES = { seed_position: 'seed' };

/**
 * What fills a form, in a link or on another page: what the engine was asked for, nothing about the session.
 * @param {string} model @param {Asked} asked
 * @returns {Record<string, string>}
 */
export function queryOf(model, asked) {
  const given = Object.entries({ model, ...asked }).filter(([, value]) => (value ?? '') !== '');
  return Object.fromEntries(given.map(([name, value]) => [LINK_NAMES[name] ?? name, String(value)]));
}

// ---- what the page asks outside the queue ------------------------------------------------------

/**
 * @typedef {object} Server
 * @property {(run: string) => Promise<import('./line.js').Place | null>} place who is before a run
 * @property {(run: string) => Promise<unknown>} stop
 * @property {(model: string) => Promise<string[]>} names prompts to pick from
 * @property {(asked: { model: string, prompt: string }) => Promise<WordsAnswer>} words what a model makes of a prompt
 * @property {(model: string) => Promise<{ picture?: string, prompt?: string }>} [example] a picture of a model's world
 * @property {(asked: { model: string, picture: string, prompt?: string }) => Promise<{ picture?: string }>} [framed] a
 * picture of a thing alone as a clip begins with it
 * @property {(model: string) => Promise<Vocabulary>} vocabulary the words that a model knows
 * @property {(asked: { file: string, tall: boolean }) => Promise<FileAnswer>} growth a picture's growth as a GIF
 * @property {(asked: { files: string[], format: string, fps: number }) => Promise<FileAnswer>} clip
 */
/**
 * Gradio gives nothing where no answer came: here that is an error.
 * @template {Partial<Server>} T @param {T} server @returns {T}
 */
export const answering = (server) =>
  /** @type {T} */ (
    Object.fromEntries(
      Object.entries(server).map(([name, ask]) => [
        name,
        async (/** @type {never} */ asked) => {
          const answer = await ask(asked);
          if (answer === undefined) throw new Error(`${name}: no answer`);
          return answer;
        },
      ]),
    )
  );

/** @typedef {{ file?: string, error?: string }} FileAnswer */
/**
 * Words by what they say; `pictures` are their places in `sheet`, tiles of so many pixels, -1 for none.
 * @typedef {{ name: string, words: string[], pictures: number[] }} WordGroup
 */
/** @typedef {{ groups?: WordGroup[], sheet?: string | null, tile?: number, across?: number, error?: string }} Vocabulary */
/** @typedef {'known' | 'taken as' | 'filler' | 'left out' | 'unknown'} WordKind */
/** @typedef {{ text: string, kind: WordKind, meaning: string }} Word */
/** What another model would draw. @typedef {{ model: string, title: string, drawn: string }} Elsewhere */
/** @typedef {{ drawn?: string, words?: Word[], wanting?: string[], stands?: Box | null, elsewhere?: Elsewhere[], error?: string }} WordsAnswer */
/** Column, row and cells of the box of a thing alone. @typedef {[number, number, number]} Box */

/**
 * What Gradio hands to a component's script.
 * @typedef {object} Tools
 * @property {(event: string, data: unknown) => void} trigger
 * @property {Server} server
 * @property {(prop: string, then: () => void) => void} watch
 * @property {{ value: Message | Lately | null }} props
 */

/** A name for a growth, chosen here. */
export const newRunId = () => Date.now().toString(36) + Math.random().toString(36).slice(2, 8);
