// Models that differ in one thing: what they made of the same prompts, in step or in real time, and their table.

import { loadImage } from '../tools/pixels.js';
import {
  escapeText,
  find,
  findAll,
  findCanvas,
  penOf,
  save,
  setChosen,
  setMarkup,
  setPlayButton,
  setText,
} from './dom.js';
import { orderOf, paintWritten, progressOf } from './race.js';

/** @typedef {[number, number, number]} Share with its 95 % interval */

/**
 * @typedef {object} Row one model, from one place
 * @property {string} name
 * @property {string} title
 * @property {'neighbours' | 'raster'} order
 * @property {'corner' | 'any'} place
 * @property {number} steps
 * @property {number} parameters
 * @property {number} loss
 * @property {number} seconds
 * @property {number} samples
 * @property {number} hours
 * @property {Share} right
 * @property {Share} right_seen
 * @property {Share} right_held_out
 * @property {number} [damage]
 * @property {number} [frechet]
 * @property {number} [frechet_floor]
 * @property {{ frechet?: number }[]} [rounds] of one rng seed each
 */

/**
 * What `evaluate --ablations` has written.
 * @typedef {object} Ablations
 * @property {string} command
 * @property {string} world
 * @property {number} prompts
 * @property {number[]} rng_seeds
 * @property {number[]} grid
 * @property {string[]} examples
 * @property {Row[]} rows
 */

/** @typedef {'steps' | 'time'} Pace */

const TICKS = 200; // of the slowest growth in real time
const PACE = 60; // ms for a step, or a tick

/** Each model once: what it grew is shown from where it always starts. @param {Ablations} told */
export const modelsOf = ({ rows }) => rows.filter(({ name }, k) => rows.findIndex((row) => row.name === name) === k);

/** How many moments there are. @param {Row[]} models @param {Pace} pace */
export const lengthOf = (models, pace) => (pace === 'time' ? TICKS : Math.max(...models.map(({ steps }) => steps)));

/**
 * The step of every model at a moment: in step all have taken as many, in real time as many as they had time for.
 * @param {Row[]} models @param {Pace} pace @param {number} moment
 */
export function stepsAt(models, pace, moment) {
  const longest = Math.max(...models.map(({ seconds }) => seconds));
  return models.map(({ steps, seconds }) =>
    pace === 'time'
      ? Math.min(steps, Math.floor(((moment / TICKS) * longest * steps) / seconds + 1e-9))
      : Math.min(steps, moment),
  );
}

const percent = (/** @type {number} */ share) => String(Math.round(100 * share));

/** "63 (60 to 67)" @param {Share} share */
export const within = ([share, low, high]) => `${percent(share)} <small>${percent(low)} to ${percent(high)}</small>`;

/** "9.5 9.1 to 9.8": the mean, and the least and the most of any rng seed. @param {Row} row */
function frechetOf({ frechet, rounds = [] }) {
  if (frechet === undefined) return '–';
  const each = rounds.flatMap((round) => round.frechet ?? []);
  const [least, most] = [Math.min(...each), Math.max(...each)].map((x) => x.toFixed(1));
  return frechet.toFixed(1) + (each.length > 1 ? ` <small>${least} to ${most}</small>` : '');
}

/** FID of the paper's models of size L (Table 4), where one of them is like it. @type {Record<string, string>} */
const PUBLISHED = { raster: '3.80', 'one-head': '66.31', heads: '3.06' };

/** @type {[string, (row: Row) => string][]} */
const COLUMNS = [
  ['right, %', (row) => within(row.right)],
  ['seen, %', (row) => within(row.right_seen)],
  ['held out, %', (row) => within(row.right_held_out)],
  ['damaged, %', (row) => (row.damage === undefined ? '–' : (100 * row.damage).toFixed(1))],
  ['Fréchet, ours', frechetOf],
  ['nats a token', (row) => row.loss.toFixed(2)],
  ['steps', (row) => String(row.steps)],
  ['s of a processor', (row) => row.seconds.toFixed(2)],
  ['FID, paper', (row) => PUBLISHED[row.name] ?? '–'],
];

