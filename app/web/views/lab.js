// Growths side by side, and one scrubber for all of them.

import * as store from '../lab-store.js';
import { isLegal } from '../plan.js';
import { imageAt } from '../run.js';
import {
  around,
  copied,
  definitions,
  escapeText,
  find,
  findAll,
  findCanvas,
  flash,
  isEscape,
  penOf,
  save,
  setChosen,
  setMarkup,
  setPlayButton,
  setText,
} from './dom.js';
import { paintPane } from './panes.js';
import { aside, silence, waitingText } from './status.js';

/** @typedef {store.LabState} LabState */

/** Markup. @param {LabState} s */
export function statusText(s) {
  const { active, news, panes, phase } = s;
  if (s.note) return escapeText(s.note);
  if (active && (news || !store.lastOf(s))) return waitingText(s);
  if (phase === 'ready') return 'Choose what to compare, then Grow all';
  const done = panes.filter(({ run }) => run.finals.length).length;
  return active ? `${done} of ${panes.length} finished${aside(silence(s))}` : `Step ${s.step} of ${store.totalOf(s)}`;
}

/** What of a pane is drawn. @param {LabState} s @param {store.Pane} pane */
export function momentOf(s, { run }) {
  const ready = s.phase === 'ready' || !run.last;
  return { ready, step: s.active ? run.last : Math.min(s.step, run.last) };
}

/** The pictures of some figures in a row, with their words below. @param {HTMLElement[]} figures */
function sideBySide(figures) {
  const [gap, foot] = [16, 32];
  const canvases = figures.map((figure) => findCanvas(figure, 'canvas'));
  const [side, tall] = [canvases[0].width, Math.max(...canvases.map(({ height }) => height))];
  const out = document.createElement('canvas');
  Object.assign(out, { width: figures.length * (side + gap) - gap, height: tall + foot });
  const pen = penOf(out);
  pen.fillStyle = '#ffffff';
  pen.fillRect(0, 0, out.width, out.height);
  pen.fillStyle = '#191a1d';
  pen.font = '500 16px system-ui, sans-serif';
  canvases.forEach((canvas, k) => {
    pen.drawImage(canvas, k * (side + gap), 0);
    pen.fillText(find(figures[k], 'b').textContent ?? '', k * (side + gap), tall + 22, side);
  });
  return out;
}

/** @param {HTMLElement} root @param {HTMLElement} page @param {import('../lab.js').Lab} lab */
export function labView(root, page, lab) {
  const [compare, panes, now, play] = ['.compare', '.panes', '.now', '.play'].map((query) => find(root, query));
  const scrub = /** @type {HTMLInputElement} */ (find(root, '.scrub'));

  compare.addEventListener('click', (e) => {
    const name = around(e, '[data-compare]')?.dataset.compare;
    if (name) lab.set(store.chosen(lab.state, name));
  });
  const values = find(root, '.values');
  const typed = /** @type {HTMLInputElement} */ (find(values, 'input'));
  typed.addEventListener('change', () => lab.set(store.valued(lab.state, typed.value)));
  page.addEventListener('input', (e) => {
    const box = around(e, '.prompt') && e.target;
    if (box instanceof HTMLTextAreaElement) lab.set(store.asked(lab.state, box.value));
  });
  for (const button of findAll(root, '[data-save]'))
    button.onclick = () => keep(/** @type {'csv' | 'png'} */ (button.dataset.save));
  const link = find(root, '.link');
  link.onclick = async () => {
    flash(link, (await copied(lab.address())) ? 'Copied' : 'Copy the address above', 2000);
  };
  const which = find(root, '.which');
  const prompts = /** @type {HTMLSelectElement} */ (find(which, 'select'));
  prompts.onchange = () => lab.set(store.withSample(lab.state, prompts.selectedIndex));
  scrub.addEventListener('input', () => lab.set(store.scrubbed(lab.state, Number(scrub.value))));
  play.addEventListener('click', () => lab.play(!lab.state.playing));
  page.addEventListener('click', (e) => {
    if (around(e, '.grow')) lab.start();
    else if (around(e, '.stop')) lab.stop();
  });
  page.addEventListener(
    'keydown',
    (e) => {
      if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) {
        e.preventDefault();
        e.stopPropagation();
        lab.start();
      }
      if (isEscape(e)) lab.stop();
    },
    true,
  );

  /** What stands, as a table or as it is seen. @param {'csv' | 'png'} form */
  function keep(form) {
    const name = `nar-${lab.state.compare}.${form}`;
    if (form === 'png') return save(sideBySide(findAll(panes, 'figure')).toDataURL('image/png'), name);
    save(`data:text/csv;charset=utf-8,${encodeURIComponent(store.tableOf(lab.state))}`, name);
  }

  /** @param {LabState} s @param {store.Pane} pane @param {HTMLElement} figure */
  function renderPane(s, pane, figure) {
    const { run, facts } = pane;
    const { plan } = run;
    const { ready, step } = momentOf(s, pane);
    setText(find(figure, '.k'), ready ? `${plan.total} steps` : `${step} of ${plan.total}`);
    setMarkup(find(figure, 'dl'), definitions(facts));
    const { image, row } = imageAt(run, step, Math.min(s.sample, run.samples - 1));
    paintPane(findCanvas(figure, 'canvas'), root, {
      ...{ plan, step, ready, row, isLegal: isLegal(plan) },
      image: run.last ? image : null,
    });
  }

  /** @param {LabState} s */
  function render(s) {
    root.dataset.state = s.phase;
    page.dataset.state = s.phase;
    const names = s.sets.map(
      ({ name, title }) => `<button type="button" data-compare="${name}">${escapeText(title)}</button>`,
    );
    setMarkup(compare, names.join(''));
    for (const button of findAll(compare, 'button')) setChosen(button, button.dataset.compare === s.compare);
    const figures = s.panes.map(({ title }) => {
      const words = escapeText(title);
      return (
        `<figure><canvas role="img" aria-label="${words}"></canvas>` +
        `<figcaption><b>${words}</b><span class="k"></span><dl></dl></figcaption></figure>`
      );
    });
    setMarkup(panes, figures.join(''));
    panes.dataset.count = String(s.panes.length);
    which.hidden = store.samplesOf(s) < 2;
    const shown = s.panes.find(({ run }) => run.request)?.run;
    const options = Array.from({ length: store.samplesOf(s) }, (_, k) => {
      const words = (shown && store.promptOf(shown, k)) || `Prompt ${k + 1}`;
      return `<option>${escapeText(words)}</option>`;
    });
    setMarkup(prompts, options.join(''));
    prompts.selectedIndex = s.sample;
    values.hidden = !store.setOf(s).setting;
    if (document.activeElement !== typed) typed.value = store.typedValues(s);
    typed.disabled = s.active !== null;
    for (const button of findAll(root, '[data-save]')) button.toggleAttribute('disabled', s.phase !== 'done');
    for (const [k, figure] of findAll(panes, 'figure').entries()) renderPane(s, s.panes[k], figure);
    setMarkup(now, statusText(s));
    const total = store.totalOf(s);
    Object.assign(scrub, { max: total, value: s.step, disabled: s.phase !== 'done' });
    scrub.style.setProperty('--share', `${(100 * s.step) / total}%`);
    /** @type {HTMLButtonElement} */ (play).disabled = s.phase !== 'done';
    setPlayButton(play, s.playing && !s.active);
  }
  return { render };
}
