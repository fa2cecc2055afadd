// The canvas player: one instance per page, for pictures and clips. It plans and draws by itself;
// Python only sends what a growth has written. mountPlayer() is called once per gr.HTML element.
import { cellsOf, flatOf, framesOf, isHolistic, isLegal, followsKept, makePlan, planFromSteps, positionOf, sendersOf } from './plan.js';
import { handOver, takeHandover } from './handover.js';
import { ClipEditing } from './tools/clip.js';
import { RegionEditing } from './tools/region.js';
import { ICONS, clamp, escapeText, loadImage, seconds } from './page.js';
import { bytesOf, paintGrid, readColours, textOf, tilesOf, UNKNOWN_CONFIDENCE, UNKNOWN_TOKEN, wordsOf } from './views/grid.js';
import { Naming } from './views/names.js';

const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

// One growth, as far as it has arrived. Everything needed to scrub and to branch is kept here.
export class Run {
  constructor(id, spec, plan, samples) {
    const n = plan.step.length;
    Object.assign(this, { id, spec, plan, samples, sheets: new Map(), guesses: new Map(), finals: [], pictures: [], last: 0 });
    Object.assign(this, { state: 'waiting', elapsed: 0, title: '', parent: null, from: 0, request: null });
    this.tokens = new Uint16Array(samples * n).fill(UNKNOWN_TOKEN);
    this.confidence = new Uint8Array(samples * n).fill(UNKNOWN_CONFIDENCE);
  }
  get total() { return this.plan.total; }
  of(values, sample) { const n = this.plan.step.length; return values.subarray(sample * n, (sample + 1) * n); }
  // The pixels to draw at a step: the quick preview while it grows, the full decode once there is one
  // (only the cells of that step and before are shown of it). A branch begins with its parent's decode.
  imageAt(step, sample) {
    if (isHolistic(this.spec) && step < this.total) return { image: null, row: 0 };
    if (this.finals[sample]) return { image: this.finals[sample], row: 0 };
    if (step <= this.from && this.early?.[sample]) return { image: this.early[sample], row: 0 };
    for (let k = step; k >= 0; k--) if (this.sheets.has(k)) return { image: this.sheets.get(k), row: sample };
    return { image: this.source ?? null, row: 0 };
  }
  guessAt(step) {                                                   // the latest full decode of an unfinished clip
    const found = [...this.guesses.keys()].filter((k) => k <= step);
    return found.length && step < this.total ? Math.max(...found) : null;
  }
  has(step) { return (isHolistic(this.spec) && step <= this.last) || this.finals.length > 0 || this.sheets.has(step) || (step <= this.from && this.early?.length > 0); }
  branch(id, from) {
    const child = new Run(id, this.spec, this.plan, this.samples);
    for (const name of ['sheets', 'guesses']) this[name].forEach((sheet, k) => { if (k <= from) child[name].set(k, sheet); });
    const n = this.plan.step.length;
    for (let i = 0; i < this.tokens.length; i++) {
      if (this.plan.step[i % n] > from) continue;
      child.tokens[i] = this.tokens[i];
      child.confidence[i] = this.confidence[i];
    }
    return Object.assign(child, { parent: this.id, from, last: from, early: this.finals, source: this.source, canvas: this.canvas, window: this.window, parts: this.parts });
  }
}

class Player {
  constructor(element, { trigger, server }, config) {
    this.element = element.querySelector('.player');
    this.studio = element.closest('.studio');
    this.find = (query) => this.element.querySelector(query);
    Object.assign(this, { trigger, server, mode: config.mode, sample: 0, step: 0, speed: 1, lanes: [] });
    Object.assign(this, { run: null, active: null, state: 'ready', hover: null, playing: false });
    Object.assign(this, { branchFrom: 0, view: 'slices', tick: 0, repeat: true, pace: {}, painted: new Set(), tool: 'keep', isRectangle: true });
    this.layers = { picture: true, front: true, confidence: false, tokens: false };
    this.canvas = this.find('canvas');
    this.pen = this.canvas.getContext('2d');
    this.calm = matchMedia('(prefers-reduced-motion: reduce)');
    this.useModel(config.spec, null);
    this.wire();
    new ResizeObserver(() => { this.resize(); this.askNames(); }).observe(this.find('.screen'));
    const themes = new MutationObserver(() => this.draw());
    for (const node of [document.documentElement, document.body]) themes.observe(node, { attributes: true, attributeFilter: ['class'] });
  }

  // ---- what comes from Python ----------------------------------------------------------------
  receive(message) {
    if (!message?.kind || message === this.seen) return;
    this.seen = message;
    if (message.kind === 'model') return this.useModel(message.spec, message.seed);
    if (message.kind === 'replay') return this.replay(message);
    if (message.kind === 'rejected' && this.active?.state === 'waiting') return this.abandon();
    if (message.run !== this.active?.id) return;                     // a frame of an earlier growth
    if (message.kind === 'failed') return this.abandon();
    if (message.kind === 'progress') { this.active.progress = message; return this.status(); }
    if (message.kind === 'likeness') return this.tell(message.text);
    if (message.kind === 'steps') this.takeSteps(this.active, message);
    if (message.kind === 'done') this.takeDone(this.active, message);
  }

  useModel(spec, seed) {
    this.spec = spec;
    if (this.state === 'growing' || this.state === 'waiting') this.stop();
    this.source = null;
    this.home(seed ?? spec.seed);
    this.askNames();
    if (this.mode === 'image') return;
    if (this.mode === 'video') return this.useFirstModel();
    this.resetKeep();
    this.tell('');
    if (this.sourceOriginal) this.useSource(this.sourceOriginal);
  }

  adopt(run, message) {                                             // the server's order is the truth
    const order = wordsOf(message.order);
    if (run.plan.step.some((s, i) => s !== order[i])) run.plan = planFromSteps(run.spec, run.plan.seed, order);
    run.state = run.state === 'waiting' ? 'growing' : run.state;
  }

