// What is known of a growth, in figures, and what goes with it: a look at an unfinished clip, a verdict.

import { guessAt, meanConfidence, sampleOf, wordsOf } from '../run.js';
import * as store from '../store.js';
import { boundsOf, sizeOf } from '../tools/board.js';
import { definitions, find, findCanvas, penOf, resizeCanvas, seconds, setMarkup, setText } from './dom.js';

/** @typedef {import('../store.js').State} State */
/** @typedef {import('../run.js').Run} Run */

/** Width and height that a board is to have. @param {import('../tools/board.js').Board} board */
function pixelsOf(board) {
  const [rows, columns] = sizeOf(boundsOf(board));
  const [[, H, W], [height, width]] = [board.spec.grid, board.spec.size];
  return `${(columns * width) / W} × ${(rows * height) / H} px`;
}

/** @param {State} s @returns {[string, string | number][]} */
export function factsOf(s) {
  const run = store.seenRun(s);
  if (!run) {
    const { plan } = store.planned(s);
    const { grid } = s.spec;
    const pace = s.pace[s.spec.model];
    return [
      ['Grid', (grid[0] > 1 ? grid : grid.slice(1)).join(' × ')],
      .../** @type {[string, string][]} */ (s.board ? [['Picture', pixelsOf(s.board)]] : []),
      ['Widest front', Math.max(...plan.counts.slice(1), 0)],
      .../** @type {[string, string][]} */ (pace ? [['Estimate', seconds(pace * plan.total)]] : []),
    ];
  }
  const { plan } = run;
  const isWhole = s.step >= plan.total;
  const given = plan.counts[0] ? ['Given', `${plan.counts[0]} tokens`] : ['Steps', plan.total];
  const front = s.step ? ['Front', `${plan.counts[s.step]} tokens`] : given;
  const confidence = sampleOf(run, run.confidence, s.sample);
  const mean = meanConfidence(confidence, isWhole ? undefined : (plan.cells[s.step] ?? []));
  return /** @type {[string, string | number][]} */ ([
    isWhole ? ['Steps', plan.total] : front,
    ['Probability', mean === null ? '–' : mean.toFixed(2)],
    ...(run.elapsed ? [['Time', seconds(run.elapsed)]] : []),
  ]);
}

/** @param {HTMLElement} root */
export function factsView(root) {
  const [facts, drawn, mirror, part, verdict, guess, caption] = [
    ...['.facts', '.drawn', '.mirror', '.part', '.verdict', '.guess', '.guess figcaption'],
  ].map((query) => find(root, query));
  const canvas = findCanvas(guess, 'canvas');

  /** @param {State} s @param {Run | null} run */
  function renderGuess(s, run) {
    const step = run && guessAt(run, s.step);
    guess.hidden = step === null;
    const sheet = step === null ? null : run?.guesses.get(step);
    if (!run || !sheet) return;
    const [height, width] = run.spec.size;
    resizeCanvas(canvas, width, height);
    const x = (s.tick % run.spec.frames) * width;
    penOf(canvas).drawImage(sheet, x, s.sample * height, width, height, 0, 0, width, height);
    setText(caption, `Decoded at step ${step}, with a neutral token in place of each missing one.`);
  }

  /** @param {State} s */
  function render(s) {
    const run = store.seenRun(s);
    setMarkup(facts, definitions(factsOf(s)));
    drawn.hidden = !run?.drawn;
    setText(drawn, run?.drawn ? `Asked “${run.request ? wordsOf(run) : run.title}”, drawn “${run.drawn}”.` : '');
    mirror.hidden = !(run?.plan ?? store.planned(s, s.seedPosition).plan).mirrored;
    part.hidden = !run?.isPart;
    renderGuess(s, run);
    const told = s.phase === 'done' && run?.pictures.length ? run.verdict : null;
    verdict.hidden = !told;
    if (told) {
      const differs = `Not identical. Different: ${told.differs.join(', ')}.`;
      setText(verdict, told.same ? 'Verified: every token is the same.' : differs);
    }
  }
  return { render };
}
