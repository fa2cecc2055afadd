// What stands on the pages outlives a reload of this tab: Gradio loads them again by itself where a server that was lost
// in the middle of a growth comes back.

import * as address from './address.js';
import { frozen, thawed } from './tools/frozen.js';
import { keep, kept } from './tools/kept.js';
import { loadImage } from './tools/pixels.js';

const STORED = 'nar-left';
const SCRIPTS = import.meta.url; // a state is understood by the scripts that have made it

/** @typedef {import('./plan.js').Spec} Spec */
/** @typedef {{ scripts?: string, search?: string, pages?: Record<string, string> }} Stored what stood on each page, as a text */

const [opening] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType('navigation'));
const isAgain = opening?.type === 'reload' || opening?.type === 'back_forward';

/** @returns {Record<string, string>} */
function before() {
  const { scripts, search, pages } = /** @type {Stored} */ (JSON.parse(kept('sessionStorage', STORED) ?? '{}'));
  return isAgain && scripts === SCRIPTS && search === location.search && pages ? pages : {};
}
const left = before();
const telling = /** @type {Map<string, () => object | null>} */ (new Map());

/** @param {object} value */
function addressOf(value) {
  if (value instanceof HTMLImageElement) return value.src;
  return value instanceof HTMLCanvasElement ? value.toDataURL() : null;
}

/** Where there is no room for all of it, the page that is seen. */
function leave() {
  const pages = { ...left };
  for (const [name, tell] of telling) {
    const told = tell();
    if (told) pages[name] = frozen({ ...told, query: address.queryOf(name) }, addressOf);
    else delete pages[name];
  }
  const seen = address.shownPage();
  const all = [pages, seen in pages ? { [seen]: pages[seen] } : {}];
  const { search } = location;
  all.find((some) => keep('sessionStorage', STORED, JSON.stringify({ scripts: SCRIPTS, search, pages: some })));
}
addEventListener('pagehide', leave);
document.addEventListener('visibilitychange', () => document.hidden && leave()); // a phone may end a page without a word

/** The models of what has come back, as a text. @type {Map<string, string>} */
const back = new Map();

/**
 * What stood on a page when it was left, with the `query` of its form where the address says no such; null for nothing,
 * and where the model is not any more what it was.
 * @param {string} page @param {Spec} spec the model that the page has now
 * @param {() => object | null} tell what stands there from now on, whenever it is left
 * @returns {Promise<any>}
 */
export async function outlive(page, spec, tell) {
  const text = left[page];
  const found = text ? await thawed(text, loadImage).catch(() => null) : null;
  telling.set(page, tell);
  if (!found) return null;
  const model = JSON.stringify(found.state.spec);
  if (found.state.spec.model === spec.model && model !== JSON.stringify(spec)) return null;
  back.set(page, model);
  return { ...found, query: address.isOpened(page) ? null : found.query };
}

/** Whether a model that a page is told of is, once, that of what has come back there. @param {string} page @param {Spec} spec */
export function isBack(page, spec) {
  const model = back.get(page);
  back.delete(page);
  return model === JSON.stringify(spec);
}
