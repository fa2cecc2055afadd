// What the lab knows and how it changes: two to four growths side by side, the same random numbers in each. Pure.

import { makePlan } from './plan.js';
import { meanConfidence, newRun, sampleOf, withEnd, withFinals, withSheet, withSteps } from './run.js';
import { listed, tooLong } from './tools/letters.js';

/** @typedef {import('./plan.js').Spec} Spec */
/** @typedef {import('./run.js').Pixels} Pixels */
/** @typedef {import('./run.js').Run} Run */
/** @typedef {import('./wire.js').Comparison} Comparison */

/** @typedef {{ title: string, run: Run, facts: [string, string | number][] }} Pane */

const MOST_PANES = 8;

/**
 * @typedef {object} LabState
 * @property {Spec} spec
 * @property {Comparison[]} sets what can be compared
 * @property {string} compare the name of what is
 * @property {string[]} values of its setting, in place of those it comes with
 * @property {Pane[]} panes
 * @property {'ready' | 'growing' | 'done'} phase
 * @property {string | null} active the run that grows
 * @property {LabState | null} before the comparison that was there when it began
 * @property {number} step
 * @property {number} sample which of several prompts is seen
 * @property {boolean} playing
 * @property {string} note what became of the values that were typed; '' where they are as they were typed
 * @property {{ text: string, share: number | null } | null} news of a model being fetched or loaded
 * @property {import('./line.js').Place | null} place in the line; null where the server does not answer
 */

/** @param {Spec} spec @param {Comparison[]} sets @param {string} [compare] @returns {LabState} */
export function initial(spec, sets, compare) {
  const { name } = sets.find((set) => set.name === compare) ?? sets[0];
  return chosen(
    {
      ...{ spec, sets, compare: name, values: [], panes: [], phase: 'ready' },
      ...{ active: null, before: null, step: 0, sample: 0, playing: false, news: null, note: '', place: null },
    },
    name,
  );
}

/** @param {LabState} s @param {string} compare @returns {LabState} */
export function chosen(s, compare) {
  const set = s.sets.find(({ name }) => name === compare);
  if (s.active || !set) return s;
  const values = compare === s.compare ? s.values : [];
  const choices = values.length
    ? values.map((value) => ({
        title: `${set.title} ${value}`,
        seed_position: set.panes[0].seed_position,
        spec: s.spec,
      }))
    : set.panes;
  const panes = choices.map(({ title, seed_position, spec = s.spec }) => ({
    title,
    run: newRun('', makePlan(spec, seed_position), 1),
    facts: /** @type {Pane['facts']} */ ([]),
  }));
  return { ...s, compare, values, panes, phase: 'ready', step: 0, sample: 0, playing: false, note: '' };
}

/** How many prompts are grown in every pane. @param {LabState} s */
export const samplesOf = (s) => Math.max(...s.panes.map(({ run }) => run.samples));

/** What was asked of one of several prompts. @param {Run} run @param {number} sample */
export function promptOf({ request }, sample) {
  const words = request?.prompt ?? request?.label ?? '';
  return Array.isArray(words) ? (words[sample] ?? '') : words;
}

/** The set that is compared. @param {LabState} s */
export const setOf = (s) => /** @type {Comparison} */ (s.sets.find(({ name }) => name === s.compare));

/** The values of a set's setting, as they are typed. @param {LabState} s */
export function typedValues(s) {
  const { setting, panes } = setOf(s);
  if (!setting) return '';
  return (s.values.length ? s.values : panes.map(({ form }) => String(form[setting]))).join(', ');
}

/**
 * The values in what was typed, and a word that may be one number or two. Where something else stands between them, a
 * comma within a number is a decimal one: 1,5; 2,5.
 * @param {string} text @returns {{ words: string[], unclear?: string }}
 */
