// Words about what was typed: how many letters a prompt may have. Pure.

/** @typedef {import('../plan.js').Spec} Spec */

const MOST_LISTED = 5;

/** The first few of some words, and how many more there are: a, b and 3 more. @param {string[]} words */
export function listed(words) {
  const named = words.slice(0, words.length > MOST_LISTED ? MOST_LISTED : -1);
  const last = words.length > MOST_LISTED ? `${words.length - MOST_LISTED} more` : words[words.length - 1];
  return named.length ? `${named.join(', ')} and ${last}` : last;
}

/**
 * What is said of a prompt that has more letters than are read, '' of any other. Of several, one a line, all are told.
 * @param {string} text @param {Spec} spec @param {boolean} [areLines] whether each line is a prompt
 */
export function tooLong(text, { longest_prompt: longest = Number.POSITIVE_INFINITY }, areLines = false) {
  const lengths = (areLines ? text.split('\n') : [text]).map((prompt) => [...prompt].length);
  const long = [...lengths.keys()].filter((at) => lengths[at] > longest);
  if (!long.length) return '';
  const numbers = listed(long.map((at) => String(at + 1)));
  if (long.length > 1) return `Prompts ${numbers} have more than ${longest} letters: shorten them.`;
  const which = areLines && lengths.length > 1 ? `Prompt ${numbers}` : 'The prompt';
  const length = lengths[long[0]];
  return `${which} has ${length} letters, ${length - longest} too many: shorten it.`;
}