  takeSteps(run, message) {
    this.adopt(run, message);
    const n = run.plan.step.length;
    for (const frame of message.frames) {
      const cells = run.plan.cells[frame.step], tokens = wordsOf(frame.tokens), sure = bytesOf(frame.confidence);
      for (let b = 0; b < run.samples; b++) {
        cells.forEach((i, j) => {
          run.tokens[b * n + i] = tokens[b * cells.length + j];
          run.confidence[b * n + i] = sure[b * cells.length + j];
        });
      }
      run.elapsed = frame.elapsed;
      if (frame.guess) loadImage(frame.guess).then((sheet) => { run.guesses.set(frame.step, sheet); this.draw(); });
      (frame.sheet ? loadImage(frame.sheet) : Promise.resolve(null)).then((sheet) => {
        if (run.finals.length) return;
        if (sheet) run.sheets.set(frame.step, sheet);
        run.last = Math.max(run.last, frame.step);
        if (this.calm.matches && run === this.run && run === this.active && this.playing) this.show(run.last);
      });
    }
    this.setState('growing');
  }

  takeDone(run, message) {
    this.adopt(run, message);
    run.tokens = wordsOf(message.tokens);
    run.confidence = bytesOf(message.confidence);
    Object.assign(run, { pictures: message.pictures, elapsed: message.elapsed, request: message.request });
    Object.assign(run, { digest: message.digest, verdict: message.verdict, state: 'done', again: message.again });
    const parent = this.lanes.find((lane) => lane.id === run.parent);
    if (parent?.request) run.title = changesOf(parent.request, run.request) || run.title;
    if (run.elapsed && message.passes) this.pace[run.spec.model] = run.elapsed / Math.max(1, run.total - run.from);
    Promise.all((message.sheets ?? message.pictures).map(loadImage)).then((finals) => {
      run.finals = finals;
      run.sheets.clear();
      run.last = run.total;
      if (this.active === run) this.active = null;
      if (this.run !== run) return;
      if (this.mode === 'outpaint') this.place(run);
      this.setState('done');
      if (this.calm.matches && this.playing) this.show(run.total);
      document.dispatchEvent(new CustomEvent('nar-finished', { detail: { run, mode: this.mode } }));
    });
  }

  replay(message) {
    this.stop();
    const steps = wordsOf(message.order), plan = planFromSteps(message.spec, message.spec.seed, steps);
    const run = new Run(message.run, message.spec, plan, 1);
    run.title = message.title;
    run.replayed = true;
    this.open(run, [run]);
    this.takeDone(run, message);
    this.step = 0;
    this.play(true);
  }

  // ---- starting and stopping -----------------------------------------------------------------
  home(seed) {                                                      // back to choosing a seed position
    Object.assign(this, { seed: [...seed], run: null, lanes: [], step: 0, branchFrom: 0, sample: 0, hover: null, playing: false });
    this.setState('ready');
  }

  known() { return this.mode !== 'image' && this.source ? this.keep : null; }
  planned(seed = this.seed) {
    const key = [this.spec.model, seed, this.keepVersion].join();
    if (this.planKey !== key) {
      this.plannedValue = makePlan(this.spec, seed, this.known());
      this.plannedLegal = isLegal(this.plannedValue);
      this.plannedFollows = followsKept(this.plannedValue);
      this.planKey = key;
    }
    return this.plannedValue;
  }

  start(more = {}) {
    if (this.state === 'growing' || this.state === 'waiting') return;
    if (this.mode === 'outpaint' && !this.source && !more.file) return this.say('Choose a picture first.');
    const id = Date.now().toString(36) + Math.random().toString(36).slice(2, 8), payload = { run: id, seed: this.seed, file: more.file };
    let run;
    this.before = this.state === 'done' ? { run: this.run, lanes: this.lanes } : null;
    if (this.branchFrom && this.run) {
      run = this.run.branch(id, this.branchFrom);
      Object.assign(payload, {
        seed: this.run.plan.seed,
        resume: { step: this.branchFrom, pictures: run.samples, tokens: textOf(run.tokens), confidence: textOf(run.confidence) },
      });
      this.lanes.push(run);
    } else if (more.file) {
      run = new Run(id, this.run.spec, this.run.plan, more.samples);
      this.lanes = [run];
    } else {
      if (this.state === 'done') this.state = 'ready';
      const plan = this.planned();
      if (!this.plannedLegal) return this.draw();
      if (!plan.total) return this.say('Everything is kept: leave something to grow.');
      run = new Run(id, this.spec, plan, this.pictures());
      if (this.known()) Object.assign(run, { source: this.source.image, canvas: this.source, window: this.window, parts: this.parts });
      this.lanes = [run];
    }
    if (run.canvas && !more.file) {
      const keep = Uint8Array.from(run.plan.step, (s) => (s === 0 ? 1 : 0));
      payload.canvas = { picture: run.canvas.address, keep: textOf(keep), tokens: run.canvas.tokens ?? null, before: run.canvas.before ?? null };
    }
    Object.assign(this, { active: run, run, step: run.from, playing: true, branchFrom: 0 });
    this.sample = Math.min(this.sample, run.samples - 1);
    this.painted.clear();
    this.element.dataset.run = id;
    this.element.dataset.painted = '0';
    run.title = more.title ?? this.title();
    this.setState('waiting');
    this.trigger('start', payload);
    this.loop();
    clearInterval(this.asking);
    this.asking = setInterval(() => this.ask(run), 1000);
  }

  async ask(run) {
    if (run !== this.active || run.state !== 'waiting') return clearInterval(this.asking);
    run.place = await this.server.place(run.id).catch(() => null);
    this.status();
  }

  pictures() { return Number(this.studio.querySelector('.pictures input:checked')?.value) || 1; }
  title() {
    const box = this.studio.querySelector('.prompt textarea, .prompt input');
    const label = this.studio.querySelector('.label input');
    return ((box?.offsetParent ? box.value : label?.value) || 'No prompt').trim().slice(0, 40);
  }

  stop() {
    const run = this.active;
    if (!run) return;
    this.active = null;
    run.state = 'stopped';
    this.server.stop(run.id).catch(() => null);
    this.settle(run);
  }
  abandon() { const run = this.active; this.server.stop(run.id).catch(() => null); this.active = null; run.state = 'stopped'; this.settle(run); }
  settle(run) {                                                     // keep what has grown, if anything has
    this.playing = false;
    if (run.last > run.from) { this.step = Math.min(this.step, run.last); return this.setState('done'); }
    this.lanes = this.lanes.filter((r) => r !== run);
    const parent = this.lanes.find((r) => r.id === run.parent);
    if (parent) { this.run = parent; this.step = run.from; return this.setState('done'); }
    if (this.before && !this.lanes.length) { Object.assign(this, this.before, { step: this.before.run.last }); return this.setState('done'); }
    this.home(this.seed);
  }