function wordsIn(text) {
  const parts = text.split(/[;\s]+/).filter(Boolean);
  const isApart = /(^|[\s;]),|,([\s;]|$)/.test(text); // commas stand between values
  const [within] = text.match(/\d,\d+/) ?? [];
  const isDecimal = within && !isApart && parts.length > 1 && parts.every((part) => part.split(',').length < 3);
  if (isDecimal) return { words: parts.map((part) => part.replace(',', '.')) };
  if (within && text.includes(';')) return { words: [], unclear: parts.find((part) => part.includes(within)) };
  return { words: text.split(/[\s,;]+/).filter(Boolean) };
}

const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i; // hexadecimal digits are none to the server

/** Why a word is no value of a setting; '' for one that is. @param {string} word @param {import('./wire.js').Bounds} [bounds] */
function unfit(word, bounds) {
  const value = NUMBER.test(word) ? Number(word) : Number.NaN;
  if (!Number.isFinite(value)) return 'no number';
  if (!bounds) return '';
  const { low, high, above, whole, expected } = bounds;
  const isWithin = (above ? value > low : value >= low) && value <= (high ?? Infinity);
  return isWithin && (!whole || Number.isInteger(value)) ? '' : `not ${expected}`;
}

/** Which words are no values, and why; '' where all are. @param {string[]} words @param {import('./wire.js').Bounds} [bounds] */
function leftOut(words, bounds) {
  const odd = [...new Set(words)].filter((word) => unfit(word, bounds));
  const whys = [...new Set(odd.map((word) => unfit(word, bounds)))].map((why) => {
    const those = odd.filter((word) => unfit(word, bounds) === why).map((word) => word.slice(0, 20));
    return `${listed(those)} ${those.length > 1 ? 'are each' : 'is'} ${why}`;
  });
  return odd.length ? `${whys.join('; ')}: ${odd.length > 1 ? 'they are' : 'it is'} left out.` : '';
}

/** Other values of the setting; fewer than two are none. @param {LabState} s @param {string} text @returns {LabState} */
export function valued(s, text) {
  if (s.active || !setOf(s).setting) return s;
  const { words: said, unclear } = wordsIn(text);
  if (unclear) return { ...s, note: `${unclear.slice(0, 20)} may be one number or several: put a point into it.` };
  const { bounds } = setOf(s);
  const fit = said.filter((word) => !unfit(word, bounds));
  const values = fit.filter((word, k) => fit.findIndex((other) => +other === +word) === k);
  const odd = leftOut(said, bounds);
  let note = odd;
  if (said.length && values.length < 2) note = `${note} Give two values or more, with commas between them.`.trim();
  else if (!odd && values.length > MOST_PANES) note = `Only the first ${MOST_PANES} values are compared.`;
  const next = chosen({ ...s, values: values.length < 2 ? [] : values.slice(0, MOST_PANES) }, s.compare);
  return { ...next, note };
}

/** Before prompts are refused it is said which is too long. @param {LabState} s @param {string} prompts one a line @returns {LabState} */
export const asked = (s, prompts) => ({ ...s, note: tooLong(prompts, s.spec, true) });

/** @param {Uint8Array} confidence */
const probability = (confidence) => meanConfidence(confidence)?.toFixed(3) ?? '–';

/**
 * What was measured, a row for each pane and prompt, with what it was asked.
 * @param {LabState} s
 */