/** The table as markup. @param {Ablations} told */
export function tableOf({ rows }) {
  const columns = COLUMNS.filter(([, of]) => rows.some((row) => of(row) !== '–'));
  const head = columns.map(([title]) => `<th scope="col">${title}</th>`).join('');
  const body = rows.map((row) => {
    const place = row.place === 'any' ? 'any cell' : 'the corner';
    const cells = columns.map(([, of]) => `<td>${of(row)}</td>`).join('');
    return `<tr><th scope="row">${escapeText(row.title)}</th><td>${place}</td>${cells}</tr>`;
  });
  return `<thead><tr><th scope="col">model</th><th scope="col">grown from</th>${head}</tr></thead><tbody>${body.join('')}</tbody>`;
}

/** The table with commas. @param {Ablations} told */
export function csvOf({ rows }) {
  const names = /** @type {(keyof Row)[]} */ (
    'name,place,order,steps,parameters,samples,hours,loss,seconds,damage,frechet,frechet_floor'.split(',')
  );
  const shares = /** @type {const} */ (['right', 'right_seen', 'right_held_out']);
  const head = [...names, ...shares.flatMap((name) => [name, `${name}_low`, `${name}_high`])];
  return [head, ...rows.map((row) => [...names.map((n) => row[n] ?? ''), ...shares.flatMap((n) => row[n])])]
    .map((cells) => cells.join(','))
    .join('\n');
}

/** "7", or "7 to 9" of several. @param {number[]} values @param {(value: number) => string} told */
function spanOf(values, told) {
  const [least, most] = [Math.min(...values), Math.max(...values)].map(told);
  return least === most ? least : `${least} to ${most}`;
}

/** What was equal and what was not, in sentences. @param {Ablations} told */
export function equalOf(told) {
  const models = modelsOf(told);
  const grown = models.map(({ samples }) => samples);
  const growths = `${spanOf(grown, (n) => n.toLocaleString('en'))} growths of whole pictures`;
  const isEqual = new Set(grown).size === 1;
  const weights = spanOf(
    models.map(({ parameters }) => parameters / 1e6),
    (n) => n.toFixed(2),
  );
  const minutes = spanOf(
    models.map(({ hours }) => Math.round(60 * hours)),
    String,
  );
  return (
    `Equal: pictures, tokenizer, width, depth, rng seed${isEqual ? ` and ${growths}` : ''}. Not equal: ` +
    `${isEqual ? '' : `${growths}, `}${weights} million weights (the heads), and ${minutes} minutes on two cores. ` +
    `${told.prompts} prompts under each of ${told.rng_seeds.length} rng seeds, some of them combinations that training ` +
    `never shows; small, the 95 % interval.`
  );
}

/** What the numbers are, and are not. @param {Ablations} told */
export function meantOf({ rows }) {
  const floor = rows.find((row) => row.frechet_floor !== undefined)?.frechet_floor;
  return [
    'Right: what a prompt asks for is what is seen. Each was trained once; how far another training of it lies, the ' +
      'intervals do not tell.',
    ...(rows.some(({ damage }) => damage !== undefined)
      ? []
      : ['Damaged cells are not told: no prompt of this world has one right picture to compare with.']),
    ...(floor === undefined
      ? []
      : [
          'Fréchet: a distance over features of a small classifier of ours, so it is no FID; the least and the most of ' +
            `any rng seed are small. Other renderings of the same prompts lie ${floor.toFixed(1)} away.`,
        ]),
    'FID: the paper’s models of size L on ImageNet (Table 4), not comparable but in their order.',
  ].join(' ');
}

