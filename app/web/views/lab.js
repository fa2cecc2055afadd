// Growths side by side, and one scrubber for all of them.

import * as store from '../lab-store.js';
import { framesOf, isLegal } from '../plan.js';
import { imageAt } from '../run.js';
import {
  around,
  definitions,
  escapeText,
  find,
  findAll,
  findCanvas,
  penOf,
  resizeCanvas,
  setChosen,
  setMarkup,
  setPlayButton,
  setText,
} from './dom.js';
import { coloursOf, paintGrid, tilesOf } from './grid.js';
import { percent } from './status.js';

/** @typedef {store.LabState} LabState */

/** @param {LabState} s */
export function statusText(s) {
  const { active, news, panes, phase } = s;
  if (active && news) return news.share === null ? news.text : `${news.text} ${percent(news.share)}`;
  if (phase === 'ready') return 'Choose what to compare, then Grow all';
  const done = panes.filter(({ run }) => run.finals.length).length;
  return active ? `${done} of ${panes.length} finished` : `Step ${s.step} of ${store.totalOf(s)}`;
}

/** What of a pane is drawn. @param {LabState} s @param {store.Pane} pane */
export function momentOf(s, { run }) {
  const ready = s.phase === 'ready' || !run.last;
  return { ready, step: Math.min(s.active ? run.last : s.step, run.plan.total) };
}

/** @param {HTMLElement} root @param {HTMLElement} page @param {import('../lab.js').Lab} lab */
export function labView(root, page, lab) {
  const [compare, panes, now, play] = ['.compare', '.panes', '.now', '.play'].map((query) => find(root, query));
  const scrub = /** @type {HTMLInputElement} */ (find(root, '.scrub'));

  compare.addEventListener('click', (e) => {
    const name = around(e, '[data-compare]')?.dataset.compare;
    if (name) lab.set(store.chosen(lab.state, name));
  });
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
      if (e.key === 'Escape') lab.stop();
    },
    true,
  );

  /** @param {LabState} s @param {store.Pane} pane @param {HTMLElement} figure */
  function renderPane(s, pane, figure) {
    const { run, facts } = pane;
    const { plan, spec } = run;
    const canvas = findCanvas(figure, 'canvas');
    const density = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * density);
    const { ready, step } = momentOf(s, pane);
    setText(find(figure, '.k'), ready ? `${plan.total} steps` : `${step} of ${plan.total}`);
    setMarkup(find(figure, 'dl'), definitions(facts));
    if (!width) return;
    resizeCanvas(canvas, width, tilesOf(spec, width, 'slices').height);
    const slices = Array.from({ length: spec.grid[0] }, (_, t) => t);
    const { image, row } = imageAt(run, step, 0);
    paintGrid(penOf(canvas), width, {
      ...{ plan, step, ready, row, slices, density },
      layers: { picture: true, front: true },
      isLegal: isLegal(plan),
      seedPosition: plan.seedPosition,
      image: run.last ? image : null,
      frames: slices.map((t) => framesOf(spec, t)[0]),
      hideFront: step >= plan.total,
      colours: coloursOf(root),
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
    for (const [k, figure] of findAll(panes, 'figure').entries()) renderPane(s, s.panes[k], figure);
    setText(now, statusText(s));
    const total = store.totalOf(s);
    Object.assign(scrub, { max: total, value: s.step, disabled: s.phase !== 'done' });
    scrub.style.setProperty('--share', `${(100 * s.step) / total}%`);
    /** @type {HTMLButtonElement} */ (play).disabled = s.phase !== 'done';
    setPlayButton(play, s.playing && !s.active);
  }
  return { render };
}
