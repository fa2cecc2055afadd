// The article: it fetches what was recorded, keeps the time, and has its view render what has changed. Nothing here
// asks a model or waits in a line.

import * as store from './article-store.js';
import * as pages from './pages.js';
import { recorded, withFinals } from './run.js';
import { loadImage } from './tools/pixels.js';
import { articleView } from './views/article.js';
import { find, onThemeChange, readFile } from './views/dom.js';
import { mountHeard } from './views/heard.js';
import { mountSpeed } from './views/speed.js';
import { read } from './wire.js';

/** @typedef {import('./run.js').Run} Run */

const FRAME = 1000 / 12;

export class Article {
  /** @param {HTMLElement} element @param {{ folder: string, raster: string }} config below `folder`, the page's recorded growths */
  constructor(element, { folder, raster }) {
    this.element = find(element, '.article');
    this.folder = folder;
    this.raster = raster;
    this.isAsked = false;
    this.isLooping = false;
    this.state = store.initial();
    this.view = articleView(this.element, this);
    const motion = matchMedia('(prefers-reduced-motion: reduce)');
    const calm = () => this.set(store.read({ ...this.state, calm: motion.matches }, this.state.act));
    motion.addEventListener('change', calm);
    calm();
    new ResizeObserver(() => {
      this.begin();
      this.render();
    }).observe(find(this.element, '.panes'));
    onThemeChange(() => this.render());
  }

  /** @param {store.ArticleState} state */
  set(state) {
    this.state = state;
    this.render();
    this.loop();
  }

  render() {
    this.view.render(this.state);
  }

  async begin() {
    if (this.isAsked || !this.element.offsetParent) return;
    this.isAsked = true;
    try {
      const answer = await fetch(`${this.folder}/story/story.json`);
      if (!answer.ok) throw new Error(`story: ${answer.status}`);
      const { growths, explained } = await answer.json();
      const runs = await Promise.all(Object.entries(growths).map(([name, told]) => this.recordedRun(name, told)));
      const raster = await loadImage(`${this.folder}/${this.raster}`);
      this.set(store.told(this.state, { runs: Object.fromEntries(runs), explained, raster }));
    } catch (error) {
      this.isAsked = false;
      this.view.failed();
      throw error;
    }
  }

  /** @param {string} name @param {import('./wire.js').Replay} told @returns {Promise<[string, Run]>} */
  async recordedRun(name, told) {
    const message = read(told);
    if (message?.kind !== 'replay') throw new Error(`story: got ${message?.kind} for ${name}, expected a replay`);
    const finals = await Promise.all(message.sheets.map((file) => loadImage(`${this.folder}/${file}`)));
    return [name, withFinals(recorded(message), finals)];
  }

  /** Open what is shown on the page where one's own are grown. @param {string} what a growth, or "start" */
  async tryIt(what) {
    const { story, start } = this.state;
    if (!story) return;
    if (what === 'start') {
      const { spec, request } = story.runs.centre;
      const query = { model: spec.model, prompt: String(request?.prompt ?? '') };
      return pages.send('image', { query, seedPosition: start });
    }
    const run = story.runs[what];
    const answer = await fetch(`${this.folder}/${run.pictures[0]}`);
    const pictures = [await readFile(await answer.blob())];
    const page = run.spec.grid[0] > 1 && pages.has('video') ? 'video' : 'image';
    pages.send(page, { run: { ...run, pictures } });
  }

  loop() {
    if (this.isLooping) return;
    this.isLooping = true;
    let before = 0;
    let frame = 0;
    const turn = (/** @type {number} */ now) => {
      const { state } = this;
      const moves = store.isMoving(state);
      if ((!state.playing && !moves) || !this.element.offsetParent) {
        this.isLooping = false;
        return;
      }
      if (state.playing && now - before >= store.stepTime(state)) {
        before = now;
        this.state = store.advanced(state);
        this.render();
      } else if (moves && now - frame >= FRAME) {
        frame = now;
        this.state = { ...state, tick: state.tick + 1 };
        this.render();
      }
      requestAnimationFrame(turn);
    };
    requestAnimationFrame(turn);
  }
}

/** @param {HTMLElement} element @param {import('./wire.js').Tools} _tools @param {any} config */
export function mountArticle(element, _tools, config) {
  new Article(element, config);
  mountSpeed(element, config.folder);
  mountHeard(element, config.folder);
}
