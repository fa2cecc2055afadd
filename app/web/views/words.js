// The words that a model knows: in a line under the prompt, and to pick from.

import { around, escapeText, find, setMarkup, setText } from './dom.js';

/** @typedef {import('../wire.js').Vocabulary} Vocabulary */
/** @typedef {import('../wire.js').WordGroup} WordGroup */

const COUNTED = 8; // groups of more words are told by their number

/** What a model knows, in a line. @param {WordGroup[]} groups */
export function knownInALine(groups) {
  const large = groups.filter(({ words }) => words.length > COUNTED);
  const told = (large.length ? large : groups).slice(0, 2);
  const names = told.map(({ name, words }) => (large.length ? `${words.length} ${name}` : name)).join(', ');
  return groups.length ? `Knows ${names}${groups.length > told.length ? ' and more' : ''}` : '';
}

/**
 * Words that hold what is searched for, by group; none of an empty group.
 * @param {WordGroup[]} groups @param {string} searched @returns {WordGroup[]}
 */
export function found(groups, searched) {
  const wanted = searched.trim().toLowerCase();
  return groups.flatMap(({ name, words, pictures }) => {
    const at = words.flatMap((word, i) => (word.toLowerCase().includes(wanted) ? [i] : []));
    return at.length ? [{ name, words: at.map((i) => words[i]), pictures: at.map((i) => pictures[i]) }] : [];
  });
}

/**
 * A prompt with one more word: a thing stands beside what is there, anything else is said of it.
 * @param {string} prompt @param {string} word @param {boolean} isThing
 */
export function withWord(prompt, word, isThing) {
  const before = prompt.trim();
  if (!before) return word;
  return `${before} ${isThing ? 'and ' : ''}${word}`;
}

/** @param {HTMLElement} studio @param {import('../player.js').Player} player */
export function wordsView(studio, player) {
  const line = /** @type {HTMLElement | null} */ (studio.querySelector('.knows'));
  if (!line) return { render() {} };
  const picker = find(studio, '.picker');
  const search = /** @type {HTMLInputElement} */ (find(picker, 'input'));
  const list = find(picker, 'div');
  let model = '';
  let known = /** @type {Vocabulary} */ ({});

  const prompt = () => /** @type {HTMLTextAreaElement | null} */ (studio.querySelector('.prompt textarea'));

  /** @param {boolean} on */
  function open(on) {
    picker.hidden = !on;
    line?.setAttribute('aria-expanded', String(on));
    if (!on) return;
    search.value = '';
    show();
    search.focus();
  }

  /** @param {number} at */
  function picture(at) {
    if (at < 0 || !known.sheet) return '';
    const { tile = 1, across = 1 } = known;
    const [x, y] = [(at % across) * tile, Math.floor(at / across) * tile];
    return `<i style="width:${tile}px;height:${tile}px;background:url(${known.sheet}) -${x}px -${y}px"></i>`;
  }

  function show() {
    const groups = found(known.groups ?? [], search.value);
    const marked = groups.map(({ name, words, pictures }) => {
      const buttons = words.map((word, i) => {
        const said = escapeText(word);
        const isPictured = pictures[i] >= 0 ? ' class="pictured"' : '';
        return `<button type="button"${isPictured} data-pick="${said}">${picture(pictures[i])}<span>${said}</span></button>`;
      });
      return `<section data-group="${escapeText(name)}"><h3>${escapeText(name)}</h3>${buttons.join('')}</section>`;
    });
    setMarkup(list, marked.join('') || '<p>It knows no such word.</p>');
  }

  line.onclick = () => open(Boolean(picker.hidden));
  search.oninput = (e) => {
    e.stopPropagation(); // it is not the prompt
    show();
  };
  list.onclick = (e) => {
    const word = around(e, '[data-pick]')?.dataset.pick;
    const box = prompt();
    if (!word || !box) return;
    const group = around(e, 'section')?.dataset.group;
    const isWhole = group === 'prompts';
    box.value = isWhole ? word : withWord(box.value, word, group === known.groups?.[0].name);
    box.dispatchEvent(new Event('input', { bubbles: true }));
    if (isWhole) open(false);
  };
  picker.addEventListener('keydown', (e) => {
    if (e.key !== 'Escape') return;
    e.stopPropagation();
    open(false);
    line.focus();
  });
  document.addEventListener('pointerdown', (e) => {
    if (!picker.hidden && e.target instanceof Node && !picker.contains(e.target) && !line.contains(e.target))
      open(false);
  });

  /** Asked once for a model, when its page is seen. @param {import('../store.js').State} s */
  async function render(s) {
    if (model === s.spec.model || !studio.offsetParent) return;
    const asked = s.spec.model;
    model = asked;
    known = {};
    open(false);
    setText(/** @type {HTMLElement} */ (line), '');
    /** @type {HTMLElement} */ (line).hidden = false; // its place is kept until its words have come
    const answer = await player.server.vocabulary(asked).catch(() => ({}));
    if (model !== asked) return;
    known = answer;
    const words = knownInALine(known.groups ?? []);
    setText(/** @type {HTMLElement} */ (line), words);
    /** @type {HTMLElement} */ (line).hidden = !words;
  }
  return { render };
}
