// Outpainting: a source picture, the cells of it that are kept, and the seed position that follows.
import { clamp, loadImage } from '../page.js';
import { cellsOf, distanceBetween, flatOf, followsKept, HEADS, isLegal, makePlan, positionOf } from '../plan.js';
import { textOf, UNKNOWN_TOKEN } from '../views/grid.js';

export const RegionEditing = {
  resetKeep() {
    const [, H, W] = this.spec.grid;
    this.rectangle = [Math.floor(H / 4), Math.floor(W / 4), Math.ceil(3 * H / 4), Math.ceil(3 * W / 4)];
    this.cursor = [Math.floor(H / 2), Math.floor(W / 2)];
    this.applyRectangle();
  },

  applyRectangle() {
    const [T, H, W] = this.spec.grid, [top, left, bottom, right] = this.rectangle;
    this.keep = new Uint8Array(T * H * W);
    for (let i = 0; i < this.keep.length; i++) {
      const [, h, w] = positionOf(this.spec.grid, i);
      this.keep[i] = h >= top && h < bottom && w >= left && w < right ? 1 : 0;
    }
    this.keepChanged([0, (top + bottom) >> 1, (left + right) >> 1]);
  },

  erase(h0, w0, kept = 0) {                                         // a brush of two by two cells
    const [T, H, W] = this.spec.grid;
    for (let t = 0; t < T; t++) {
      for (const [h, w] of [[h0, w0], [h0 + 1, w0], [h0, w0 + 1], [h0 + 1, w0 + 1]]) {
        if (h < H && w < W) this.keep[flatOf(this.spec.grid, [t, h, w])] = kept;
      }
    }
  },

  // The hole's cell with most kept neighbours; among equals the one nearest to the hole's middle.
  bestHoleCell() {
    const grid = this.spec.grid, holes = [...this.keep.keys()].filter((i) => !this.keep[i]);
    if (!holes.length) return this.seed;
    const at = holes.map((i) => positionOf(grid, i)), middle = [0, 1, 2].map((k) => at.reduce((s, p) => s + p[k], 0) / at.length);
    const score = (p) => {
      let known = 0;
      for (const head of HEADS) {
        const from = p.map((x, k) => x - head.by[k]);
        if (from.every((x, k) => x >= 0 && x < grid[k]) && this.keep[flatOf(grid, from)]) known += 1;
      }
      return known * 1000 - distanceBetween(p, middle);
    };
    return at.reduce((best, p) => (score(p) > score(best) ? p : best));
  },

  keepChanged(seed) {
    this.keepVersion = (this.keepVersion ?? 0) + 1;
    this.seed = seed;
    if (this.source && this.keep.some((k) => !k)) this.moveToLegal();
  },

  moveToLegal() {                                                   // a checkpoint may not grow from everywhere
    if (isLegal(makePlan(this.spec, this.seed, this.keep))) return;
    const cells = [...this.keep.keys()].map((i) => positionOf(this.spec.grid, i));
    cells.sort((a, b) => distanceBetween(a, this.seed) - distanceBetween(b, this.seed));
    const found = cells.find((p) => isLegal(makePlan(this.spec, p, this.keep)));
    if (found) this.seed = found;
  },

  setTool(tool) {
    if (this.active) return;
    if (this.state === 'done') this.home(this.seed);
    this.tool = tool;
    this.studio.querySelectorAll('[data-tool]').forEach((b) => {
      b.classList.toggle('on', b.dataset.tool === tool);
      b.setAttribute('aria-pressed', String(b.dataset.tool === tool));
    });
    if (tool === 'keep' && !this.isRectangle) { this.isRectangle = true; this.applyRectangle(); }
    if (tool === 'erase' && this.isRectangle !== false) {
      this.isRectangle = false;
      this.keep.fill(1);
      const [, H, W] = this.spec.grid;
      for (let h = Math.floor(3 * H / 8); h < Math.floor(5 * H / 8); h += 2) for (let w = Math.floor(3 * W / 8); w < Math.floor(5 * W / 8); w += 2) this.erase(h, w);
      this.keepChanged(this.bestHoleCell());
    }
    this.draw();
  },

  edit(from, to) {
    if (this.tool === 'seed') { this.seed = to; this.keepVersion += 1; }
    if (this.tool === 'keep') {
      this.rectangle = [Math.min(from[1], to[1]), Math.min(from[2], to[2]), Math.max(from[1], to[1]) + 1, Math.max(from[2], to[2]) + 1];
      this.applyRectangle();
    }
    if (this.tool === 'erase') {
      const last = this.brushed ?? to, steps = Math.max(1, distanceBetween(last, to));
      for (let k = 0; k <= steps; k++) this.erase(Math.round(last[1] + (to[1] - last[1]) * k / steps), Math.round(last[2] + (to[2] - last[2]) * k / steps));
      this.brushed = to;
      this.keepChanged(this.bestHoleCell());
    }
    this.draw();
  },

  editByKey([dh, dw], shift) {
    const [, H, W] = this.spec.grid, [top, left, bottom, right] = this.rectangle;
    if (this.tool === 'seed') this.seed = [this.seed[0], clamp(this.seed[1] + dh, 0, H - 1), clamp(this.seed[2] + dw, 0, W - 1)];
    if (this.tool === 'erase') this.cursor = [clamp(this.cursor[0] + dh, 0, H - 1), clamp(this.cursor[1] + dw, 0, W - 1)];
    if (this.tool === 'keep') {
      if (shift) this.rectangle = [top, left, clamp(bottom + dh, top + 1, H), clamp(right + dw, left + 1, W)];
      else if (top + dh >= 0 && bottom + dh <= H && left + dw >= 0 && right + dw <= W) this.rectangle = [top + dh, left + dw, bottom + dh, right + dw];
      this.applyRectangle();
    }
    this.draw();
    return true;
  },

  eraseAtCursor() {
    const i = flatOf(this.spec.grid, [0, ...this.cursor]);
    this.erase(...this.cursor, this.keep[i] ? 0 : 1);
    this.keepChanged(this.bestHoleCell());
    this.draw();
  },

  // A picture is cropped and scaled here, so that only what the model sees is ever sent.
  async useSource(given) {
    let source;
    try { source = await this.cropped(given); } catch { return this.say('That file is not a picture this browser can read.'); }
    Object.assign(this, { sourceOriginal: given, window: undefined, source });
    this.showTile();
    if (this.mode === 'video') return this.useFirst();
    this.keepVersion += 1;
    this.tell('');
    if (this.active) this.stop();
    this.home(this.seed);
    this.keepChanged(this.seed);
    this.draw();
  },

  async cropped(given) {                                            // { image, address, tokens } at the model's size
    const image = await loadImage(given.address), [height, width] = this.spec.size;
    if (image.naturalWidth === width && image.naturalHeight === height) return { image, address: given.address, tokens: given.model === this.spec.model ? given.tokens ?? null : null };
    const sheet = document.createElement('canvas'), pen = sheet.getContext('2d'), scale = Math.max(width / image.naturalWidth, height / image.naturalHeight);
    Object.assign(sheet, { width, height });
    Object.assign(pen, { imageSmoothingQuality: 'high', fillStyle: '#fff' });
    pen.fillRect(0, 0, width, height);
    const w = image.naturalWidth * scale, h = image.naturalHeight * scale;
    pen.drawImage(image, (width - w) / 2, (height - h) / 2, w, h);
    const address = sheet.toDataURL('image/png');
    return { image: await loadImage(address), address, tokens: null };
  },

  showTile() {
    const tile = this.studio.querySelector('.source img'), words = tile?.nextElementSibling, given = this.source?.address;
    if (!tile) return;
    tile.hidden = !given;
    words.dataset.before ??= words.textContent;
    if (given) tile.src = given;
    words.textContent = given ? 'Choose another' : words.dataset.before;
    if (given) this.studio.dataset.source = 'yes'; else delete this.studio.dataset.source;
  },

  // ---- beyond the canvas: windows that overlap what exists -------------------------------------
  // `wide` lists what has grown, each part at its place in cells; the newest part lies on top.
  place(run) {
    const part = { at: run.window ?? [0, 0], tokens: run.of(run.tokens, Math.min(this.sample, run.samples - 1)).slice(), image: run.finals[Math.min(this.sample, run.finals.length - 1)], spec: run.spec };
    if (!run.window || this.wide?.spec !== run.spec) this.wide = { parts: [], spec: run.spec };
    if (String(this.wide.parts.at(-1)?.at) === String(part.at)) this.wide.parts.pop();      // grown again
    this.wide.parts.push(part);
    this.wide.at = part.at;
  },

  extend([dh, dw]) {
    const { spec } = this.run, [, H, W] = spec.grid, [height, width] = spec.size;
    const [y, x] = this.wide.at, at = [y + dh * (H >> 1), x + dw * (W >> 1)];
    // what overlaps keeps its tokens too: encoded anew, the white around it would colour its border
    const keep = new Uint8Array(cellsOf(spec.grid)), tokens = new Uint16Array(keep.length).fill(UNKNOWN_TOKEN), sheet = document.createElement('canvas'), pen = sheet.getContext('2d');
    Object.assign(sheet, { width, height });
    pen.fillStyle = '#fff';
    pen.fillRect(0, 0, width, height);
    for (const part of this.wide.parts) {
      const h0 = part.at[0] - at[0], w0 = part.at[1] - at[1];
      pen.drawImage(part.image, w0 * width / W, h0 * height / H, width, height);
      for (let h = Math.max(0, h0); h < Math.min(H, h0 + H); h++) for (let w = Math.max(0, w0); w < Math.min(W, w0 + W); w++) {
        const i = flatOf(spec.grid, [0, h, w]);
        keep[i] = 1;
        tokens[i] = part.tokens[flatOf(spec.grid, [0, h - h0, w - w0])];
      }
    }
    if (keep.every((k) => k)) { this.wide.at = at; return this.say('Already grown there; go on in the same direction.'); }
    const address = sheet.toDataURL('image/png'), middle = [0, H >> 1, W >> 1];
    loadImage(address).then((image) => {
      this.source = { image, address, tokens: textOf(tokens) };
      this.home(this.seed);
      Object.assign(this, { keep, isRectangle: null });
      const kept = [...keep.keys()].filter((i) => keep[i]).map((i) => positionOf(spec.grid, i));
      this.keepChanged(kept.reduce((best, p) => (distanceBetween(p, middle) < distanceBetween(best, middle) ? p : best)));
      this.window = at;
      this.start();
    });
  },

  // Can this checkpoint grow a window of which the far half is known already?
  canExtend([dh, dw]) {
    const { spec } = this.run, [, H, W] = spec.grid, known = this.beyond ??= new Map(), key = [spec.model, dh, dw].join();
    if (!known.has(key)) {
      const keep = Uint8Array.from({ length: H * W }, (_, i) => {
        const h = Math.floor(i / W) + dh * (H >> 1), w = i % W + dw * (W >> 1);
        return h >= 0 && h < H && w >= 0 && w < W ? 1 : 0;
      });
      known.set(key, [...keep.keys()].some((i) => {
        const plan = makePlan(spec, positionOf(spec.grid, i), keep);
        return isLegal(plan) && followsKept(plan);
      }));
    }
    return known.get(key);
  },

  wholePicture() {
    const { parts, spec } = this.wide, [, H, W] = spec.grid, [height, width] = spec.size;
    const rows = parts.map((p) => p.at[0]), columns = parts.map((p) => p.at[1]), top = Math.min(...rows), left = Math.min(...columns);
    const sheet = document.createElement('canvas'), pen = sheet.getContext('2d');
    sheet.width = (Math.max(...columns) - left) * width / W + width;
    sheet.height = (Math.max(...rows) - top) * height / H + height;
    for (const part of parts) pen.drawImage(part.image, (part.at[1] - left) * width / W, (part.at[0] - top) * height / H);
    return sheet;
  },

  showWide(finished) {
    const beyond = this.find('.beyond'), several = finished && this.wide?.parts.length > 1, small = this.find('.wide');
    beyond.hidden = !(finished && this.wide && this.run.finals.length);
    if (!beyond.hidden) {
      this.element.querySelectorAll('[data-extend]').forEach((b) => {
        b.disabled = !this.canExtend(b.dataset.extend.split(',').map(Number));
        b.title = b.disabled ? `${this.run.spec.model} does not grow that way` : '';
      });
    }
    this.find('[data-act=wide]').hidden = small.hidden = !several;
    if (!several || small.newest === this.wide.parts.at(-1)) return;
    const whole = this.wholePicture();
    small.newest = this.wide.parts.at(-1);
    Object.assign(small, { width: whole.width, height: whole.height });
    small.getContext('2d').drawImage(whole, 0, 0);
  },

  wireSource() {
    if (this.mode === 'video') return this.wireFirst();
    if (this.mode !== 'outpaint') return;
    this.element.querySelectorAll('[data-extend]').forEach((b) => { b.onclick = () => this.extend(b.dataset.extend.split(',').map(Number)); });
    this.studio.addEventListener('drop', (e) => { if (e.dataTransfer.files.length) { e.preventDefault(); this.readFile(e.dataTransfer.files[0]); } });
    this.studio.addEventListener('dragover', (e) => { if ([...e.dataTransfer.types].includes('Files')) e.preventDefault(); });
    this.studio.dataset.takesFiles = 'yes';
    this.takePictures();
  },

  takePictures() {
    this.studio.addEventListener('change', (e) => { if (e.target.matches('.source input')) { this.readFile(e.target.files[0]); e.target.value = ''; } });
  },

  readFile(file) {
    if (!file) return;
    if (!file.type.startsWith('image/')) return this.say('Choose a picture: PNG, JPEG or WebP.');
    if (file.size > 2e7) return this.say('That file is larger than 20 MB.');
    const reader = new FileReader();
    reader.onload = () => this.useSource({ address: reader.result });
    reader.readAsDataURL(file);
  },
};
