// What stands in a link: a form, or a growth with its branches that is grown again and played. Pure.

import { queryOf } from './wire.js';

/** Names in an address that no form has. */
export const NOT_OF_FORM = ['play', 'then', 'step', 'tab', 'embed'];

const LONGEST = 2000; // letters of what is said once: no server takes an address of any length

/** @typedef {import('./plan.js').Spec} Spec */
/** @typedef {import('./plan.js').Position} Position */
/** @typedef {import('./run.js').Run} Run */
/** @typedef {{ page: string, names: string[], values: unknown[] }} Said what a form says */
/** @typedef {{ at: number, query: Record<string, string> }} Branch where a growth leaves the one before, and how */
/** @typedef {{ query: Record<string, string>, branches: Branch[], step: number }} Link */

/** @param {string} text of a branch: a query with `at`, 0 where that is no step @returns {Branch} */
function branchOf(text) {
  const { at, ...query } = Object.fromEntries(new URLSearchParams(text));
  return { at: /^\d+$/.test(at) ? Number(at) : 0, query };
}

/**
 * What a link asks to be played; null where it only fills the form.
 * @param {string} search @returns {Link | null}
 */
export function linkIn(search) {
  const params = new URLSearchParams(search);
  if (!params.has('play')) return null;
  const branches = params.getAll('then').map(branchOf);
  const step = Number(params.get('step') ?? 0);
  for (const name of NOT_OF_FORM) params.delete(name);
  return { query: Object.fromEntries(params), branches, step };
}

/**
 * The query that fills a form as it is; what is a model's own is left out.
 * @param {Spec} spec @param {Pick<Said, 'names' | 'values'>} said @param {Position} seedPosition
 * @returns {Record<string, string>}
 */
export function queryOfForm(spec, { names, values }, seedPosition) {
  const out = /** @type {Record<string, string>} */ ({ model: spec.model });
  names.forEach((name, i) => {
    const value = values[i];
    const isOwn = spec.settings?.[name] === value || (name === 'num_samples' && value === 1);
    const isEmpty = value === null || value === undefined || value === '';
    const said = isOwn || isEmpty ? '' : String(value);
    if (name !== 'model' && said && said.length <= LONGEST) out[name] = said;
  });
  if (`${seedPosition}` !== `${spec.seed_position}`) out.seed = seedPosition.join();
  return out;
}

/**
 * The query of a link that grows a run again, branch by branch, and plays it up to a step; none where it cannot.
 * @param {Readonly<Record<string, Run>>} runs @param {Run} run @param {number} step
 */
export function linkOf(runs, run, step) {
  const chain = [run];
  while (chain[0].parent) {
    if (!runs[chain[0].parent]) return '';
    chain.unshift(runs[chain[0].parent]);
  }
  const [trunk, ...branches] = chain;
  if (chain.some(({ request, replayed, isForced }) => !request || replayed || isForced) || trunk.plan.counts[0])
    return '';
  const asked = (/** @type {Run} */ { spec, request }) => (request ? queryOf(spec.model, request) : {});
  const params = new URLSearchParams({ ...asked(trunk), play: '1' });
  for (const branch of branches) {
    const { model, seed, ...rest } = asked(branch);
    params.append('then', String(new URLSearchParams({ at: String(branch.from), ...rest })));
  }
  if (step < run.plan.total) params.set('step', String(step));
  return String(params);
}