  open(run, lanes) {
    if (this.active) return this.say('Still growing: stop it first.');
    Object.assign(this, { run, lanes, step: run.last, sample: 0, branchFrom: 0, playing: false, active: null });
    this.seed = [...run.plan.seed];
    this.painted.clear();
    this.element.dataset.run = run.id;
    this.setState('done');
  }

  // ---- moving through a growth ---------------------------------------------------------------
  show(step) {
    if (!this.run) return;
    this.step = clamp(step, this.run.plan.counts[0] ? 0 : 1, Math.max(this.run.last, 1));
    this.draw();
  }
  play(on) {
    if (!this.run) return;
    if (on && this.step >= this.run.last && !this.active) this.step = 0;
    this.playing = on;
    if (this.branchFrom) this.branchFrom = 0;
    this.easyView();
    this.draw();
    this.loop();
  }
  loop() {
    if (this.looping) return;
    this.looping = true;
    let before = 0;
    const turn = (now) => {
      const run = this.run;
      if (!this.playing || !run) { this.looping = false; return; }
      const behind = run.last - this.step, live = run === this.active;
      const wait = (live && behind > 3 ? 45 : clamp(2400 / run.total, 45, 130)) / this.speed;
      if (now - before >= wait && run.has(this.step + 1) && this.step < run.last) {
        before = now;
        this.step += 1;
        this.draw();
      }
      if (this.step >= run.total && run.state === 'done' && run.finals.length) { this.playing = false; this.setState(this.state); }
      requestAnimationFrame(turn);
    };
    requestAnimationFrame(turn);
  }

  markBranch() {
    if (!this.canBranch()) return;
    this.branchFrom = this.branchFrom === this.step ? 0 : this.step;
    this.playing = false;
    this.draw();
  }
  canBranch() {
    const run = this.run;
    return this.state === 'done' && run && this.step >= 1 && this.step < run.total && this.step <= run.last
      && run.spec.model === this.spec.model && (!run.replayed || (run.again && !run.plan.counts[0]));
  }

