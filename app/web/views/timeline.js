// The plan as a chart, a bar for each step, which is the slider; over and below it a lane for each branch. The lanes
// are beside the slider, not in it: what can be pressed inside of a slider cannot be reached by all.

import { stepsFromCorner } from '../plan.js';
import * as store from '../store.js';
import { around, escapeText, find, setMarkup } from './dom.js';

/** @typedef {import('../store.js').State} State */
/** @typedef {import('../run.js').Run} Run */

const TALL = 44; // of the tallest bar
const BOTTOM = TALL + 2; // of all bars
const LANE = 48;

/** @param {number} x */
const px = (x) => x.toFixed(1);

/** How the steps lie in a given width. @param {State} s @param {number} wide */
export function scaleOf(s, wide) {
  const run = store.seenRun(s);
  const { plan } = run ?? store.planned(s);
  const longest = run || s.mode === 'outpaint' ? 1 : stepsFromCorner(s.spec);
  const axis = Math.max(plan.total, longest);
  return { run, plan, axis, each: (wide - (run ? 52 : 0)) / axis, step: run ? s.step : 0 };
}

/** @param {number} k @param {State} s @param {Run | null} run @param {number} total */
function kindOf(k, s, run, total) {
  if (k > total) return 'none';
  if (!run) return 'plan';
  if (k === s.step) return 'now';
  if (k < s.step) return 'past';
  return k <= run.last ? 'seen' : 'todo';
}

/** @param {State} s @param {ReturnType<typeof scaleOf>} scale */
function barsOf(s, { run, plan, axis, each }) {
  const gap = Math.min(4, each * 0.2);
  const peak = Math.max(...plan.counts.slice(1), 1);
  return Array.from({ length: axis }, (_, i) => {
    const high = i < plan.total ? Math.max(4, (TALL * plan.counts[i + 1]) / peak) : 2;
    return `<rect class="bar ${kindOf(i + 1, s, run, plan.total)}" x="${px(i * each + gap / 2)}" y="${px(BOTTOM - high)}"
      width="${px(Math.max(0.5, each - gap))}" height="${px(high)}" rx="${px(Math.min(2, each / 4))}"/>`;
  });
}

/** Numbers under some bars, none too near to another. @param {State} s @param {ReturnType<typeof scaleOf>} scale */
function numbersOf(s, { run, plan, axis, each, step }) {
  const marks = /** @type {number[]} */ ([]);
  const isFree = (/** @type {number} */ k, /** @type {number} */ room) =>
    marks.every((m) => Math.abs(m - k) * each > room);
  const important = run ? step : plan.total;
  for (const k of [important, axis, plan.total, 1]) if (k > 0 && isFree(k, 22)) marks.push(k);
  const every = Math.max(1, Math.ceil(34 / each / 5) * 5);
  for (let k = every; k < axis; k += every) if (isFree(k, 26)) marks.push(k);
  const isBranch = (/** @type {number} */ k) => Boolean(run) && s.lanes.some((id) => s.runs[id].from === k);
  return marks
    .filter((k) => k === important || (!isBranch(k) && Math.abs(k - important) * each >= 22))
    .map(
      (k) =>
        `<text class="${k === important ? 'on' : ''}" x="${px((k - 0.5) * each)}" y="${BOTTOM + 18}" text-anchor="middle">${k}</text>`,
    );
}

