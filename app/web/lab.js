// The lab: two to four growths side by side, one scrubber, the same random numbers in each.
import { takeHandover } from './handover.js';
import { escapeText, ICONS, loadImage } from './page.js';
import { framesOf, isLegal, makePlan } from './plan.js';
import { Run } from './player.js';
import { bytesOf, paintGrid, readColours, tilesOf, UNKNOWN_CONFIDENCE } from './views/grid.js';

class Lab {
  constructor(element, { trigger, server }, config) {
    this.element = element.querySelector('.lab');
    this.page = element.closest('.lab-page');
    this.find = (query) => this.element.querySelector(query);
    Object.assign(this, { trigger, server, step: 0, playing: false, state: 'ready', active: null, panes: [] });
    this.useModel(config.spec, config.sets);
    this.wire();
  }

  useModel(spec, sets) {
    if (this.active) this.stop();
    Object.assign(this, { spec, sets });
    const seg = this.find('.compare'), chosen = sets.find((s) => s.name === this.compare) ?? sets[0];
    seg.innerHTML = sets.map((s) => `<button type="button" data-compare="${s.name}">${escapeText(s.title)}</button>`).join('');
    this.choose(chosen.name);
  }

  choose(name) {
    if (this.active) return;
    this.compare = name;
    this.element.querySelectorAll('[data-compare]').forEach((b) => {
      b.classList.toggle('on', b.dataset.compare === name);
      b.setAttribute('aria-pressed', String(b.dataset.compare === name));
    });
    const holder = this.find('.panes');
    holder.innerHTML = '';
    this.panes = this.sets.find((s) => s.name === name).panes.map((pane) => {
      const figure = document.createElement('figure');
      figure.innerHTML = `<canvas role="img" aria-label="${escapeText(pane.title)}"></canvas><figcaption><b>${escapeText(pane.title)}</b><span class="k"></span><dl></dl></figcaption>`;
      holder.append(figure);
      const spec = pane.spec ?? this.spec;
      return { figure, canvas: figure.firstChild, title: pane.title, run: new Run('', spec, makePlan(spec, pane.seed), 1) };
    });
    holder.dataset.count = this.panes.length;
    Object.assign(this, { step: 0, playing: false });
    this.setState('ready');
  }

  start() {
    if (this.active) return;
    this.news = null;
    this.choose(this.compare);
    this.active = Date.now().toString(36) + Math.random().toString(36).slice(2, 8);
    this.playing = true;
    this.setState('growing');
    this.trigger('start', { run: this.active, compare: this.compare });
    this.loop();
  }
  stop() {
    if (!this.active) return;
    this.server.stop(this.active).catch(() => null);
    this.end();
  }
  end() {
    this.active = null;
    this.setState(this.last() ? 'done' : 'ready');
  }

  receive(message) {
    if (!message?.kind || message === this.seen) return;
    this.seen = message;
    if (message.kind === 'model') return this.useModel(message.spec, message.sets);
    if (message.kind === 'rejected' && this.active && !this.last()) return this.end();
    if (message.run !== this.active) return;
    if (message.kind === 'failed') return this.end();
    if (message.kind === 'progress') { this.news = message; return this.draw(); }
    this.news = null;
    if (message.kind === 'begun') return;
    const pane = this.panes[message.pane], run = pane.run, n = run.plan.step.length;
    if (message.kind === 'steps') {
      for (const frame of message.frames) {
        const cells = run.plan.cells[frame.step], sure = bytesOf(frame.confidence);
        cells.forEach((i, j) => { run.confidence[i] = sure[j]; });
        loadImage(frame.sheet).then((sheet) => { run.sheets.set(frame.step, sheet); run.last = Math.max(run.last, frame.step); this.draw(); });
      }
    }
    if (message.kind === 'done') {
      run.confidence = bytesOf(message.confidence);
      const seen = [...run.confidence].filter((c) => c !== UNKNOWN_CONFIDENCE), mean = seen.reduce((a, b) => a + b, 0) / Math.max(1, seen.length) / 254;
      pane.facts = [['Steps', run.total], ['Passes', message.passes], ['Seconds', message.elapsed.toFixed(2)], ['Confidence', n ? mean.toFixed(3) : '–']];
      const last = message.pane === this.panes.length - 1;
      loadImage(message.pictures[0]).then((image) => {
        run.finals = [image];
        run.last = run.total;
        if (last) this.end();
        this.draw();
      });
    }
  }

  total() { return Math.max(...this.panes.map((p) => p.run.total)); }
  last() { return Math.max(...this.panes.map((p) => p.run.last)); }

