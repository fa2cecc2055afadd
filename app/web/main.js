// What the page's elements mount; each is called once for its gr.HTML element.
import './menus.js';

export { mountLab } from './lab.js';
export { mountPlayer } from './player.js';
export { mountRecent } from './views/recent.js';

/**
 * Scripts that few come to see are fetched when the first one does; see LATE in app/pages/parts.py.
 * @param {HTMLElement} element @param {() => Promise<unknown>} mount
 */
function late(element, mount) {
  const seen = new ResizeObserver(() => {
    if (!element.offsetParent) return;
    seen.disconnect();
    mount();
  });
  seen.observe(element);
}

/** @param {HTMLElement} element @param {import('./wire.js').Tools} tools @param {any} config */
export const mountArticle = (element, tools, config) =>
  late(element, async () => (await import('./article.js')).mountArticle(element, tools, config));

/** @param {HTMLElement} element @param {import('./wire.js').Tools} tools @param {any} config */
export const mountEvidence = (element, tools, config) =>
  late(element, async () => (await import('./views/evidence.js')).mountEvidence(element, tools, config));