/** @param {HTMLElement} root @param {string} folder @param {Ablations} told */
function ablationsView(root, folder, told) {
  const section = find(root, '.ablations');
  const models = modelsOf(told);
  const orders = models.map(({ order }) => orderOf(told.grid, order === 'raster' ? null : [0, 0, 0]));
  const scrub = /** @type {HTMLInputElement} */ (find(section, '.scrub'));
  const play = find(section, '.play');
  const images = /** @type {HTMLImageElement[]} */ ([]);
  let pace = /** @type {Pace} */ ('steps');
  let example = 0;
  let moment = 0;
  let clock = 0;

  setMarkup(
    find(section, '.panes'),
    models
      .map(({ title }) => {
        const words = escapeText(title);
        return `<figure><canvas role="img" aria-label="${words}"></canvas><figcaption><b>${words}</b><span></span></figcaption></figure>`;
      })
      .join(''),
  );
  setMarkup(
    find(section, '.examples-of'),
    told.examples.map((words, k) => `<button type="button" data-example="${k}">${escapeText(words)}</button>`).join(''),
  );
  setMarkup(find(section, 'table'), `<caption>Measured by this project, beside the paper</caption>${tableOf(told)}`);
  setText(find(section, '.equal'), `${equalOf(told)} ${meantOf(told)}`);
  setMarkup(find(section, '.how'), `<code>${escapeText(told.command)}</code>`);

  function render() {
    const length = lengthOf(models, pace);
    const steps = stepsAt(models, pace, moment);
    findAll(section, '.panes figure').forEach((figure, k) => {
      const canvas = findCanvas(figure, 'canvas');
      const side = Math.round(canvas.clientWidth * (window.devicePixelRatio || 1));
      if (!side || !images[k]) return;
      canvas.width = side;
      canvas.height = side;
      const at = { order: orders[k], step: steps[k], grid: told.grid, number: example };
      paintWritten(penOf(canvas), side, images[k], at);
      setText(find(figure, 'span'), progressOf(steps[k], models[k].steps));
    });
    Object.assign(scrub, { max: length, value: moment });
    scrub.style.setProperty('--share', `${(100 * moment) / length}%`);
    setPlayButton(play, Boolean(clock));
    for (const button of findAll(section, '[data-example]'))
      setChosen(button, Number(button.dataset.example) === example);
    for (const button of findAll(section, '[data-pace]')) setChosen(button, button.dataset.pace === pace);
    const longest = Math.max(...models.map(({ seconds }) => seconds));
    setText(
      find(section, '.now'),
      pace === 'time' ? `${((moment / length) * longest).toFixed(2)} s of a processor` : `Step ${moment}`,
    );
  }

  function stop() {
    clearInterval(clock);
    clock = 0;
  }
  function turn() {
    if (!root.isConnected || moment >= lengthOf(models, pace)) stop();
    else moment += 1;
    render();
  }
  /** @param {boolean} on */
  function setPlaying(on) {
    stop();
    if (on && moment >= lengthOf(models, pace)) moment = 0;
    if (on) clock = window.setInterval(turn, PACE);
    render();
  }

  section.addEventListener('click', (e) => {
    const at = /** @type {HTMLElement} */ (e.target).closest('button');
    if (!at) return;
    if (at === play) return setPlaying(!clock);
    if (at.dataset.example) example = Number(at.dataset.example);
    if (at.dataset.pace) {
      stop();
      const share = moment / lengthOf(models, pace);
      pace = /** @type {Pace} */ (at.dataset.pace);
      moment = Math.round(share * lengthOf(models, pace));
    }
    if (at.dataset.keep === 'csv')
      save(`data:text/csv;charset=utf-8,${encodeURIComponent(csvOf(told))}`, 'nar-ablations.csv');
    render();
  });
  scrub.oninput = () => {
    stop();
    moment = Number(scrub.value);
    render();
  };
  section.hidden = false;
  moment = lengthOf(models, pace);
  new ResizeObserver(render).observe(find(section, '.panes'));
  models.forEach(async ({ name }, k) => {
    images[k] = await loadImage(`${folder}/figures/ablations/${name}.jpg`);
    render();
  });
}

/** @param {HTMLElement} root @param {string} folder below it, what was recorded */
export async function mountAblations(root, folder) {
  const answer = await fetch(`${folder}/figures/ablations/ablations.json`);
  if (answer.ok) ablationsView(root, folder, await answer.json());
}