  setState(state) {
    this.state = state;
    this.element.dataset.state = state;
    if (this.page) this.page.dataset.state = state;
    this.draw();
  }

  loop() {
    if (this.looping) return;
    this.looping = true;
    let before = 0;
    const turn = (now) => {
      if (!this.playing) { this.looping = false; return; }
      // while they grow one after the other, each pane follows its own last step
      if (this.active) { this.step = this.last(); } else if (now - before > 110) {
        before = now;
        this.step += 1;
        if (this.step >= this.total()) { this.step = this.total(); this.playing = false; }
      }
      this.draw();
      requestAnimationFrame(turn);
    };
    requestAnimationFrame(turn);
  }

  draw() {
    readColours(this.element);
    const density = window.devicePixelRatio || 1, ready = this.state === 'ready';
    for (const { canvas, figure, run, facts } of this.panes) {
      const width = Math.round(canvas.clientWidth * density);
      if (!width) return;
      const { height } = tilesOf(run.spec, width, ''), [T] = run.spec.grid, slices = [...Array(T).keys()];
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      const step = Math.min(this.active ? run.last : this.step, run.total), { image, row } = run.imageAt(step, 0);
      paintGrid(canvas.getContext('2d'), width, {
        plan: run.plan, step, layers: { picture: true, front: true }, ready: ready || !run.last, legal: isLegal(run.plan), seed: run.plan.seed,
        image: run.last ? image : null, row, slices, frame: slices.map((t) => framesOf(run.spec, t)[0]), radius: 0, density, hideFront: step >= run.total,
      });
      figure.querySelector('.k').textContent = ready || !run.last ? `${run.total} steps` : `${step} of ${run.total}`;
      figure.querySelector('dl').innerHTML = (facts ?? []).map(([a, b]) => `<dt>${a}</dt><dd>${b}</dd>`).join('');
    }
    const done = this.panes.filter((p) => p.run.finals.length).length, now = this.find('.now');
    const share = this.news?.share ?? null, news = this.news && `${this.news.text}${share === null ? '' : ` ${Math.floor(100 * share)} %`}`;
    const text = this.active && news ? news : ready ? 'Choose what to compare, then Grow all' : this.active ? `${done} of ${this.panes.length} finished` : `Step ${this.step} of ${this.total()}`;
    if (now.textContent !== text) now.textContent = text;
    const scrub = this.find('.scrub');
    Object.assign(scrub, { max: this.total(), value: this.step, disabled: this.state !== 'done' });
    scrub.style.setProperty('--share', `${100 * this.step / this.total()}%`);
    const play = this.find('.play'), icon = this.playing && !this.active ? 'pause' : 'play';
    play.disabled = this.state !== 'done';
    if (play.dataset.icon !== icon) { play.dataset.icon = icon; play.innerHTML = ICONS[icon]; play.setAttribute('aria-label', icon === 'play' ? 'Play' : 'Pause'); }
  }

  wire() {
    this.find('.compare').addEventListener('click', (e) => { const b = e.target.closest('[data-compare]'); if (b) this.choose(b.dataset.compare); });
    this.find('.scrub').addEventListener('input', (e) => { this.playing = false; this.step = Number(e.target.value); this.draw(); });
    this.find('.play').addEventListener('click', () => {
      this.playing = !this.playing;
      if (this.playing && this.step >= this.total()) this.step = 0;
      this.loop();
      this.draw();
    });
    this.page?.addEventListener('click', (e) => {
      if (e.target.closest('.grow')) this.start();
      else if (e.target.closest('.stop')) this.stop();
    });
    this.page?.addEventListener('keydown', (e) => {
      if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) { e.preventDefault(); e.stopPropagation(); this.start(); }
      if (e.key === 'Escape' && this.active) this.stop();
    }, true);
    const take = () => {
      const given = takeHandover('lab');
      if (given) this.trigger('fill', { query: given.query });
    };
    document.addEventListener('nar-send', take);
    setTimeout(take);                                                 // its events are wired after it is mounted
    new ResizeObserver(() => this.draw()).observe(this.find('.panes'));
    const themes = new MutationObserver(() => this.draw());
    for (const node of [document.documentElement, document.body]) themes.observe(node, { attributes: true, attributeFilter: ['class'] });
  }
}

export function mountLab(element, tools, config) {
  const lab = new Lab(element, tools, config);
  element.lab = lab;
  tools.watch('value', () => lab.receive(tools.props.value));
  lab.receive(tools.props.value);
}
