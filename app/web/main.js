// What the page's elements mount; each is called once for its gr.HTML element.
import './menus.js';
import { SILENT } from './views/status.js';

export { mountLab } from './lab.js';
export { mountPlayer } from './player.js';
export { mountRecent } from './views/recent.js';

/**
 * Scripts that few come to see are fetched when the first one does; see LATE in app/pages/parts.py. What did not come a
 * browser does not fetch again before the page is loaded again.
 * @template T @param {HTMLElement} element @param {() => Promise<T>} load @param {(scripts: T) => void} mount
 */
function late(element, load, mount) {
  const failed = () => {
    const note = Object.assign(document.createElement('p'), { className: 'not-come', textContent: `${SILENT}. ` });
    const again = Object.assign(document.createElement('button'), {
      type: 'button',
      textContent: 'Load the page again',
    });
    again.onclick = () => location.reload();
    note.append(again);
    element.prepend(note);
  };
  const seen = new ResizeObserver(() => {
    if (!element.offsetParent) return;
    seen.disconnect();
    load().then(mount, failed);
  });
  seen.observe(element);
}

/** @param {HTMLElement} element @param {import('./wire.js').Tools} tools @param {any} config */
export const mountArticle = (element, tools, config) =>
  late(
    element,
    () => import('./article.js'),
    (scripts) => scripts.mountArticle(element, tools, config),
  );

/** @param {HTMLElement} element @param {import('./wire.js').Tools} tools @param {any} config */
export const mountEvidence = (element, tools, config) =>
  late(
    element,
    () => import('./views/evidence.js'),
    (scripts) => scripts.mountEvidence(element, tools, config),
  );
