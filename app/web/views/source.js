// The picture that is continued: where it is chosen, what is said of it, and the tools that work on it.

import * as store from '../store.js';
import { isCut } from '../tools/cut.js';
import { around, findAll, LARGEST, readFile, setChosen, setText } from './dom.js';
import { SILENT } from './status.js';

/** @typedef {import('../tools/region.js').Tool} Tool */

/** @param {HTMLElement} studio @param {import('../player.js').Player} player */
export function sourceView(studio, player) {
  const tile = /** @type {HTMLElement | null} */ (studio.querySelector('.source .tile'));
  if (!tile) return { render() {} };
  const image = /** @type {HTMLImageElement} */ (tile.querySelector('img'));
  const words = /** @type {HTMLElement} */ (image.nextElementSibling);
  const invitation = String(words.textContent);
  const note = studio.querySelector('.upload-note');
  const tools = findAll(studio, '[data-tool]');

  /** @param {File | undefined} file */
  async function take(file) {
    if (!file) return;
    if (!file.type.startsWith('image/')) return player.say(`${file.name}: no picture; use PNG, JPEG or WebP.`);
    if (file.size > LARGEST) return player.say(`${file.name}: larger than 20 MB; make it smaller first.`);
    if (isCut(new Uint8Array(await file.arrayBuffer())))
      return player.say(`${file.name}: a damaged picture (its end is missing); use a whole one.`);
    await player.useSource({ address: await readFile(file), name: file.name });
  }

  studio.addEventListener('change', (e) => {
    const input = /** @type {HTMLInputElement | null} */ (around(e, '.source input'));
    if (!input) return;
    take(input.files?.[0]);
    input.value = '';
  });
  studio.addEventListener('click', (e) => {
    const tool = around(e, '[data-tool]')?.dataset.tool;
    if (tool) player.set(store.withTool(player.state, /** @type {Tool} */ (tool)));
    if (around(e, '.source .clear')) player.clearSource();
  });
  const field = player.state.mode === 'outpaint' ? studio : tile;
  field.dataset.takesFiles = 'yes';
  field.addEventListener('dragover', (e) => e.dataTransfer?.types.includes('Files') && e.preventDefault());
  field.addEventListener('drop', (e) => {
    if (!e.dataTransfer?.files.length) return;
    e.preventDefault();
    take(e.dataTransfer.files[0]);
  });
  document.addEventListener('paste', (e) => {
    const { files, types } = e.clipboardData ?? {};
    if (!files?.length || types?.includes('text/plain') || !studio.offsetParent) return;
    e.preventDefault();
    take(files[0]);
  });

  let began = ''; // the model whose example was asked for

  /** A page that is seen without a picture shows one of the model's world. @param {store.State} s */
  async function begin(s) {
    const { model } = s.spec;
    if (s.board || s.phase !== 'ready' || began === model || !studio.offsetParent) return;
    began = model;
    const { picture, prompt } = (await player.server.example?.(model).catch(() => null)) ?? {};
    const isFree = !player.state.board && !player.chosen && player.state.spec.model === model;
    if (picture && isFree) player.useExample(picture, prompt ?? '');
  }

  /** @param {store.State} s */
  function render(s) {
    const { spec, source } = s;
    const isAble = s.mode !== 'video' || spec.accepts_known !== false;
    tile?.classList.toggle('off', !isAble);
    const [T] = spec.grid;
    const given = s.mode === 'video' && source && !source.before;
    const begins = given ? `The clip begins with this picture; the other ${T - 1} slices grow from it.` : '';
    const said =
      [begins, s.likeness].filter(Boolean).join(' ') || (isAble ? (spec.upload_note ?? '') : (spec.note ?? ''));
    const looking = s.silent ? `${SILENT}.` : 'Looking whether the model knows such pictures …';
    if (note) setText(note, s.reading ? [begins, looking].filter(Boolean).join(' ') : said);
    image.hidden = !source?.address;
    if (source?.address && image.getAttribute('src') !== source.address) image.src = source.address;
    const isExample = s.mode === 'outpaint' && player.chosen?.isExample;
    if (isExample) setText(words, 'An example. Choose or drop your own');
    else setText(words, source?.address ? 'Choose another' : invitation);
    if (s.mode === 'outpaint') begin(s);
    if (source) studio.dataset.source = 'yes';
    else delete studio.dataset.source;
    for (const button of tools) setChosen(button, button.dataset.tool === s.tool);
  }
  return { render };
}
