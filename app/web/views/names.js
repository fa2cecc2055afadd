// Under the prompt: what becomes of its words, else prompts to pick from.

import { tooLong } from '../tools/letters.js';
import { around, escapeText, find, setMarkup, setText } from './dom.js';
import { withWord } from './words.js';

const OFFERED = 8;
const FITS = 28; // letters beside the die, where the column is narrow
const LONG = 32; // letters of a word that is told again
const INSTEAD = 3; // offered where nothing that was typed can be drawn
const ASK_AFTER = 200; // ms without a key

/** A text as the server reads it, see nar_core/splitter.py. @param {string} text */
export const normal = (text) =>
  text
    .replace(/\p{Cf}/gu, '')
    .normalize('NFKC')
    .replace(/[\u2019\u02bc]/g, "'")
    .replace(/\u2010/g, '-');

const WORD = /[\p{L}\p{N}][\p{L}\p{N}\p{M}]*(?:['-][\p{L}\p{N}][\p{L}\p{N}\p{M}]*)*/gu;

/**
 * Its words in lower case; hyphens, apostrophes and combining signs belong to them.
 * @param {string} text @returns {string[]}
 */
export const wordsOf = (text) => normal(text).toLowerCase().match(WORD) ?? [];

/**
 * Names that what is typed may mean, nearest first.
 * @param {string[]} names @param {string} typed in lower case
 */
export function matching(names, typed) {
  const at = (/** @type {string} */ name) => name.toLowerCase().indexOf(typed);
  const found = names.filter((name) => at(name) >= 0).sort((a, b) => at(a) - at(b) || a.length - b.length);
  if (found.length) return found;
  const words = wordsOf(typed).filter((word) => word.length > 2);
  return names.filter((name) => words.some((word) => wordsOf(name).includes(word)));
}

/**
 * A word that is not simply known, as markup: what it is taken as, or that it is left out.
 * @param {import('../wire.js').Word} word
 */
export function marked({ text, kind, meaning }) {
  const word = escapeText(text);
  const said = text.length > LONG ? `${escapeText(text.slice(0, LONG))}…` : word;
  const meant = escapeText(meaning);
  if (kind === 'taken as') return `<span class="taken" title="Understood as ${meant}">${said} → ${meant}</span>`;
  if (kind === 'left out')
    return `<span class="left" title="Nothing that is drawn here can take it">${said}: left out</span>`;
  const other = meaning
    ? ` <button type="button" data-word="${word}" data-name="${meant}" title="Say ${meant} instead">${meant}?</button>`
    : '';
  return `<span class="unknown" title="This model does not know the word: it is left out">${said}: not known</span>${other}`;
}

/** The words that are simply known, as markup; where all are, in one mark. @param {string[]} known @param {boolean} areAll */
export const markedKnown = (known, areAll) =>
  (areAll ? ['every word known'] : known).map((word) => `<span class="known">${escapeText(word)} ✓</span>`);

/**
 * A prompt with another word in place of one, which may hold anything that was typed.
 * @param {string} prompt @param {string} word @param {string} name
 */
export function replacedWord(prompt, word, name) {
  const literal = word.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  return normal(prompt).replace(
    new RegExp(`(?<![\\p{L}\\p{N}_])${literal}(?![\\p{L}\\p{N}\\p{M}_])`, 'iu'),
    () => name,
  );
}

/** @param {string[]} names @param {number} n */
function some(names, n) {
  const out = /** @type {Set<string>} */ (new Set());
  while (out.size < Math.min(n, names.length)) out.add(names[Math.floor(Math.random() * names.length)]);
  return [...out];
}

/** @param {HTMLElement} studio @param {import('../player.js').Player} player */
export function namesView(studio, player) {
  const list = /** @type {HTMLElement | null} */ (studio.querySelector('.names'));
  let names = /** @type {string[]} */ ([]);
  let model = ''; // whose names they are
  let isAwaited = true; // their place is kept until they have come
  let composes = false; // whether its prompts are facts of a world
  let offered = /** @type {string[]} */ ([]);
  let marks = /** @type {import('../wire.js').Word[]} */ ([]);
  let known = /** @type {string[]} */ ([]); // words of which there is nothing to mark
  let isTyped = false; // by whoever looks at it: then it is said that they are known
  let drawn = { typed: '', caption: '' }; // what the world makes of what was typed
  let elsewhere = /** @type {import('../wire.js').Elsewhere[]} */ ([]); // what others make of it where it makes nothing
  let wanting = /** @type {string[]} */ ([]); // words of which it says none, but should
  let asking = 0;
  if (!list) return { render() {}, drawn: () => '', idea: () => '' };

  const long = find(studio, '.too-long');
  const prompt = () => /** @type {HTMLTextAreaElement | null} */ (studio.querySelector('.prompt textarea'));

  list.onclick = (e) => {
    const button = around(e, 'button');
    const box = prompt();
    if (!button || !box) return;
    const { word, name, more, model: other } = button.dataset;
    if (other) return player.pages.send(player.state.mode, { query: { model: other, prompt: box.value } });
    if (more) box.value = withWord(box.value, more, false);
    else if (word && name) box.value = replacedWord(box.value, word, name);
    else box.value = name ?? some(names, 1)[0];
    box.dispatchEvent(new Event('input', { bubbles: true }));
  };
  studio.addEventListener('input', (e) => {
    if (!around(e, '.prompt')) return;
    isTyped = e.isTrusted;
    show(false);
    understand();
  });

  // a link or another page may have filled it
  document.addEventListener('nar:form', (e) => {
    const { page, names: fields, values } = /** @type {CustomEvent} */ (e).detail;
    if (page === player.state.mode && values[fields.indexOf('prompt')]?.trim() !== drawn.typed) understand();
  });

  /** Say that the prompt is too long, before it is refused; it stays as it was typed. */
  function measure() {
    const box = prompt();
    const said = box?.offsetParent ? tooLong(box.value, player.state.spec) : '';
    setText(long, said);
    long.hidden = !said;
    return said;
  }

  /** Ask what becomes of the words, once nobody types. */
  function understand() {
    const mine = ++asking;
    if (measure()) return;
    setTimeout(async () => {
      if (mine !== asking) return;
      const typed = prompt()?.value.trim() ?? '';
      const answer = composes && typed ? await player.server.words({ model, prompt: typed }).catch(() => null) : null;
      if (mine !== asking) return;
      drawn = { typed, caption: answer?.drawn ?? '' };
      const rank = ['unknown', 'left out', 'taken as'];
      wanting = answer?.wanting ?? [];
      elsewhere = answer?.elsewhere ?? [];
      player.standAt(answer?.stands ?? null, typed);
      known = (answer?.words ?? []).filter(({ kind }) => kind === 'known').map(({ text }) => text);
      marks = (answer?.words ?? [])
        .filter(({ kind }) => rank.includes(kind))
        .sort((a, b) => rank.indexOf(a.kind) - rank.indexOf(b.kind));
      show(false);
    }, ASK_AFTER);
  }

  /** @param {boolean} fresh whether others are offered */
  function show(fresh) {
    const box = prompt();
    if (!list) return;
    list.hidden = !isAwaited && !(names.length && box);
    if (!names.length) setMarkup(list, '');
    if (!names.length || !box) return;
    const typed = normal(box.value).trim().toLowerCase().replace(/\s+/g, ' ');
    const isKnown = names.some((name) => name.toLowerCase() === typed);
    if (fresh || !offered.length) {
      offered = some(names, OFFERED).sort((a, b) => Number(a.length > FITS) - Number(b.length > FITS));
    }
    const found = typed && !isKnown && !composes ? matching(names, typed) : offered;
    const buttons = found.slice(0, OFFERED).map((name) => {
      const words = escapeText(name);
      return `<button type="button" data-name="${words}">${words}</button>`;
    });
    const any = composes ? 'Another idea' : `Any of the ${names.length} names it was trained on`;
    const isLost = marks.length > 0 && drawn.typed === box.value.trim() && !drawn.caption;
    const others = elsewhere.map(
      ({ model, title, drawn }) =>
        `<button type="button" data-model="${escapeText(model)}">${escapeText(title)}: ${escapeText(drawn)}</button>`,
    );
    const instead = isLost
      ? ['<span class="lead-in">Nothing to draw in this. Try</span>', ...others, ...buttons.slice(0, INSTEAD)]
      : [];
    const verbs = wanting.map((verb) => `<button type="button" data-more="${verb}">${verb}</button>`);
    const still = verbs.length ? ['<span class="lead-in">Nothing moves in this. Add</span>', ...verbs] : [];
    const said = [...marks.map(marked), ...instead, ...still];
    const isSaid = Boolean(typed && said.length);
    const isRead = known.length > 0 && drawn.typed === box.value.trim() && (isSaid || isTyped);
    const heard = isRead ? markedKnown(known, !marks.length) : [];
    const rest = isSaid ? [...said, ...heard] : [...heard, ...buttons];
    setMarkup(
      list,
      `<button type="button" class="any" aria-label="${any}" title="${any}">⚄</button>${
        rest.join('') || `<span>not among its ${names.length} names</span>`
      }`,
    );
    const rows = /** @type {HTMLElement[]} */ ([...list.children]);
    for (const row of rows) row.hidden = false;
    if (isSaid) return; // what becomes of a word is always said
    // a second row of ideas is neither seen nor reached
    for (const below of rows.filter((row) => row.offsetTop > rows[0].offsetTop + 4)) below.hidden = true;
  }

  /** Asked once for a model, when its page is seen. @param {import('../store.js').State} s */
  async function render(s) {
    if (model === s.spec.model || !studio.offsetParent) return;
    const asked = s.spec.model;
    model = asked;
    composes = !!s.spec.composes;
    names = [];
    marks = [];
    known = [];
    wanting = [];
    elsewhere = [];
    isAwaited = true;
    show(false);
    const answer = await player.server.names(asked).catch(() => []);
    if (model !== asked) return;
    names = answer;
    isAwaited = false;
    show(true);
    understand();
  }
  /** In the world's own words what will be drawn, where that is not what was typed. */
  function drawnOf() {
    const typed = prompt()?.value.trim() ?? '';
    const isSame = drawn.caption.toLowerCase() === typed.toLowerCase();
    return drawn.typed === typed && !isSame ? drawn.caption : '';
  }

  /** A prompt for whoever has typed none; none where there are no names, or words are not asked for. */
  function idea() {
    const box = prompt();
    if (!box?.offsetParent || box.value.trim()) return '';
    const [name = ''] = some(names, 1);
    box.value = name;
    box.dispatchEvent(new Event('input', { bubbles: true }));
    return name;
  }
  return { render, drawn: drawnOf, idea };
}
