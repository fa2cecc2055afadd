// What is happening, in a line; the buttons beside it; and the keys that can be pressed.

import { nameOfCell, nearestLegal, stepsFromCorner } from '../plan.js';
import * as store from '../store.js';
import { missingOf } from '../tools/board.js';
import { escapeText, find, seconds, setMarkup, setPlayButton, setText } from './dom.js';

/** @typedef {import('../store.js').State} State */
/** @typedef {import('../run.js').Run} Run */

/** @param {string} text */
export const aside = (text) => (text ? ` <span>${escapeText(text)}</span>` : '');

/** @param {number} share 0 to 1 */
export const percent = (share) => `${Math.floor(100 * share)} %`;

/** Where the model can start instead. @param {State} s */
function whyNot(s) {
  const { spec } = s;
  const at = nearestLegal(spec, [0, 0, 0], store.knownCells(s));
  return at
    ? `${spec.model} cannot start here; ${nameOfCell(at, spec.grid[0] > 1)} is possible`
    : `${spec.model} grows only right and down: keep the upper left part`;
}

/** What is said of a server that leaves open what it was asked. */
export const SILENT = 'The server does not answer';

/** What is said beside a growth that is under way where the server is silent. @param {Pick<Run, 'place'>} run */
export const silence = ({ place }) => (place ? '' : SILENT.toLowerCase());

/** What a growth waits for, as markup. @param {Pick<Run, 'place' | 'news'>} run */
export function waitingText({ place, news }) {
  if (!place) return SILENT;
  if (news) return escapeText(news.text) + aside(news.share === null ? '' : percent(news.share));
  return place.ahead ? `${place.ahead} ahead of you${aside(`about ${seconds(place.seconds)}`)}` : 'Starting';
}

/** @param {State} s @param {Run} run */
function stepText(s, run) {
  if (s.branchFrom) return `Continue from step ${s.branchFrom}${aside('change anything first')}`;
  const { total } = run.plan;
  let more = '';
  if (run.id === s.active) {
    const left = run.perStep * (total - run.last);
    more = silence(run) || (left ? `about ${seconds(left)} left` : '');
  } else if (run.state === 'stopped') more = 'stopped';
  else if (run.elapsed) more = seconds(run.elapsed);
  return `Step ${s.step} of ${total}${aside(more)}`;
}

/** @param {State} s */
function readyText(s) {
  if (s.mode === 'outpaint' && !s.board) return 'Choose a picture, then pull its edges.';
  if (s.startsWhenRead && s.silent) return SILENT;
  if (s.startsWhenRead) return `Reading the picture${aside('then it grows')}`;
  const { plan, isLegal, followsKept } = store.planned(s);
  if (!plan.total) return s.board ? 'Pull an edge to grow it, or brush a hole' : 'Everything is kept';
  if (!isLegal) return escapeText(whyNot(s));
  if (s.mode === 'outpaint') {
    const warning = followsKept ? '' : '; only what is right of or below the kept part can match it';
    const all = s.board ? missingOf(s.board).length : 0;
    const here = plan.step.length - plan.counts[0];
    const tokens = all > here ? `the first ${here} of ${all} tokens` : `${here} tokens`;
    return `${plan.total} steps${aside(`for ${tokens}${warning}`)}`;
  }
  if (s.source) return `${plan.total} steps${aside(`after the ${s.source.before ? 'clip' : 'picture'}`)}`;
  const corner = stepsFromCorner(s.spec);
  const compared = plan.total === corner ? '' : `; <em>${corner} from the corner</em>`;
  return `${plan.total} steps from here${compared}`;
}

/** Markup. @param {State} s */
export function statusText(s) {
  if (s.note) return escapeText(s.note);
  if (s.phase === 'waiting') return waitingText(/** @type {Run} */ (store.currentRun(s)));
  const run = store.seenRun(s);
  return run ? stepText(s, run) : readyText(s);
}

/** Keys and what they do. @param {State} s @returns {[string, string][]} */
export function hintsOf(s) {
  if (store.isBusy(s)) {
    return [
      ['Space', 'pause'],
      ['Esc', 'stop'],
      ['1 – 4', 'layers'],
    ];
  }
  if (s.phase === 'done') {
    return [
      ['Space', 'play'],
      ['← →', 'step'],
      ['Home End', 'first, last'],
      .../** @type {[string, string][]} */ (s.mode === 'outpaint' ? [['Ctrl Z', 'undo']] : [['N', 'new start']]),
      .../** @type {[string, string][]} */ (store.canBranch(s) ? [['B', 'branch']] : []),
      .../** @type {[string, string][]} */ (
        s.lens && store.canExplain(s) ? [['↑ ↓ ← → Enter', 'on the picture: a cell']] : []
      ),
      .../** @type {[string, string][]} */ (store.canExplain(s) ? [['M', 'microscope']] : []),
      ['1 – 4', 'layers'],
    ];
  }
  if (s.mode === 'outpaint') {
    if (!s.board) return [];
    if (s.startsWhenRead) return [['Esc', 'do not grow']];
    return [
      ['Drag', { keep: 'what to keep', erase: 'a hole', start: 'the start' }[s.tool]],
      ['↑ ↓ ← →', { keep: 'move, with Shift resize', erase: 'move, Space brushes', start: 'move' }[s.tool]],
      ['Enter', 'grow'],
      .../** @type {[string, string][]} */ (store.canUndo(s) ? [['Ctrl Z', 'undo']] : []),
    ];
  }
  const moves = /** @type {[string, string][]} */ ([['↑ ↓ ← →', 'move the start']]);
  return [...(s.spec.seed_positions === 'corner' ? [] : moves), ['Enter', 'grow'], ['1 – 4', 'layers']];
}

/** @param {HTMLElement} root @param {import('../player.js').Player} player */
export function statusView(root, player) {
  const [now, hints, play, speed, fresh, branch, undo] = [
    ...['.now', '.hints', '.play', '.speed', '.fresh', '.branch', '.undo'],
  ].map((query) => find(root, query));
  undo.onclick = () => player.set(store.undone(player.state));
  play.onclick = () => player.play(!store.isMoving(player.state));
  branch.onclick = () => {
    const isStopped = store.seenRun(player.state)?.state === 'stopped';
    if (isStopped && !player.state.branchFrom) player.goOn();
    else player.set(store.branchMarked(player.state));
  };
  fresh.onclick = () => {
    player.set(store.home(player.state));
    find(root, '.screen canvas').focus();
  };
  speed.onclick = () => player.set(store.faster(player.state));

  /** @param {State} s */
  function render(s) {
    setMarkup(now, statusText(s));
    setPlayButton(play, store.isMoving(s));
    setText(speed, `${s.speed}×`);
    speed.setAttribute('aria-label', `Speed ${s.speed}×`);
    fresh.hidden = s.phase !== 'done' || s.mode === 'outpaint';
    undo.hidden = !store.canUndo(s);
    branch.hidden = !(store.canBranch(s) || s.branchFrom);
    const isStopped = store.seenRun(s)?.state === 'stopped';
    const words = isStopped ? 'Go on' : 'Branch here';
    setText(/** @type {Node} */ (branch.firstChild), s.branchFrom ? 'Do not branch' : words);
    setMarkup(
      hints,
      hintsOf(s)
        .map(([key, what]) => `<span><kbd>${key}</kbd>${what}</span>`)
        .join(''),
    );
  }
  return { render };
}
