// The pages of the studio, and what passes from one to another.

/** @typedef {import('./run.js').Run} Run */

/**
 * What a page is given: a picture with where it came from, a form to fill, a file to replay, or a run to show.
 * @typedef {object} Handed
 * @property {string} [address] a picture
 * @property {string} [name] of its file
 * @property {number} [along] which part of it, 0 to 1, where it is no square
 * @property {boolean} [isAlone] whether it shows a thing alone, which can be moved
 * @property {import('./wire.js').Box | null} [stands] where a thing alone stands
 * @property {string} [prompt] which has it stand there
 * @property {boolean} [isExample] whether the page shows it by itself
 * @property {Uint16Array | null} [tokens] of the picture
 * @property {string} [model] which they belong to
 * @property {Record<string, string>} [query] of a form
 * @property {import('./plan.js').Position} [seedPosition] beside a form
 * @property {string} [compare] a set of the lab
 * @property {string} [file]
 * @property {Run} [run]
 * @property {Run[]} [tree] all that stood beside that run when it was finished
 */
/** @typedef {{ take: (handed: Handed) => void }} Page */

const mounted = /** @type {Map<string, Page>} */ (new Map());
const waiting = /** @type {Map<string, Handed>} */ (new Map());
const listeners = /** @type {((run: Run, page: string, tree: Run[]) => void)[]} */ ([]);

/** @param {string} name @returns {HTMLElement | null} */
const tabOf = (name) => document.querySelector(`#pages button[role=tab][data-tab-id="${name}"]`);

/** Whether there is such a page. @param {string} name */
export const has = (name) => tabOf(name) !== null;

/** What stands on a page, once it is mounted. @param {string} name */
export const get = (name) => mounted.get(name);

/** A page is mounted; what was sent to it meanwhile is handed over. @param {string} name @param {Page} page */
export function mount(name, page) {
  mounted.set(name, page);
  const handed = waiting.get(name);
  waiting.delete(name);
  // later, because Gradio wires a component's events after it is mounted
  if (handed) setTimeout(() => page.take(handed));
}

/** Open a page and hand something over; it may have to be mounted first. @param {string} name @param {Handed} handed */
export function send(name, handed) {
  const tab = tabOf(name);
  if (tab && !tab.classList.contains('selected')) {
    tab.click();
    scrollTo(0, 0); // what was pressed may lie far down
  }
  const page = mounted.get(name);
  if (page) page.take(handed);
  else waiting.set(name, handed);
}

/** @param {(run: Run, page: string, tree: Run[]) => void} then */
export const onFinished = (then) => listeners.push(then);

/** @param {Run} run @param {string} page @param {Run[]} tree it among the branches beside it */
export function finished(run, page, tree) {
  for (const then of listeners) then(run, page, tree);
}
