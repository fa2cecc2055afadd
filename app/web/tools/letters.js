// How many letters a prompt may have. Pure.

/** @typedef {import('../plan.js').Spec} Spec */

/**
 * What is said of a prompt that has more letters than are read, '' of any other. Of several, one a line, the first.
 * @param {string} text @param {Spec} spec @param {boolean} [areLines] whether each line is a prompt
 */
export function tooLong(text, { longest_prompt: longest = Number.POSITIVE_INFINITY }, areLines = false) {
  const lengths = (areLines ? text.split('\n') : [text]).map((prompt) => [...prompt].length);
  const at = lengths.findIndex((length) => length > longest);
  if (at < 0) return '';
  const which = areLines && lengths.length > 1 ? `Prompt ${at + 1}` : 'The prompt';
  return `${which} has ${lengths[at]} letters, ${lengths[at] - longest} too many: shorten it.`;
}