export function tableOf(s) {
  const rows = s.panes.flatMap(({ title, run, facts }) =>
    Array.from({ length: run.samples }, (_, k) => {
      const several = { Probability: probability(sampleOf(run, run.confidence, k)), prompt: promptOf(run, k) };
      const told = { pane: title, model: run.spec.model, ...Object.fromEntries(facts), ...run.request };
      return /** @type {Record<string, unknown>} */ (run.samples > 1 ? { ...told, ...several } : told);
    }),
  );
  const names = [...new Set(rows.flatMap(Object.keys))];
  const cell = (/** @type {unknown} */ value) => {
    const text = String(value ?? '');
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [names, ...rows.map((row) => names.map((name) => row[name]))].map((row) => row.map(cell).join(',')).join('\n');
}

/** Steps of the longest growth. @param {LabState} s */
export const totalOf = (s) => Math.max(...s.panes.map(({ run }) => run.plan.total));

/** The last step that has come in any pane. @param {LabState} s */
export const lastOf = (s) => Math.max(...s.panes.map(({ run }) => run.last));

/** @param {LabState} s @param {string} id @returns {LabState} */
export const started = (s, id) => ({
  ...chosen(s, s.compare),
  active: id,
  before: s.phase === 'done' ? s : null,
  playing: true,
  phase: 'growing',
  news: null,
  place: { ahead: 0, seconds: 0 },
});

/** It is over; where nothing has come, what was there before comes back. @param {LabState} s @returns {LabState} */
export const ended = (s) =>
  (!lastOf(s) && s.before) || { ...s, active: null, before: null, phase: lastOf(s) ? 'done' : 'ready' };

/** What outlives the page: nothing is under way there any more. @param {LabState} s @returns {LabState} */
export const left = (s) => ({ ...(s.active ? ended(s) : s), playing: false, note: '' });

/** @param {LabState} s @param {number} pane @param {(pane: Pane) => Partial<Pane>} change @returns {LabState} */
const changed = (s, pane, change) => ({
  ...s,
  panes: s.panes.map((p, k) => (k === pane ? { ...p, ...change(p) } : p)),
});

/** @param {LabState} s @param {import('./wire.js').StepsRead} message @returns {LabState} */
export const withStepsOf = (s, message) =>
  changed({ ...s, news: null }, message.pane ?? 0, ({ run }) => {
    // how many prompts there are is known from what comes
    const [{ step, tokens }] = message.frames;
    const samples = tokens.length / message.order.filter((k) => k === step).length;
    return { run: withSteps(samples === run.samples ? run : newRun(run.id, run.plan, samples), message) };
  });

/** @param {LabState} s @param {number} pane @param {number} step @param {Pixels | null} sheet @returns {LabState} */
export const withSheetOf = (s, pane, step, sheet) =>
  changed(s, pane, ({ run }) => ({ run: withSheet(run, step, sheet) }));

/** @param {LabState} s @param {import('./wire.js').Finished} message @returns {LabState} */
export const withEndOf = (s, message) =>
  changed({ ...s, news: null }, message.pane ?? 0, ({ run }) => ({
    // its steps may not have been seen
    run: { ...withEnd(run, message), samples: message.tokens.length / message.order.length },
    facts: [
      ['Steps', run.plan.total],
      ['Passes', message.passes],
      ['Seconds', message.elapsed.toFixed(2)],
      ['Probability', probability(message.confidence)],
    ],
  }));

/**
 * The full decode of a pane has come; with all of them, in whichever order, the comparison ends.
 * @param {LabState} s @param {number} pane @param {Pixels[]} finals
 * @returns {LabState}
 */
export function withFinalsOf(s, pane, finals) {
  const next = changed(s, pane, ({ run }) => ({ run: withFinals(run, finals) }));
  return next.panes.every(({ run }) => run.finals.length) ? ended(next) : next;
}

/** Another of the prompts is seen. @param {LabState} s @param {number} sample @returns {LabState} */
export const withSample = (s, sample) => ({ ...s, sample });

/** @param {LabState} s @param {number} step @returns {LabState} */
export const scrubbed = (s, step) => ({ ...s, playing: false, step });

/** @param {LabState} s @param {boolean} on @returns {LabState} */
export const played = (s, on) => ({ ...s, playing: on, step: on && s.step >= totalOf(s) ? 0 : s.step });

/** The next step; playing stops at the end. @param {LabState} s @returns {LabState} */
export function advanced(s) {
  const total = totalOf(s);
  const step = Math.min(s.step + 1, total);
  return { ...s, step, playing: step < total };
}