/** @param {State} s @param {number} wide @param {number} each */
export function lanesOf(s, wide, each) {
  const lines = /** @type {Map<string, number>} */ (new Map()); // where each lane's line runs
  return s.lanes.map((id, j) => {
    const run = s.runs[id];
    const y = j === 0 ? 4 : BOTTOM + 30 + LANE * (j - 1);
    const picture = s.calm && run.spec.frames > 1 ? '' : run.pictures[Math.min(s.sample, run.pictures.length - 1)];
    const image = picture
      ? `<image href="${picture}" x="${wide - 40}" y="${y + 2}" width="36" height="36" preserveAspectRatio="xMidYMid slice" clip-path="inset(0 round 6px)"/>`
      : '';
    const thumb = `<rect class="frame" x="${wide - 42}" y="${y}" width="40" height="40" rx="8"/>${image}`;
    const name = escapeText(j === 0 ? run.title : `${run.title}, from step ${run.from}`);
    let line = '';
    if (j > 0) {
      const x = (run.from - 0.5) * each;
      const middle = y + 20;
      const top = lines.get(run.parent ?? '') ?? BOTTOM + 4;
      lines.set(id, middle);
      line =
        `<path d="M${px(x)} ${top}V${middle - 6}q0 6 6 6H${wide - 48}"/><circle cx="${px(x)}" cy="${top}" r="3"/>` +
        `<text x="${px(x + 14)}" y="${middle - 8}">${name}</text>`;
    }
    const on = id === s.current ? ' on' : '';
    // a trunk without branches leads nowhere
    const button = s.lanes.length > 1 ? ` tabindex="0" role="button" aria-label="${name}"` : '';
    return `<g class="lane${on}" data-lane="${j}"${button}>${line}${thumb}</g>`;
  });
}

/** @param {HTMLElement} svg @param {number} wide @param {number} high @param {string[]} parts */
function draw(svg, wide, high, parts) {
  svg.setAttribute('viewBox', `0 0 ${wide} ${high}`);
  svg.style.height = `${high}px`;
  setMarkup(svg, parts.join(''));
}

/** @param {HTMLElement} root @param {import('../player.js').Player} player */
export function timelineView(root, player) {
  const track = find(root, '.track');
  const lanes = find(root, '.lanes');
  const width = () => /** @type {HTMLElement} */ (track.parentElement).clientWidth;
  const laneOf = (/** @type {Event} */ e) => Number(around(e, '[data-lane]')?.dataset.lane ?? Number.NaN);

  let scrubbing = false;
  const scrub = (/** @type {PointerEvent} */ e) => {
    const x = e.clientX - track.getBoundingClientRect().left;
    player.set(store.scrubbed(player.state, Math.ceil(x / scaleOf(player.state, width()).each)));
  };
  const released = () => {
    scrubbing = false;
  };
  track.addEventListener('pointerdown', (e) => {
    if (!store.seenRun(player.state)) return;
    scrubbing = true;
    track.setPointerCapture(e.pointerId);
    scrub(e);
  });
  track.addEventListener('pointermove', (e) => scrubbing && scrub(e));
  track.addEventListener('pointerup', released);
  track.addEventListener('pointercancel', released);
  lanes.addEventListener('pointerdown', (e) => {
    const lane = laneOf(e);
    if (lane >= 0) player.set(store.laneOpened(player.state, lane));
  });
  lanes.addEventListener('keydown', (e) => {
    const lane = laneOf(e);
    if (!(lane >= 0) || (e.key !== 'Enter' && e.key !== ' ')) return;
    e.preventDefault();
    e.stopPropagation(); // the player's own keys
    player.set(store.laneOpened(player.state, lane));
  });

  /** @param {State} s */
  function render(s) {
    const wide = width();
    if (!wide) return;
    const scale = scaleOf(s, wide);
    const { run, plan, step, each } = scale;
    const knob = run && step > 0 ? `<circle class="knob" cx="${px((step - 0.5) * each)}" cy="${BOTTOM}" r="5"/>` : '';
    const branches = run ? Math.max(0, s.lanes.length - 1) : 0;
    draw(track, wide, BOTTOM + 26, [...barsOf(s, scale), ...numbersOf(s, scale), knob]);
    draw(lanes, wide, BOTTOM + 26 + LANE * branches, run ? lanesOf(s, wide, each) : []);
    track.setAttribute('aria-valuemin', '0');
    track.setAttribute('aria-valuemax', String(plan.total));
    track.setAttribute('aria-valuenow', String(step));
    track.setAttribute('aria-valuetext', run ? `step ${step} of ${plan.total}` : `${plan.total} steps planned`);
  }
  return { render };
}
