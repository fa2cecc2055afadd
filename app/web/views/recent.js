// The session's results, newest first. They live in this browser tab and nowhere else.

import * as pages from '../pages.js';
import { leftOf } from '../run.js';
import { isClipFile } from '../tools/clip.js';
import { kept, keep as stored } from '../tools/kept.js';
import { find, findAll, flash, LARGEST, readFile, setChosen } from './dom.js';

const KEPT = 16;
const STORED = 'nar-recent';

/** @param {string} picture @param {string} caption @param {string} [left] what a branch left, and where */
function tile(picture, caption, left = '') {
  const button = document.createElement('button');
  button.type = 'button';
  const image = Object.assign(new Image(), { alt: '', src: picture });
  const words = Object.assign(document.createElement('span'), { textContent: caption });
  button.append(image, words);
  if (left) button.append(Object.assign(document.createElement('small'), { textContent: left }));
  button.title = left ? `${caption}, from ${left}` : caption; // what is seen may be cut off
  return button;
}

/** @param {File} file */
async function replay(file) {
  const isClip = isClipFile(new Uint8Array(await file.arrayBuffer()));
  pages.send(isClip && pages.has('video') ? 'video' : 'image', { file: await readFile(file), name: file.name });
}

/** @param {HTMLElement} element */
export function mountRecent(element) {
  const [strip, drop] = ['.strip', '.drop'].map((query) => find(element, query));
  const input = /** @type {HTMLInputElement} */ (find(strip, 'input'));
  const results = () => findAll(strip, 'button[data-run]');

  /** @param {string} id */
  const mark = (id) => {
    for (const button of results()) setChosen(button, button.dataset.run === id);
  };
  /** What stands in the strip outlives a reload; the oldest go first where there is no room for all. */
  function keep() {
    const all = results().map((button) => ({
      ...{ title: find(button, 'span').textContent, left: button.querySelector('small')?.textContent },
      page: button.dataset.page,
      file: /** @type {HTMLImageElement} */ (find(button, 'img')).src,
    }));
    while (all.length && !stored('sessionStorage', STORED, JSON.stringify(all))) all.pop();
    if (!all.length) stored('sessionStorage', STORED, null);
  }
  for (const { title, left, page, file } of JSON.parse(kept('sessionStorage', STORED) ?? '[]')) {
    const button = tile(file, title, left);
    button.dataset.run = button.dataset.page = page;
    button.onclick = () => pages.send(page, { file });
    drop.before(button);
  }

  pages.onFinished((run, page, tree) => {
    if (results().some((button) => button.dataset.run === run.id)) return;
    const button = tile(run.pictures[0], run.title, leftOf(run, tree));
    button.dataset.run = run.id;
    button.dataset.page = page;
    button.onclick = () => {
      pages.send(page, { run, tree });
      mark(run.id);
    };
    strip.prepend(button);
    for (const old of results().slice(KEPT)) old.remove();
    keep();
    mark(run.id);
  });

  /** @param {File | undefined} file */
  async function read(file) {
    if (!file) return;
    if (file.size <= LARGEST) return replay(file);
    flash(drop, 'Over 20 MB: too large to replay', 2500);
  }
  input.addEventListener('change', () => {
    read(input.files?.[0]);
    input.value = '';
  });
  drop.onclick = () => input.click();

  // anywhere on the page, except where a part of it takes files itself
  const isTaken = (/** @type {Event} */ e) => e.target instanceof Element && e.target.closest('[data-takes-files]');
  document.addEventListener('dragover', (e) => {
    if (!e.dataTransfer?.types.includes('Files') || isTaken(e)) return;
    e.preventDefault();
    drop.classList.add('over');
  });
  document.addEventListener('dragleave', () => drop.classList.remove('over'));
  document.addEventListener('drop', (e) => {
    drop.classList.remove('over');
    if (!e.dataTransfer?.files.length || isTaken(e)) return;
    e.preventDefault();
    read(e.dataTransfer.files[0]);
  });
}
