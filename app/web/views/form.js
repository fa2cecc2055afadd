// Gradio's own controls around a player: they are read when it starts, and their keys and buttons work it.

import { wanted } from '../address.js';
import { variationAfter } from '../run.js';
import * as store from '../store.js';
import { around, isEscape, setText } from './dom.js';

/** @param {HTMLElement} studio @param {import('../player.js').Player} player */
export function formView(studio, player) {
  const grow = /** @type {HTMLElement | null} */ (studio.querySelector('.grow'));
  /** @param {string} query */
  const field = (query) => /** @type {HTMLInputElement | null} */ (studio.querySelector(query));

  studio.addEventListener('click', (e) => {
    const compare = around(e, '[data-lab]')?.dataset.lab;
    if (compare) player.pages.send('lab', { compare, query: { model: player.state.spec.model, prompt: words() } });
    if (around(e, '.grow')) player.start();
    else if (around(e, '.stop')) player.stop();
  });
  studio.addEventListener('change', (e) => {
    if (around(e, '.pictures')) player.render();
  });
  for (const event of ['input', 'change'])
    studio.addEventListener(event, (e) => around(e, '.ask, .settings') && render(player.state));
  // a link or another page may have filled it
  document.addEventListener('nar:form', (e) => {
    const { page } = /** @type {CustomEvent} */ (e).detail;
    if (page === player.state.mode) render(player.state);
  });
  studio.addEventListener(
    'keydown',
    (e) => {
      if (!around(e, '.ask, .settings')) return;
      const isAsked = around(e, '.prompt') && !e.shiftKey && !e.isComposing;
      if (e.key === 'Enter' && (e.ctrlKey || e.metaKey || isAsked)) {
        e.preventDefault();
        e.stopPropagation();
        player.start();
      }
      if (isEscape(e) && (player.state.active || player.state.startsWhenRead)) player.escape();
    },
    true,
  );

  /** @param {store.State} s */
  function render(s) {
    studio.dataset.state = s.phase;
    const again = player.isAskedAgain({}) ? 'Grow again' : 'Grow';
    const words = s.branchFrom ? `Continue from step ${s.branchFrom}` : again;
    if (grow && String(grow.textContent).trim() !== words) setText(grow, words);
  }

  /** What is asked for. */
  function words() {
    const prompt = field('.prompt textarea, .prompt input');
    return (prompt?.offsetParent ? prompt.value : field('.label input')?.value) ?? '';
  }

  /** What a new run is called. */
  const title = () => (words() || 'No prompt').trim().slice(0, 40);

  /** Everything that is asked for, as one text: whether it has changed since. */
  const asked = () => {
    const fields = /** @type {HTMLInputElement[]} */ ([
      ...studio.querySelectorAll(':is(.ask, .settings) :is(textarea, input):not([type=search], [type=file])'),
    ]);
    return JSON.stringify(fields.map(({ type, checked, value }) => (type === 'radio' ? checked : value)));
  };

  /** The variation after those of what is seen, in the form too; undefined where it has none. @returns {number | undefined} */
  function nextVariation() {
    const box = field('.rng input');
    if (!box) return undefined;
    const next = variation(store.currentRun(player.state)?.samples ?? samples());
    box.value = String(next);
    for (const event of ['input', 'change', 'blur']) box.dispatchEvent(new Event(event, { bubbles: true }));
    return next;
  }

  let isOwn = false; // whether the words are those of whoever looks at it
  studio.addEventListener('input', (e) => {
    if (e.isTrusted && around(e, '.prompt')) isOwn = true;
  });
  studio.addEventListener('click', (e) => {
    if (around(e, '.names-row [data-name], .names-row [data-pick], .names-row .any')) isOwn = true;
  });

  let linked = wanted('prompt'); // as the words of whoever looks at it, but for those of an example

  /** Words for the prompt, unless somebody has said others. @param {string} words */
  function say(words) {
    const box = field('.prompt textarea');
    if (words === linked) linked = undefined;
    if (!box || isOwn || [words, linked].includes(box.value)) return;
    box.value = words;
    box.dispatchEvent(new Event('input', { bubbles: true }));
  }

  /** So many variations further. @param {number} further */
  const variation = (further) => variationAfter(Number(field('.rng input')?.value), further);

  const samples = () => Number(field('.pictures input:checked')?.value) || 1;
  return { render, title, samples, asked, nextVariation, variation, say };
}
