// The article as it stands: its acts beside a canvas that stays, and formulas whose parts are cells.

import * as store from '../article-store.js';
import { nameOfCell } from '../plan.js';
import { imageAt } from '../run.js';
import { around, escapeText, find, findAll, findCanvas, setMarkup, setPlayButton, setText } from './dom.js';
import { explanationOf } from './microscope.js';
import { cellUnder, paintPane } from './panes.js';

/** @typedef {store.ArticleState} ArticleState */

/** @type {Record<string, [number, number]>} rows and columns */
const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

const STILL = 3000; // ms without scrolling after which an act that was gone to is given up
const SCROLLING = ['ArrowUp', 'ArrowDown', 'PageUp', 'PageDown', 'Home', 'End']; // keys
const REST = 500; // ms in which the last of our own scrolling comes

/** What is said under the canvas. @param {ArticleState} s */
export function statusOf(s) {
  const { act, step, start, story } = s;
  if (!story) return 'Fetching what was recorded';
  if (act === 'distance') {
    const { total } = s.panes[0].plan;
    return `${total} steps from ${nameOfCell(start, false)}`;
  }
  return step ? `Step ${step} of ${store.totalOf(s)}` : 'Nothing is there yet';
}

/** What a pane says beside its title. @param {ArticleState} s @param {store.Pane} pane */
export const paneStatus = (s, { total }) => (s.step >= total ? `${total} steps` : `step ${s.step} of ${total}`);

