// Small things that every view uses.

/**
 * The one element that fits; throws where there is none.
 * @param {ParentNode} root @param {string} query @returns {HTMLElement}
 */
export function find(root, query) {
  const found = root.querySelector(query);
  if (!found) throw new Error(`page: nothing fits ${query}`);
  return /** @type {HTMLElement} */ (found);
}

/** @param {ParentNode} root @param {string} query */
export const findAll = (root, query) => /** @type {HTMLElement[]} */ ([...root.querySelectorAll(query)]);

/** @param {ParentNode} root @param {string} query */
export const findCanvas = (root, query) => /** @type {HTMLCanvasElement} */ (find(root, query));

/** @param {HTMLCanvasElement} canvas */
export const penOf = (canvas) => /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));

/** @param {HTMLCanvasElement} canvas @param {number} width @param {number} height */
export function resizeCanvas(canvas, width, height) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
}

/**
 * The element of an event, or one around it, that fits.
 * @param {Event} event @param {string} query @returns {HTMLElement | null}
 */
export const around = (event, query) => (event.target instanceof Element ? event.target.closest(query) : null);

/** @type {WeakMap<Element, string>} what each element was last given: browsers write markup back in other words */
const given = new WeakMap();

/**
 * Only what differs is written: focus would be lost, and a screen reader would say it again.
 * @param {Element} element @param {string} markup
 */
export function setMarkup(element, markup) {
  if (given.get(element) === markup) return;
  given.set(element, markup);
  element.innerHTML = markup;
}

/** @param {Node} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A choice among buttons. @param {HTMLElement} button @param {boolean} on */
export function setChosen(button, on) {
  button.classList.toggle('on', on);
  button.setAttribute('aria-pressed', String(on));
}

/** @type {WeakMap<Node, { words: string, clock: number }>} what nodes say else, and when they say it again */
const own = new WeakMap();

/** Other words for a moment, or until it is `restored`. @param {Node} node @param {string} words @param {number} [ms] */
export function flash(node, words, ms) {
  const before = own.get(node) ?? { words: String(node.textContent), clock: 0 };
  clearTimeout(before.clock);
  own.set(node, { words: before.words, clock: ms ? setTimeout(() => restored(node), ms) : 0 });
  node.textContent = words;
}

/** A node says its own words again. @param {Node} node */
export function restored(node) {
  const before = own.get(node);
  if (!before) return;
  clearTimeout(before.clock);
  own.delete(node);
  node.textContent = before.words;
}

/** Whether a text could be copied; browsers have a clipboard only where the address is a safe one. @param {string} text */
export async function copied(text) {
  if (navigator.clipboard)
    return navigator.clipboard.writeText(text).then(
      () => true,
      () => false,
    );
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const box = Object.assign(document.createElement('textarea'), { value: text, readOnly: true });
  box.style.cssText = 'position: fixed; top: 0; opacity: 0';
  document.body.append(box);
  box.select();
  const isCopied = document.execCommand('copy');
  box.remove();
  focused?.focus();
  return isCopied;
}

/** Whether Escape was pressed by somebody, and not to close a menu. @param {KeyboardEvent} e */
export const isEscape = (e) => e.key === 'Escape' && e.isTrusted && !around(e, '[role=combobox][aria-expanded=true]');

/** @type {Record<string, string>} */
const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** @param {unknown} text */
export const escapeText = (text) => String(text).replace(/[&<>"]/g, (c) => ENTITIES[c]);

/** @param {number} s */
export const seconds = (s) => `${s < 10 ? s.toFixed(1) : Math.round(s)} s`;

/** @param {[string, unknown][]} facts */
export const definitions = (facts) => facts.map(([name, fact]) => `<dt>${name}</dt><dd>${fact}</dd>`).join('');

const PLAY = '<path d="M5 3.1v9.8l8-4.9z"/>';
const PAUSE = '<rect x="4" y="3" width="3" height="10" rx="1"/><rect x="9" y="3" width="3" height="10" rx="1"/>';

/** @param {HTMLElement} button @param {boolean} playing */
export function setPlayButton(button, playing) {
  const shape = playing ? PAUSE : PLAY;
  setMarkup(
    button,
    `<svg viewBox="0 0 16 16" width="16" height="16" fill="currentColor" aria-hidden="true">${shape}</svg>`,
  );
  button.setAttribute('aria-label', playing ? 'Pause' : 'Play');
}

/** Called when the theme changes, which Gradio says with a class. @param {() => void} then */
export function onThemeChange(then) {
  const themes = new MutationObserver(then);
  for (const node of [document.documentElement, document.body]) {
    themes.observe(node, { attributes: true, attributeFilter: ['class'] });
  }
}

/**
 * Another page may be in front; its tab has been asked for, and this one follows.
 * @param {HTMLElement} element @param {() => void} then @param {number} [tries]
 */
export function whenShown(element, then, tries = 100) {
  if (element.offsetParent) then();
  else if (tries) setTimeout(() => whenShown(element, then, tries - 1), 50);
}

/** Largest file that is read, in bytes. */
export const LARGEST = 2e7;

/** @param {Blob} file @returns {Promise<string>} a data address */
export const readFile = (file) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });

/**
 * On a touch screen a file is handed to other apps, where they take it; else it is saved.
 * @param {string} address a data address @param {string} name
 */
export async function share(address, name) {
  if (navigator.canShare && matchMedia('(pointer: coarse)').matches) {
    const data = await (await fetch(address)).blob();
    const files = [new File([data], name, { type: data.type })];
    /** Whoever closes the sheet wants nothing more; what took too long to be made is saved. @param {DOMException} error */
    const refused = ({ name: why }) => (why === 'AbortError' ? undefined : save(address, name));
    if (navigator.canShare({ files })) return navigator.share({ files }).catch(refused);
  }
  return save(address, name);
}

/** @param {string} address @param {string} name */
export function save(address, name) {
  const link = Object.assign(document.createElement('a'), { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}
