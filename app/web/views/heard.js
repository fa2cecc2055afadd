// Which head is heard where two meet, measured beside the paper's Table 5: in the lab and in the article.

import { within } from './ablations.js';
import { escapeText, find, setMarkup } from './dom.js';

/**
 * What `evaluate --heads ... --world ... --figures` has written.
 * @typedef {object} Heard
 * @property {string} command
 * @property {string} model
 * @property {number} prompts
 * @property {number[]} rng_seeds
 * @property {Configuration[]} configurations
 */

/**
 * @typedef {object} Configuration
 * @property {string} heads
 * @property {string} seed_position
 * @property {number} loss nats a token
 * @property {number} right
 * @property {number} low
 * @property {number} high
 * @property {number} [damage]
 */

/** As the paper's table says them. @type {Record<string, string>} */
const NAMES = { mixed: 'both, averaged' };

/** @param {Heard} told */
export function heardMarkup({ command, model, prompts, rng_seeds, configurations }) {
  const rows = configurations.map(({ heads, right, low, high, damage, loss }) => {
    const cells = [within([right, low, high]), damage === undefined ? '–' : (100 * damage).toFixed(1), loss.toFixed(2)];
    const name = escapeText(NAMES[heads] ?? heads);
    return `<tr><th scope="row">${name}</th>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
  });
  const titles = ['heard', 'right, %', 'damaged, %', 'nats a token'];
  return (
    `<table><caption>The same asked of ${escapeText(model)}, measured by this project</caption><thead><tr>` +
    `${titles.map((title) => `<th scope="col">${title}</th>`).join('')}</tr></thead><tbody>${rows.join('')}</tbody></table>` +
    `<p class="how">From the ${escapeText(configurations[0].seed_position)}, ${prompts} prompts of its world under each of ` +
    `${rng_seeds.length} rng seeds, the same for all; small, the 95 % interval. <code>${escapeText(command)}</code></p>`
  );
}

/**
 * Draws what was measured into an element, which stays hidden where there is nothing.
 * @param {HTMLElement} root @param {string} folder below it, the page's figures
 */
export async function mountHeard(root, folder) {
  const answer = await fetch(`${folder}/figures/heads.json`);
  if (!answer.ok) return;
  const host = find(root, '.heard');
  setMarkup(host, heardMarkup(await answer.json()));
  host.hidden = false;
}