/** @param {HTMLElement} root @param {import('../article.js').Article} article */
export function articleView(root, article) {
  const [panes, now, play, lens, stage] = ['.panes', '.now', '.play', '.microscope', '.stage'].map((q) =>
    find(root, q),
  );
  const scrub = /** @type {HTMLInputElement} */ (find(root, '.scrub'));
  const acts = findAll(root, '[data-act]');
  const dots = findAll(root, '[data-go]');
  const actOf = (/** @type {HTMLElement} */ at) => /** @type {store.Act} */ (at.dataset.act);
  let goal = /** @type {HTMLElement | null} */ (null); // the act that is gone to: until it is there scrolling is ours
  let going = 0; // until when, if nothing scrolls meanwhile

  /** @param {store.Act} act */
  const read = (act) => act !== article.state.act && article.set(store.read(article.state, act));

  /** Whether an act stands where going to it ends. @param {HTMLElement} act */
  function isAt(act) {
    const { scrollTop, clientHeight, scrollHeight } = document.documentElement;
    const away = act.getBoundingClientRect().top - (Number.parseFloat(getComputedStyle(act).scrollMarginTop) || 0);
    return Math.abs(away) <= 1 || (away > 0 && scrollTop + clientHeight >= scrollHeight - 1);
  }

  /** The act that is read: the last one that has come up to the line. */
  function follow() {
    if (!root.offsetParent) return;
    const now = performance.now();
    if (goal && isAt(goal)) {
      read(actOf(goal));
      goal = null;
      going = now + REST;
    } else if (goal && now < going) going = now + STILL;
    if (now < going) return;
    const box = stage.getBoundingClientRect();
    const isAbove = box.width > root.clientWidth * 0.7; // on a phone the canvas stays above the text
    const line = isAbove ? box.bottom + 0.35 * (innerHeight - box.bottom) : 0.5 * innerHeight;
    const come = acts.filter((act) => act.getBoundingClientRect().top < line);
    read(actOf(come.at(-1) ?? acts[0]));
  }
  /** @param {Event} e */
  function leave(e) {
    if (e instanceof KeyboardEvent && !SCROLLING.includes(e.key)) return;
    if (e.type === 'pointerdown' && e.target !== document.documentElement) return;
    goal = null;
    going = 0;
  }
  // whatever scrolls, and the page around may
  document.addEventListener('scroll', follow, { capture: true, passive: true });
  // the page may have grown meanwhile, and the act have gone on
  document.addEventListener('scrollend', () => goal && !isAt(goal) && goal.scrollIntoView(), { capture: true });
  // a hand that scrolls meanwhile is followed at once; the bar at the page's edge is of no element in it
  for (const event of ['wheel', 'touchmove', 'keydown', 'pointerdown'])
    document.addEventListener(event, leave, { capture: true, passive: true });

  /** @param {string} name @param {boolean} isFocused */
  function go(name, isFocused) {
    const act = acts.find((each) => each.dataset.act === name);
    if (!act) return;
    read(actOf(act)); // first, because what stays above on a phone is as tall as what it shows
    const isAbove = stage.offsetWidth > root.clientWidth * 0.7;
    root.style.setProperty('--above', `${isAbove ? stage.offsetHeight : 0}px`);
    goal = isAt(act) ? null : act;
    going = performance.now() + (goal ? STILL : REST);
    act.scrollIntoView({ block: 'start', behavior: article.state.calm ? 'auto' : 'smooth' });
    if (isFocused) find(act, 'h2').focus({ preventScroll: true });
  }

  root.addEventListener('click', (e) => {
    const to = around(e, '[data-go]')?.dataset.go;
    const what = around(e, '[data-try]')?.dataset.try;
    if (to) go(to, true);
    if (what) article.tryIt(what);
  });
  root.addEventListener('focusin', (e) => {
    const act = around(e, '[data-act]');
    if (act) read(actOf(act));
  });
  play.onclick = () => article.set(store.played(article.state, !article.state.playing));
  scrub.oninput = () => article.set(store.scrubbed(article.state, Number(scrub.value)));

  /** A part of a formula is pointed at, or no longer. @param {Event} e @param {boolean} on */
  function see(e, on) {
    const part = around(e, '[data-see]');
    if (!part) return;
    const act = around(e, '[data-act]');
    if (on && act) read(actOf(act));
    article.set({ ...article.state, see: on ? (part.dataset.see ?? '') : '' });
  }
  for (const [event, on] of /** @type {[string, boolean][]} */ ([
    ['pointerover', true],
    ['pointerout', false],
    ['focusin', true],
    ['focusout', false],
  ]))
    root.addEventListener(event, (e) => see(e, on));

  /** @param {PointerEvent | MouseEvent} e */
  function cellAt(e) {
    const canvas = /** @type {HTMLCanvasElement | null} */ (around(e, 'canvas'));
    const { state } = article;
    if (!canvas || canvas !== panes.querySelector('canvas') || !state.panes.length) return null;
    const { spec } = state.panes[0].plan;
    const slices = Array.from({ length: spec.grid[0] }, (_, t) => t);
    return store.isMoving(state) ? null : cellUnder(canvas, spec, 'slices', slices, e);
  }
  panes.addEventListener('pointermove', (e) => {
    const { state } = article;
    if (!['distance', 'meet', 'mixing'].includes(state.act)) return;
    const hover = cellAt(e);
    if (state.act === 'distance' || `${hover}` === `${state.hover}`) return;
    article.set({ ...state, hover });
  });
  panes.addEventListener('pointerleave', () => {
    if (article.state.hover) article.set({ ...article.state, hover: null });
  });
  panes.addEventListener('click', (e) => {
    const cell = cellAt(e);
    if (cell && article.state.act === 'distance') article.set(store.startedAt(article.state, cell));
  });
  panes.addEventListener('keydown', (e) => {
    const { state } = article;
    const move = MOVES[e.key];
    if (!move || state.act !== 'distance' || !state.story) return;
    e.preventDefault();
    const [t, h, w] = state.start;
    article.set(store.startedAt(state, [t, h + move[0], w + move[1]]));
  });

  /** @param {ArticleState} s @param {number} k @param {HTMLElement} figure */
  function renderPane(s, k, figure) {
    const { plan, total, run, shades } = s.panes[k];
    const ready = s.act === 'distance';
    const step = Math.min(s.step, plan.total);
    const isFirst = k === 0;
    const { image, row } = run ? imageAt(run, step, 0) : { image: null, row: 0 };
    const spoken = isFirst ? store.spokenOf(s) : null;
    const light = isFirst ? store.lightOf(s) : null;
    setText(find(figure, 'span'), paneStatus(s, s.panes[k]));
    paintPane(findCanvas(figure, 'canvas'), root, {
      ...{ plan, step, ready, image, row, tick: s.tick },
      layout: store.isMoving(s) ? 'loop' : 'slices',
      layers: { picture: !shades, confidence: Boolean(shades), front: true },
      confidence: shades?.(s.step),
      hover: ready || store.isMoving(s) ? null : spoken,
      heat: light,
      hideFront: s.step >= total,
    });
  }

  /** @param {ArticleState} s */
  function render(s) {
    root.dataset.at = s.act;
    for (const act of acts) act.toggleAttribute('data-read', act.dataset.act === s.act);
    for (const dot of dots) {
      if (dot.dataset.go === s.act) dot.setAttribute('aria-current', 'step');
      else dot.removeAttribute('aria-current');
    }
    const figures = s.panes.map(({ title }, k) => {
      const words = escapeText(title || find(root, `[data-act="${s.act}"] h2`).textContent);
      const keys =
        s.act === 'distance' && !k
          ? ' tabindex="0" role="application" aria-roledescription="token grid"'
          : ' role="img"';
      return (
        `<figure><canvas${keys} aria-label="${words}"></canvas>` +
        `<figcaption${title ? '' : ' hidden'}><b>${words}</b><span></span></figcaption></figure>`
      );
    });
    setMarkup(panes, figures.join(''));
    panes.dataset.count = String(figures.length);
    findAll(panes, 'figure').forEach((figure, k) => {
      renderPane(s, k, figure);
    });
    setText(now, statusOf(s));
    const total = store.totalOf(s);
    const isStill = s.act === 'distance' || !s.story;
    Object.assign(scrub, { max: total, value: s.step, disabled: isStill });
    scrub.style.setProperty('--share', `${(100 * s.step) / total}%`);
    /** @type {HTMLButtonElement} */ (play).disabled = isStill;
    setPlayButton(play, s.playing);
    lens.hidden = s.act !== 'mixing' || !s.story;
    if (s.story && !lens.hidden) setMarkup(lens, explanationOf(s.story.explained, false));
    if (s.story) setText(find(root, '.wrong'), String(s.story.runs.wrong.request?.prompt ?? ''));
  }

  return { render, failed: () => setText(now, 'What was recorded did not come; reload the page.') };
}