  // ---- drawing -------------------------------------------------------------------------------
  resize() {
    const screen = this.find('.screen'), wide = screen.clientWidth;
    if (!wide) return;
    const ratio = window.devicePixelRatio || 1, width = Math.round(wide * ratio);
    const { spec } = this.run ?? this, { height, tiles } = tilesOf(spec, width, this.view);
    this.element.toggleAttribute('data-tiles', tiles.length > 1);
    // Slices and loop take the same room, so that nothing below moves from one to the other.
    screen.style.minHeight = `${Math.max(...['slices', 'loop'].map((view) => tilesOf(spec, width, view).height)) / ratio}px`;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      Object.assign(this.canvas, { width, height });
      this.canvas.style.aspectRatio = `${width} / ${height}`;
    }
    this.draw();
  }

  setState(state) {
    this.state = state;
    this.element.dataset.state = state;
    if (this.studio) this.studio.dataset.state = state;
    this.easyView();
    this.resize();
    this.draw();
  }

  slices(spec) {                                                    // which slices are shown, and the frame of each
    const all = [...Array(spec.grid[0]).keys()];
    if (all.length === 1) return { slices: [0], frame: [this.tick % spec.frames] };
    if (this.view === 'loop') { const f = this.repeat ? this.tick % spec.frames : Math.min(this.tick, spec.frames - 1); return { slices: [spec.slice_of_frame[f]], frame: [f] }; }
    return { slices: all, frame: all.map((t) => { const own = framesOf(spec, t); return own[this.tick % own.length]; }) };
  }

  meanOf(image, row, spec, frames) {                                // colour of each cell, for the token layer
    const [, H, W] = spec.grid, [h, w] = spec.size, cache = image.meanCache ??= new Map();
    return (i) => {
      const t = Math.floor(i / (H * W)), frame = frames.get(t) ?? 0, key = row * 1e4 + frame;
      if (!cache.has(key)) {
        const small = document.createElement('canvas');
        small.width = W; small.height = H;
        const pen = small.getContext('2d', { willReadFrequently: true });
        pen.imageSmoothingQuality = 'high';
        pen.drawImage(image, frame * w, row * h, w, h, 0, 0, W, H);
        cache.set(key, pen.getImageData(0, 0, W, H).data);
      }
      const p = cache.get(key), o = 4 * (i % (H * W));
      return `rgb(${p[o]} ${p[o + 1]} ${p[o + 2]})`;
    };
  }

  viewOf(run, step, sample, more = {}) {
    const spec = run.spec, { image, row } = run.imageAt(step, sample), shown = this.slices(spec);
    const mean = image && this.layers.tokens ? this.meanOf(image, row, spec, new Map(shown.slices.map((t, k) => [t, shown.frame[k]]))) : null;
    const layers = isHolistic(spec) && step < run.total ? { ...this.layers, confidence: true } : this.layers;
    return {
      plan: run.plan, step, layers, ready: false, legal: true, seed: run.plan.seed, image, row, mean, ...shown,
      tokens: run.of(run.tokens, sample), confidence: run.of(run.confidence, sample), hover: this.hover,
      hideFront: step >= run.total && !this.active, radius: 0, density: window.devicePixelRatio || 1, ...more,
    };
  }

  draw() {
    if (!this.canvas.width) return;
    readColours(this.element);
    const width = this.canvas.width, density = window.devicePixelRatio || 1;
    if (this.run && this.state !== 'ready') {
      paintGrid(this.pen, width, this.viewOf(this.run, this.step, this.sample, { radius: 0 }));
      this.count(this.run, this.step);
    } else {
      const seed = this.mode !== 'outpaint' && this.hover ? this.hover : this.seed, plan = this.planned(seed);
      const source = this.known() ? this.source : null;
      paintGrid(this.pen, width, {
        plan, step: 0, layers: { ...this.layers, confidence: false, tokens: false }, ready: true, legal: this.plannedLegal, seed,
        image: source?.image ?? null, row: 0, ...this.slices(this.spec), hover: null, region: source ? this.keep : null, radius: 0, density,
        cursor: source && this.tool === 'erase' && document.activeElement === this.canvas ? this.cursor : null,
      });
    }
    this.status();
    this.timeline();
    this.rail();
    this.tip();
  }

  count(run, step) {                                                // distinct steps really painted
    if (run.id !== this.element.dataset.run || step < 1 || !run.has(step)) return;
    this.painted.add(step);
    this.element.dataset.painted = String(this.painted.size);
    this.element.dataset.step = String(step);
  }

  say(words) { this.note = words; this.status(); clearTimeout(this.noteTimer); this.noteTimer = setTimeout(() => { this.note = ''; this.status(); }, 4000); }

  status() {
    const now = this.find('.now'), run = this.run, tail = (s) => (s ? ` <span>${escapeText(s)}</span>` : '');
    let text;
    if (this.note) text = escapeText(this.note);
    else if (this.state === 'waiting') {
      const place = run?.place, news = run?.progress;
      if (news) text = escapeText(news.text) + tail(news.share === null ? '' : `${Math.floor(100 * news.share)} %`);
      else text = place?.ahead ? `${place.ahead} ahead of you${tail(`about ${seconds(place.seconds)}`)}` : 'Starting';
    } else if (run && this.state !== 'ready') {
      const live = run === this.active, left = live && run.last ? run.elapsed / Math.max(1, run.last - run.from) * (run.total - run.last) : 0;
      text = this.branchFrom ? `Continue from step ${this.branchFrom} ${tail('change anything, then Grow')}`
        : `Step ${this.step} of ${run.total}${tail(live ? (left ? `about ${seconds(left)} left` : '') : run.state === 'stopped' ? 'stopped' : run.elapsed ? seconds(run.elapsed) : '')}`;
    } else if (this.mode === 'outpaint' && !this.source) text = 'Choose a picture, then what to keep of it.';
    else {
      const plan = this.planned(this.mode !== 'outpaint' && this.hover ? this.hover : this.seed), grown = plan.step.length - plan.counts[0];
      if (!plan.total) text = 'Everything is kept';
      else if (!this.plannedLegal) text = escapeText(this.whyNot());
      else if (this.mode === 'outpaint') text = `${plan.total} steps${tail(`for ${grown} tokens${this.plannedFollows ? '' : '; only what is right of or below the kept part can match it'}`)}`;
      else {
        const corner = this.spec.grid.reduce((a, b) => a + b) - 2;
        text = plan.total === corner ? `${plan.total} steps from here` : `${plan.total} steps from here; <em>${corner} from the corner</em>`;
      }
    }
    if (now.innerHTML !== text) now.innerHTML = text;
    this.markSeed();
    const waiting = this.state === 'waiting' || this.state === 'growing', grow = this.studio?.querySelector('.grow');
    if (grow) {
      const words = this.branchFrom ? `Continue from step ${this.branchFrom}` : this.state === 'done' ? 'Grow again' : 'Grow';
      if (grow.textContent.trim() !== words) grow.textContent = words;
    }
    const play = this.find('.play'), icon = this.playing ? 'pause' : 'play';
    if (play.dataset.icon !== icon) { play.dataset.icon = icon; play.innerHTML = ICONS[icon]; play.setAttribute('aria-label', icon === 'play' ? 'Play' : 'Pause'); }
    const branch = this.find('.branch');
    branch.hidden = !(this.canBranch() || this.branchFrom);
    branch.firstChild.textContent = this.branchFrom ? 'Do not branch' : 'Branch here';
    this.find('.fresh').hidden = this.state !== 'done';
    this.hints(waiting);
  }

  whyNot() {
    for (let i = 0; i < cellsOf(this.spec.grid); i++) {
      const seed = positionOf(this.spec.grid, i);
      if (!isLegal(makePlan(this.spec, seed, this.known()))) continue;
      const also = this.spec.mirrors && !this.known() ? ', and the upper right as its mirror image' : '';
      return `${this.spec.model} cannot start here; row ${seed[1] + 1}, column ${seed[2] + 1} is possible${also}`;
    }
    return `${this.spec.model} grows only right and down: keep the upper left part`;
  }

  hints(waiting) {
    const list = waiting ? [['Space', 'pause'], ['Esc', 'stop'], ['1 – 4', 'layers']]
      : this.state === 'done' ? [['Space', 'play'], ['← →', 'step'], ['Home End', 'first, last'], ['N', 'new seed'], ...(this.canBranch() ? [['B', 'branch']] : []), ['1 – 4', 'layers']]
        : this.mode === 'outpaint' ? (this.source ? [['Drag', { keep: 'what to keep', erase: 'what to erase', seed: 'the seed' }[this.tool]], ['↑ ↓ ← →', this.tool === 'erase' ? 'move, Space erases' : this.tool === 'keep' ? 'move, with Shift resize' : 'move'], ['Enter', 'grow']] : [])
          : [['↑ ↓ ← →', 'move the seed'], ['Enter', 'grow'], ['1 – 4', 'layers']];
    const text = list.map(([key, what]) => `<span><kbd>${key}</kbd>${what}</span>`).join('');
    if (this.find('.hints').innerHTML !== text) this.find('.hints').innerHTML = text;
  }

  timeline() {
    const ready = this.state === 'ready' || !this.run, plan = ready ? this.planned(this.mode !== 'outpaint' && this.hover ? this.hover : this.seed) : this.run.plan;
    const svg = this.find('.track'), wide = svg.parentElement.clientWidth;
    if (!wide) return;
    const thumbs = ready ? 0 : 52, axis = ready && this.mode !== 'outpaint' ? Math.max(plan.total, this.spec.grid.reduce((a, b) => a + b) - 2) : Math.max(1, plan.total);
    const room = wide - thumbs, each = room / axis, gap = Math.min(4, each * .2), tall = 44, peak = Math.max(...plan.counts.slice(1), 1);
    const step = ready ? 0 : this.step, out = [], bottom = tall + 2;
    for (let k = 1; k <= axis; k++) {
      const high = k <= plan.total ? Math.max(4, tall * plan.counts[k] / peak) : 2;
      const kind = k > plan.total ? 'none' : ready ? 'plan' : k === step ? 'now' : k < step ? 'past' : k <= this.run.last ? 'seen' : 'todo';
      out.push(`<rect class="bar ${kind}" x="${((k - 1) * each + gap / 2).toFixed(1)}" y="${(bottom - high).toFixed(1)}" width="${Math.max(.5, each - gap).toFixed(1)}" height="${high.toFixed(1)}" rx="${Math.min(2, each / 4).toFixed(1)}"/>`);
    }
    const marks = new Map(), every = Math.max(1, Math.ceil(34 / each / 5) * 5);
    for (const k of [ready ? plan.total : step, axis, plan.total, 1]) if (k > 0 && [...marks.keys()].every((m) => Math.abs(m - k) * each > 22)) marks.set(k, true);
    for (let k = every; k < axis; k += every) if ([...marks.keys()].every((m) => Math.abs(m - k) * each > 26)) marks.set(k, true);
    const important = ready ? plan.total : step;
    for (const k of marks.keys()) {
      if (!ready && k !== step && this.lanes.some((lane) => lane.from === k)) continue;
      if (k !== important && Math.abs(k - important) * each < 22) continue;
      out.push(`<text class="${k === important ? 'on' : ''}" x="${((k - .5) * each).toFixed(1)}" y="${bottom + 18}" text-anchor="middle">${k}</text>`);
    }
    let height = bottom + 26;
    if (!ready) {
      if (step > 0) out.push(`<circle class="knob" cx="${((step - .5) * each).toFixed(1)}" cy="${bottom}" r="5"/>`);
      const lines = new Map();                                        // where each lane's line runs
      this.lanes.forEach((lane, j) => {
        const y = j === 0 ? 4 : height + 4, on = lane === this.run ? ' on' : '', x0 = (lane.from - .5) * each;
        const picture = lane.pictures[Math.min(this.sample, lane.pictures.length - 1)];
        const thumb = `<rect class="frame" x="${wide - 42}" y="${y}" width="40" height="40" rx="8"/>${picture ? `<image href="${picture}" x="${wide - 40}" y="${y + 2}" width="36" height="36" preserveAspectRatio="xMidYMid slice" clip-path="inset(0 round 6px)"/>` : ''}`;
        if (j === 0) { out.push(`<g class="lane${on}" data-lane="0" tabindex="0" role="button" aria-label="${escapeText(lane.title)}">${thumb}</g>`); return; }
        const middle = y + 20, top = lines.get(lane.parent) ?? bottom + 4;
        lines.set(lane.id, middle);
        out.push(`<g class="lane${on}" data-lane="${j}" tabindex="0" role="button" aria-label="${escapeText(lane.title)}, from step ${lane.from}"><path d="M${x0.toFixed(1)} ${top}V${middle - 6}q0 6 6 6H${wide - 48}"/><circle cx="${x0.toFixed(1)}" cy="${top}" r="3"/><text x="${(x0 + 14).toFixed(1)}" y="${middle - 8}">${escapeText(lane.title)}, from step ${lane.from}</text>${thumb}</g>`);
        height += 48;
      });
      if (this.lanes.length < 2) height = Math.max(height, 50);
    }
    Object.assign(this, { barRoom: room, barEach: each, barAxis: axis });
    svg.setAttribute('viewBox', `0 0 ${wide} ${height}`);
    svg.style.height = `${height}px`;
    const markup = out.join('');
    if (this.trackMarkup !== markup) svg.innerHTML = this.trackMarkup = markup;   // else focus would be lost at every frame of a clip
    svg.setAttribute('aria-valuemin', '0');
    svg.setAttribute('aria-valuemax', String(plan.total));
    svg.setAttribute('aria-valuenow', String(step));
    svg.setAttribute('aria-valuetext', ready ? `${plan.total} steps planned` : `step ${step} of ${plan.total}`);
  }

  rail() {
    const run = this.run, done = this.state !== 'ready' && run, facts = [];
    if (!done) {
      const plan = this.planned(this.mode !== 'outpaint' && this.hover ? this.hover : this.seed), grid = this.spec.grid;
      facts.push(['Grid', (grid[0] > 1 ? grid : grid.slice(1)).join(' × ')], ['Widest front', Math.max(...plan.counts.slice(1), 0)]);
      const pace = this.pace[this.spec.model];
      if (pace) facts.push(['Estimate', seconds(pace * plan.total)]);
    } else {
      const whole = this.step >= run.total, sure = run.of(run.confidence, this.sample);
      const cells = whole ? [...sure.keys()] : run.plan.cells[this.step] ?? [], seen = cells.filter((i) => sure[i] !== UNKNOWN_CONFIDENCE);
      const mean = seen.length ? (seen.reduce((a, i) => a + sure[i], 0) / seen.length / 254).toFixed(2) : '–';
      facts.push(whole ? ['Steps', run.total] : ['Front', `${run.plan.counts[this.step] ?? 0} tokens`], ['Confidence', mean]);
      if (run.elapsed) facts.push(['Time', seconds(run.elapsed)]);
    }
    this.guess(done ? run : null);
    this.find('.mirror').hidden = !(done ? run.plan : this.planned(this.seed)).mirrored;
    const text = facts.map(([a, b]) => `<dt>${a}</dt><dd>${b}</dd>`).join('');
    if (this.find('.facts').innerHTML !== text) this.find('.facts').innerHTML = text;
    this.find('.ramp').hidden = !this.layers.confidence;
    this.find('.view').hidden = this.find('.rate').hidden = (run ?? this).spec.grid[0] === 1;
    const finished = Boolean(done && run.pictures.length && this.state === 'done');
    this.find('.actions').hidden = !finished;
    this.find('[data-act=again]').hidden = !(finished && run.again);
    const clip = Boolean(finished && run.spec.frames > 1);
    this.find('[data-act=growth]').hidden = !finished || clip;
    this.find('[data-act=save]').hidden = clip;
    this.find('[data-act=mp4]').hidden = this.find('.formats').hidden = !clip;
    this.find('[data-act=extend]').hidden = !(clip && this.mode === 'video' && run.spec.accepts_known && run.spec.model === this.spec.model);
    if (this.mode === 'video') this.showWhole(finished);
    this.find('[data-act=link]').hidden = !(finished && run.request && !run.plan.counts[0] && !run.from && !run.replayed);
    this.find('.send').hidden = !finished || run.spec.grid[0] > 1;
    this.element.querySelectorAll('[data-send]').forEach((b) => {
      b.hidden = b.dataset.send === this.mode || !document.querySelector(`#pages [data-tab-id=${b.dataset.send}]`) || (b.dataset.send === 'lab' && run?.spec.model !== this.spec.model);
    });
    const verdict = this.find('.verdict');
    verdict.hidden = !(finished && run.verdict);
    if (run?.verdict) verdict.textContent = run.verdict.same ? 'Verified: every token is the same.' : `Not identical. Different: ${run.verdict.differs.join(', ')}.`;
    if (this.mode === 'outpaint') this.showWide(finished);
    this.sampleStrip(done ? run : null);
  }

  guess(run) {
    const figure = this.find('.guess'), k = run && run.guessAt(this.step);
    figure.hidden = k === null;
    if (figure.hidden) return;
    const [height, width] = run.spec.size, canvas = figure.firstChild, words = `Decoded at step ${k}, with a neutral token in place of each missing one.`;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    canvas.getContext('2d').drawImage(run.guesses.get(k), (this.tick % run.spec.frames) * width, this.sample * height, width, height, 0, 0, width, height);
    if (figure.lastChild.textContent !== words) figure.lastChild.textContent = words;
  }

  sampleStrip(run) {
    const strip = this.find('.samples');
    strip.hidden = !run || run.samples < 2;
    if (strip.hidden) return;
    while (strip.children.length > run.samples) strip.lastChild.remove();
    while (strip.children.length < run.samples) {
      const button = document.createElement('button'), n = strip.children.length;
      button.type = 'button';
      button.setAttribute('aria-label', `Picture ${n + 1}`);
      button.innerHTML = '<canvas width="96" height="96"></canvas>';
      button.onclick = () => { this.sample = n; this.draw(); };
      strip.append(button);
    }
    [...strip.children].forEach((button, n) => {
      button.classList.toggle('on', n === this.sample);
      button.setAttribute('aria-pressed', String(n === this.sample));
      const canvas = button.firstChild, { height } = tilesOf(run.spec, 96, this.view);
      if (canvas.height !== height) canvas.height = height;
      paintGrid(canvas.getContext('2d'), 96, this.viewOf(run, this.step, n, { layers: { picture: true }, hover: null, density: 4 }));
    });
  }

  tip() {
    const tip = this.find('.tip'), run = this.run, at = this.hover;
    tip.hidden = !(at && run && this.state !== 'ready');
    if (tip.hidden) return;
    const { grid } = run.spec, i = flatOf(grid, at), plan = run.plan, written = plan.step[i] <= this.step;
    const token = run.of(run.tokens, this.sample)[i], sure = run.of(run.confidence, this.sample)[i], senders = sendersOf(plan, i);
    const axes = [...new Set(senders.map((s) => s.head.axis))];
    const rows = [['Distance', plan.distance[i]], ['Step', plan.step[i] || 'given']];
    if (written && token !== UNKNOWN_TOKEN) rows.push(['Token', token]);
    if (written && sure !== UNKNOWN_CONFIDENCE) rows.push(['Confidence', (sure / 254).toFixed(2)]);
    const meter = written && sure !== UNKNOWN_CONFIDENCE ? `<div class="meter"><i style="width:${100 * sure / 254}%"></i></div>` : '';
    const from = plan.step[i] === 0 ? 'given with the picture' : axes.length ? `<b>${axes.join(' + ')}</b>${senders.length} ${senders.length > 1 ? 'senders' : 'sender'}` : '<b>condition</b>the seed token';
    tip.innerHTML = `<header>${grid[0] > 1 ? `Slice ${at[0] + 1}, row` : 'Row'} ${at[1] + 1}, column ${at[2] + 1}</header><dl>${rows.map(([a, b]) => `<dt>${a}</dt><dd>${b}</dd>`).join('')}${meter}</dl><p class="from">${from}</p>`;
    const shown = this.slices(run.spec).slices.indexOf(at[0]);
    if (shown < 0) { tip.hidden = true; return; }
    const box = this.canvas.getBoundingClientRect(), scale = box.width / this.canvas.width, { tiles } = tilesOf(run.spec, this.canvas.width, this.view), tile = tiles[shown];
    const x = (tile.x + at[2] * tile.cell) * scale, y = (tile.y + at[1] * tile.cell) * scale, c = tile.cell * scale;
    const left = x + c + 14 + tip.offsetWidth > box.width ? x - tip.offsetWidth - 14 : x + c + 14;
    tip.style.left = `${clamp(left, 4, Math.max(4, box.width - tip.offsetWidth - 4))}px`;
    tip.style.top = `${this.canvas.offsetTop + clamp(y - 20, 4, Math.max(4, box.height - tip.offsetHeight - 4))}px`;
  }

  // ---- input ---------------------------------------------------------------------------------
  cellAt(event) {
    const spec = (this.state === 'ready' ? this : this.run ?? this).spec, box = this.canvas.getBoundingClientRect();
    const scale = this.canvas.width / box.width, px = (event.clientX - box.left) * scale, py = (event.clientY - box.top) * scale;
    const [, H, W] = spec.grid, { tiles } = tilesOf(spec, this.canvas.width, this.view), shown = this.slices(spec).slices;
    for (let k = 0; k < shown.length; k++) {
      const w = Math.floor((px - tiles[k].x) / tiles[k].cell), h = Math.floor((py - tiles[k].y) / tiles[k].cell);
      if (h >= 0 && h < H && w >= 0 && w < W) return [shown[k], h, w];
    }
    return null;
  }

  setSeed(seed) {
    if (this.state === 'growing' || this.state === 'waiting') return;
    if (this.state === 'done') this.home(seed);
    this.hover = null;
    this.seed = seed.map((x, k) => clamp(x, 0, this.spec.grid[k] - 1));
    this.draw();
    this.markSeed();
    this.element.dataset.seed = this.seed.join();
  }
  markSeed() {
    this.studio?.querySelectorAll('[data-at]').forEach((b) => {
      const on = this.mode !== 'outpaint' && this.placeOf(b.dataset.at).join() === this.seed.join();
      b.hidden = this.spec.seed_positions === 'corner' ? !(b.dataset.at === 'corner' || (this.spec.mirrors && b.dataset.at === 'mirror')) : b.dataset.at === 'mirror';
      b.classList.toggle('on', on);
      b.setAttribute('aria-pressed', String(on));
    });
    const click = this.studio?.querySelector('.starts small');
    if (click) {
      click.textContent = this.spec.note || 'or click a cell';
      click.hidden = this.spec.seed_positions === 'corner' && !this.spec.note;
    }
  }
  placeOf(name) {
    const [T, H, W] = this.spec.grid, half = (n) => Math.floor(n / 2);
    return { centre: [half(T), half(H), half(W)], corner: [0, 0, 0], edge: [half(T), 0, half(W)], mirror: [0, 0, W - 1] }[name];
  }

  wire() {
    const canvas = this.canvas;
    let pressed = null, started = false;
    canvas.addEventListener('pointermove', (e) => {
      const cell = this.cellAt(e);
      if (pressed && cell && this.mode === 'outpaint' && this.state === 'ready' && this.source) { this.edit(pressed, cell); return; }
      if (e.pointerType === 'touch' && this.state === 'ready') return;
      if (String(cell) !== String(this.hover)) { this.hover = cell; this.draw(); }
    });
    canvas.addEventListener('pointerleave', (e) => { if (e.pointerType !== 'touch') { this.hover = null; this.draw(); } });
    canvas.addEventListener('pointerdown', (e) => {
      started = this.state === 'ready';
      if (this.mode !== 'outpaint' || !started || !this.source) return;
      pressed = this.cellAt(e);
      this.brushed = null;
      canvas.setPointerCapture(e.pointerId);
      if (pressed) this.edit(pressed, pressed);
    });
    canvas.addEventListener('pointerup', () => { pressed = null; });
    canvas.addEventListener('pointercancel', () => { pressed = null; });
    canvas.addEventListener('click', (e) => {
      const cell = this.cellAt(e);
      if (!cell) return;
      if (this.state === 'ready' && started && this.mode !== 'outpaint') this.setSeed(cell);
      else if (this.state !== 'ready') { this.hover = cell; this.draw(); }
    });
    canvas.addEventListener('blur', () => { this.hover = null; this.draw(); });

    const track = this.find('.track');
    let scrubbing = false;
    const scrub = (e) => {
      const box = track.getBoundingClientRect();
      this.playing = false;
      this.branchFrom = 0;
      this.show(Math.ceil((e.clientX - box.left) / this.barEach));
    };
    track.addEventListener('pointerdown', (e) => {
      const lane = e.target.closest('[data-lane]');
      if (lane) return this.openLane(Number(lane.dataset.lane));
      if (!this.run || this.state === 'ready') return;
      scrubbing = true;
      track.setPointerCapture(e.pointerId);
      scrub(e);
    });
    track.addEventListener('pointermove', (e) => scrubbing && scrub(e));
    track.addEventListener('pointerup', () => { scrubbing = false; });
    track.addEventListener('pointercancel', () => { scrubbing = false; });

    this.find('.play').onclick = () => this.play(!this.playing);
    this.find('.branch').onclick = () => this.markBranch();
    this.find('.fresh').onclick = () => { this.home(this.seed); canvas.focus(); };
    this.find('.speed').onclick = (e) => { this.speed = { 1: 2, 2: .5, .5: 1 }[this.speed]; e.currentTarget.textContent = `${this.speed}×`; };
    this.element.querySelectorAll('[data-layer]').forEach((box) => { box.onchange = () => { this.layers[box.dataset.layer] = box.checked; this.draw(); }; });
    this.element.querySelectorAll('[data-view]').forEach((b) => { b.onclick = () => { this.viewChosen = true; this.setView(b.dataset.view); }; });
    this.element.querySelectorAll('[data-send]').forEach((b) => { b.onclick = () => this.send(b.dataset.send); });
    this.element.querySelectorAll('[data-act]').forEach((b) => { b.onclick = () => this.act(b.dataset.act, b); });

    this.studio?.addEventListener('click', (e) => {
      if (e.target.closest('.grow')) this.start();
      else if (e.target.closest('.stop')) this.stop();
      const at = e.target.closest('[data-at]'), tool = e.target.closest('[data-tool]');
      if (at) this.setSeed(this.placeOf(at.dataset.at));
      if (tool) this.setTool(tool.dataset.tool);
    });
    this.studio?.addEventListener('change', (e) => { if (e.target.closest('.pictures')) this.status(); });
    this.studio?.addEventListener('keydown', (e) => {
      if (e.key === 'Enter' && (e.ctrlKey || e.metaKey) && e.target.closest('.ask, .settings')) { e.preventDefault(); e.stopPropagation(); this.start(); }
      if (e.key === 'Escape' && this.active && e.target.closest('.ask, .settings')) this.stop();
    }, true);
    document.addEventListener('keydown', (e) => this.key(e));
    document.addEventListener('nar-open', ({ detail }) => { if (detail.mode === this.mode) this.whenShown(() => this.open(detail.run, [detail.run])); });
    document.addEventListener('nar-send', () => this.take());
    this.wireSource();
    this.wireNames();
    this.take();
    this.find('.repeat').onchange = (e) => { this.repeat = e.target.checked; this.tick = 0; this.draw(); };
    this.find('.rate select').onchange = () => this.beat();
    this.beat();
    this.markSeed();
  }

  rate() { return Number(this.find('.rate select').value) || (this.run ?? this).spec.fps || 8; }
  beat() {                                                          // clips run by themselves, at the chosen rate
    clearInterval(this.beating);
    if (this.calm.matches) return;
    this.beating = setInterval(() => { if ((this.run ?? this).spec.frames > 1 && this.element.offsetParent) { this.tick += 1; this.draw(); } }, 1000 / this.rate());
  }

  // Another page may have been in front; its tab has been asked for, and this one follows.
  whenShown(then, tries = 100) {
    if (this.element.offsetParent) then();
    else if (tries) setTimeout(() => this.whenShown(then, tries - 1), 50);
  }

  // Clips grow slice by slice and then move, unless someone has chosen how to look at them.
  easyView() {
    if (this.viewChosen || (this.run ?? this).spec.grid[0] === 1) return;
    const view = this.state === 'done' && !this.playing && !this.calm.matches ? 'loop' : 'slices';
    if (view !== this.view) this.setView(view);
  }

  setView(view) {
    this.view = view;
    this.element.querySelectorAll('[data-view]').forEach((b) => b.classList.toggle('on', b.dataset.view === view));
    this.resize();
  }

  openLane(n) {
    if (this.active || !this.lanes[n]) return;
    Object.assign(this, { run: this.lanes[n], step: this.lanes[n].last, branchFrom: 0, playing: false });
    this.setState('done');
  }

  key(e) {
    if (!this.element.isConnected || !this.element.offsetParent || e.ctrlKey || e.metaKey || e.altKey) return;
    const at = e.target, mine = this.element.contains(at);
    if (at !== document.body && !mine) return;
    const lane = at.closest?.('[data-lane]');
    if (lane && (e.key === 'Enter' || e.key === ' ')) { e.preventDefault(); return this.openLane(Number(lane.dataset.lane)); }
    if (at.closest?.('button, label, input') && (e.key === 'Enter' || e.key === ' ')) return;
    if (this.press(e.key, e.shiftKey)) e.preventDefault();
  }

  press(key, shift) {
    const move = MOVES[key], ready = this.state === 'ready';
    if ('1234'.includes(key) && key) { this.element.querySelectorAll('[data-layer]')[key - 1].click(); return true; }
    if (ready && this.mode === 'outpaint' && this.source && move) return this.editByKey(move, shift);
    if (ready && this.mode === 'outpaint' && this.source && this.tool === 'erase' && key === ' ') { this.eraseAtCursor(); return true; }
    if (ready && move && this.mode !== 'outpaint') { this.setSeed([this.seed[0], this.seed[1] + move[0], this.seed[2] + move[1]]); return true; }
    if (ready && (key === 'PageUp' || key === 'PageDown') && this.spec.grid[0] > 1) { this.setSeed([this.seed[0] + (key === 'PageUp' ? -1 : 1), this.seed[1], this.seed[2]]); return true; }
    if (key === 'Enter') { this.start(); return true; }
    if (key === 'Escape') { if (this.active) this.stop(); else if (this.branchFrom) { this.branchFrom = 0; this.draw(); } else return false; return true; }
    if (ready || !this.run) return false;
    if (key === ' ') this.play(!this.playing);
    else if (key === 'ArrowLeft' || key === 'ArrowRight') { this.playing = false; this.branchFrom = 0; this.show(this.step + (key === 'ArrowLeft' ? -1 : 1)); }
    else if (key === 'Home' || key === 'End') { this.playing = false; this.branchFrom = 0; this.show(key === 'Home' ? 0 : this.run.last); }
    else if (key === 'n' || key === 'N') { if (this.state === 'done') this.home(this.seed); }
    else if (key === 'b' || key === 'B') this.markBranch();
    else return false;
    return true;
  }

  // ---- from page to page -----------------------------------------------------------------------
  send(to) {
    const run = this.run, address = run?.pictures[this.sample];
    // codes of a mirror image are not those of the picture: there it is encoded anew
    if (address) handOver(to, { address, tokens: run.plan.mirrored ? null : textOf(run.of(run.tokens, this.sample)), model: run.spec.model, title: run.title, query: to === 'video' ? { prompt: run.title } : run.request ? Object.fromEntries(queryOf(run)) : {} });
  }
  take() {
    const given = takeHandover(this.mode);
    if (!given) return;
    if (given.file) return this.whenShown(() => this.trigger('replay', { run: `file${Date.now()}`, file: given.file }));
    this.whenShown(() => this.trigger('fill', { query: given.query }));
    if (this.mode !== 'image') this.useSource(given);
  }

  tell(words) {                                                     // under the picture that was chosen
    const note = this.studio?.querySelector('.upload-note');
    if (note) note.textContent = words || this.spec.upload_note;
  }

  // ---- what can be done with a result ----------------------------------------------------------
  async act(name, button) {
    const run = this.run, picture = run?.pictures[this.sample];
    if (!picture) return;
    const stem = (run.title || 'picture').replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '').toLowerCase() || 'picture';
    const words = button.querySelector('span'), before = words.textContent;
    const flash = (text) => { words.textContent = text; setTimeout(() => { words.textContent = before; }, 1600); };
    if (name === 'save') save(picture, `${stem}.png`);
    if (name === 'wide') save(this.wholePicture().toDataURL('image/png'), `${stem}-whole.png`);
    if (name === 'link') { await navigator.clipboard?.writeText(linkOf(run)).then(() => flash('Link copied'), () => flash('Copy failed')); }
    if (name === 'again') this.start({ file: picture, samples: run.request.num_samples, title: run.title });
    if (name === 'extend') this.extendClip();
    if (['mp4', 'gif', 'webp', 'strip'].includes(name)) {
      words.textContent = 'Writing…';
      const files = [...(run.parts ?? []).map((p) => p.picture), picture];
      const answer = await this.server.clip({ files, format: name, fps: this.rate() }).catch(() => ({ error: 'no answer' }));
      if (answer.file) { save(answer.file, `${stem}.${name === 'strip' ? 'png' : name}`); words.textContent = before; } else { flash('Failed'); this.say(answer.error); }
    }
    if (name === 'growth') {
      words.textContent = 'Drawing…';
      const answer = await this.server.growth(picture).catch(() => ({ error: 'no answer' }));
      if (answer.file) { save(answer.file, `${stem}-growth.gif`); words.textContent = before; } else flash('Failed');
    }
  }
}

