// What the address says, so that a page can be reloaded, linked and gone back to: which page it is, the model, the
// form, and where growth starts. A link may also ask that it is grown and played.

import { linkIn, NOT_OF_FORM, queryOfForm } from './link.js';
import { keep, kept } from './tools/kept.js';
import { around } from './views/dom.js';

/** @typedef {import('./plan.js').Spec} Spec */
/** @typedef {import('./plan.js').Position} Position */
/** @typedef {import('./link.js').Said} Said */
/** @typedef {import('./link.js').Link} Link */

const WAIT = 250; // ms without a change

const opened = location.search;
let link = linkIn(opened);
const forms = /** @type {Record<string, Said>} */ ({});
const places = /** @type {Record<string, { spec: Spec, seedPosition: Position, more: Record<string, string> }>} */ ({});
let writing = 0;
let isWalking = false; // through the history, which writes nothing

const isEmbedded = new URLSearchParams(opened).get('embed') === '1';
document.documentElement.classList.toggle('embed', isEmbedded);

const THEME = 'nar-theme';
const theme = kept('localStorage', THEME);
if (theme) document.body.classList.toggle('dark', theme === 'dark');
document.addEventListener('nar:theme', () => {
  keep('localStorage', THEME, document.body.classList.toggle('dark') ? 'dark' : 'light');
});

/** What a link asks to be played of a model, once. @param {string} model @returns {Link | null} */
export function takeLink(model) {
  if (!link || (link.query.model ?? model) !== model) return null;
  const taken = link;
  link = null;
  return taken;
}

/** @param {string} page @returns {HTMLElement | null} */
const tabOf = (page) => document.querySelector(`#pages button[role=tab][data-tab-id="${page}"]`);

/** The page that is seen. */
export const shownPage = () => {
  const tab = /** @type {HTMLElement | null} */ (document.querySelector('#pages button[role=tab][aria-selected=true]'));
  return tab?.dataset.tabId ?? 'image';
};

/** @param {string} search */
const pageIn = (search) => new URLSearchParams(search).get('tab') ?? 'image';

/** @type {Record<string, string>} */
const linked = Object.fromEntries(new URLSearchParams(opened));
for (const name of NOT_OF_FORM) delete linked[name];

/** Whether the address named a page when it was opened, so that it fills its form. @param {string} page */
export const isOpened = (page) => page === pageIn(opened);

/** What fills the form of a page as it is; until it has said something, as the address has. @param {string} page */
export function queryOf(page) {
  const [form, place] = [forms[page], places[page]];
  const link = isOpened(page) ? linked : {};
  if (!place) return link;
  const { spec, seedPosition, more } = place;
  if (form) return { ...queryOfForm(spec, form, seedPosition), ...more };
  const said = (link.model ?? spec.model) === spec.model ? link : {};
  const isMoved = `${seedPosition}` !== `${spec.seed_position}`;
  return { ...said, ...(isMoved && queryOfForm(spec, { names: [], values: [] }, seedPosition)), ...more };
}

/** @param {boolean} isNew whether Back comes to what was before */
function write(isNew) {
  clearTimeout(writing);
  const page = shownPage();
  const params = new URLSearchParams();
  if (page !== 'image') params.set('tab', page);
  for (const [name, value] of Object.entries(queryOf(page))) params.set(name, value);
  if (isEmbedded) params.set('embed', '1');
  const address = `${location.pathname}?${params}`.replace(/\?$/, '');
  if (isNew) history.pushState(null, '', address);
  else history.replaceState(null, '', address);
}

function writeSoon() {
  clearTimeout(writing);
  writing = setTimeout(() => write(false), WAIT);
}

/** The address as it is to be: what was changed last may not stand in it yet. */
export function now() {
  write(false);
  return location.href;
}

/** What the address said of something when the page was opened. @param {string} name */
export const wanted = (name) => new URLSearchParams(opened).get(name) ?? undefined;

/**
 * Where growth starts on a page, and what else a link to it says.
 * @param {string} page @param {Spec} spec @param {Position} seedPosition @param {Record<string, string>} [more]
 */
export function place(page, spec, seedPosition, more = {}) {
  const before = places[page];
  const isSame = JSON.stringify(before?.more) === JSON.stringify(more);
  if (before?.spec === spec && before.seedPosition === seedPosition && isSame) return;
  places[page] = { spec, seedPosition, more };
  if (before) writeSoon();
}

document.addEventListener('nar:form', (e) => {
  const said = /** @type {CustomEvent<Said>} */ (e).detail;
  forms[said.page] = said;
  writeSoon();
});
// What is typed is known at once: where the server was lost Gradio tells of no change any more.
document.addEventListener('input', (e) => {
  const box = e.target;
  const isBox = box instanceof HTMLTextAreaElement || (box instanceof HTMLInputElement && box.role !== 'combobox');
  const [, page, name] = /\bsays-(\w+)-(\w+)/.exec(around(e, '[class*=says-]')?.className ?? '') ?? [];
  if (!isBox || !name) return;
  const { names, values } = forms[page] ?? { names: [], values: [] };
  const said = new Map(/** @type {[string, unknown][]} */ (names.map((one, i) => [one, values[i]])));
  const isNumber = box instanceof HTMLInputElement && box.value.trim() !== '' && Number.isFinite(Number(box.value));
  said.set(name, isNumber ? Number(box.value) : box.value);
  forms[page] = { page, names: [...said.keys()], values: [...said.values()] };
  writeSoon();
});
document.addEventListener(
  'click',
  (e) => {
    const tab = around(e, '#pages button[role=tab]');
    if (tab && !isWalking && tab.dataset.tabId !== shownPage()) setTimeout(() => write(true));
  },
  true,
);

/** @param {string} page */
function walkTo(page) {
  if (page === shownPage()) return;
  isWalking = true;
  tabOf(page)?.click();
  isWalking = false;
}
addEventListener('popstate', () => walkTo(pageIn(location.search)));