function save(address, name) {
  const link = document.createElement('a');
  Object.assign(link, { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}

// What fills a form, in a link or on another page: what the engine was asked for, nothing about the session.
function queryOf(run) {
  const query = new URLSearchParams({ model: run.spec.model }), r = run.request;
  const short = { prompt: r.prompt, label: r.label, seed: r.seed_position.join(), rng: r.rng_seed, guidance: r.guidance_scale, heads: r.heads, fusion: r.fusion, temperature: r.temperature, top_k: r.top_k, top_p: r.top_p, min_p: r.min_p, pictures: r.num_samples };
  for (const [key, value] of Object.entries(short)) if (value !== null && value !== undefined && value !== '') query.set(key, value);
  return query;
}
const linkOf = (run) => `${location.origin}${location.pathname}?${queryOf(run)}`;

// How a branch differs from what it left, in a few words.
function changesOf(before, now) {
  const names = { guidance_scale: 'guidance', rng_seed: 'rng seed', temperature: 'temperature', top_k: 'top-k', top_p: 'top-p', min_p: 'min-p' }, out = [];
  for (const key of ['prompt', 'label', 'heads', 'fusion', ...Object.keys(names)]) {
    if (String(before[key]) === String(now[key])) continue;
    if (key === 'prompt' || key === 'label') out.push(null);          // its title says so already
    else out.push(names[key] ? `${names[key]} ${now[key]}` : key === 'fusion' ? `fusion: ${now[key]}` : now[key]);
  }
  return out.includes(null) ? '' : out.join(', ') || 'the same again';
}

Object.assign(Player.prototype, RegionEditing, ClipEditing, Naming);

export function mountPlayer(element, tools, config) {
  const player = new Player(element, tools, config);
  element.player = player;
  tools.watch('value', () => player.receive(tools.props.value));
  player.receive(tools.props.value);                                  // a page may be mounted late
  return player;
}
