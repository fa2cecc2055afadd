// Drawing one moment of a growth on a canvas. Nothing here keeps state.
import { flatOf, maySee, positionOf, sendersOf } from '../plan.js';

export const UNKNOWN_TOKEN = 65535, UNKNOWN_CONFIDENCE = 255;

export function bytesOf(text) {
  const raw = atob(text), out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}
export function wordsOf(text) {
  const b = bytesOf(text), out = new Uint16Array(b.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = b[2 * i] | (b[2 * i + 1] << 8);
  return out;
}
export function textOf(values) {
  const b = new Uint8Array(values.length * values.BYTES_PER_ELEMENT);
  if (values.BYTES_PER_ELEMENT === 1) b.set(values);
  else values.forEach((v, i) => { b[2 * i] = v & 255; b[2 * i + 1] = v >> 8; });
  let raw = '';
  for (let i = 0; i < b.length; i += 8192) raw += String.fromCharCode(...b.subarray(i, i + 8192));
  return btoa(raw);
}

let hues = {};
export function readColours(element) {
  const style = getComputedStyle(element);
  for (const name of ['bg', 'surface', 'sunken', 'line', 'line-2', 'ink', 'ink-2', 'ink-3', 'accent',
    'on-accent', 'front', 'ramp-0', 'ramp-1']) hues[name] = style.getPropertyValue('--n-' + name).trim();
  hues.font = style.fontFamily;
}
const channels = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
function rampColour(share) {
  const low = channels(hues['ramp-0']), high = channels(hues['ramp-1']);
  return `rgb(${low.map((x, i) => Math.round(x + (high[i] - x) * share))})`;
}
const sureness = (byte) => Math.max(0, Math.min(1, byte / 254)) ** 1.6;

// Where every slice of the grid lies: one tile for a picture, a square of tiles for a clip.
export function tilesOf(spec, width, view) {
  const [T, H, W] = spec.grid, gap = Math.round(width / 60);
  if (T === 1 || view === 'loop') {
    return { height: Math.round(width * H / W), tiles: [{ x: 0, y: 0, cell: width / W }] };
  }
  const across = Math.ceil(Math.sqrt(T)), side = (width - gap * (across - 1)) / across;
  const tall = side * H / W, down = Math.ceil(T / across);
  const tiles = Array.from({ length: T }, (_, t) => (
    { x: (t % across) * (side + gap), y: Math.floor(t / across) * (tall + gap), cell: side / W }));
  return { height: Math.round(tall * down + gap * (down - 1)), tiles };
}

function outline(pen, x, y, w, h, r) { pen.beginPath(); pen.roundRect(x, y, w, h, r); }

// view: { plan, step, layers, ready, seed, legal, hover, image, from, tokens, confidence, mean,
//         region, slices: [t per tile], frame: [pixel frame per tile], radius, hideFront }
export function paintGrid(pen, width, view) {
  const { height, tiles } = tilesOf(view.plan.spec, width, view.slices.length === 1 ? 'loop' : '');
  pen.clearRect(0, 0, width, height);
  view.slices.forEach((t, k) => {
    const tile = tiles[k], [, H, W] = view.plan.spec.grid;
    pen.save();
    outline(pen, tile.x, tile.y, tile.cell * W, tile.cell * H, view.radius);
    pen.clip();
    pen.fillStyle = hues.sunken;
    pen.fillRect(tile.x, tile.y, tile.cell * W, tile.cell * H);
    paintTile(pen, tile, t, view.frame[k], view);
    pen.restore();
  });
}

function paintTile(pen, tile, t, frame, view) {
  const { plan, step, layers, ready } = view, [, H, W] = plan.spec.grid, c = tile.cell;
  const first = t * H * W, last = first + H * W;
  const x = (i) => tile.x + (i % W) * c, y = (i) => tile.y + (Math.floor(i / W) % H) * c;
  const written = (i) => plan.step[i] <= step && (plan.step[i] > 0 || view.image !== null);
  // 1. what is there already
  if (layers.picture && view.image) {
    pen.save();
    pen.beginPath();
    for (let i = first; i < last; i++) if (written(i)) pen.rect(x(i), y(i), c + .5, c + .5);
    pen.clip();
    pen.imageSmoothingEnabled = true;
    pen.imageSmoothingQuality = 'high';
    const [h, w] = plan.spec.size;
    pen.drawImage(view.image, frame * w, view.row * h, w, h, tile.x, tile.y, c * W, c * H);
    pen.restore();
  }
  for (let i = first; i < last; i++) {
    if (written(i)) {
      if (layers.tokens || !layers.picture) {
        pen.fillStyle = hues.surface;
        pen.fillRect(x(i), y(i), c + .5, c + .5);
      }
      if (layers.tokens && view.mean) {
        pen.fillStyle = view.mean(i);
        outline(pen, x(i) + c * .06, y(i) + c * .06, c * .88, c * .88, c * .16);
        pen.fill();
      }
      if (layers.confidence && view.confidence && view.confidence[i] !== UNKNOWN_CONFIDENCE) {
        pen.globalAlpha = layers.picture || layers.tokens ? .84 : 1;
        pen.fillStyle = rampColour(sureness(view.confidence[i]));
        pen.fillRect(x(i), y(i), c + .5, c + .5);
        pen.globalAlpha = 1;
      }
      if (layers.tokens && view.tokens && c / view.density > 30) {
        const [r, g, b] = (view.mean ? view.mean(i).match(/\d+/g) : channels(hues.surface)).map(Number);
        label(pen, view.tokens[i], x(i) + c / 2, y(i) + c / 2, c * .26, r * .3 + g * .59 + b * .11 > 140 ? '#191a1d' : '#ffffff');
      }
    } else if (ready && layers.front) {
      pen.globalAlpha = view.legal ? .05 + .5 * (1 - (plan.step[i] - 1) / (plan.total + 1)) ** 2.2 : .05;
      pen.fillStyle = view.legal ? hues.accent : hues['ink-3'];
      outline(pen, x(i) + c * .07, y(i) + c * .07, c * .86, c * .86, c * .14);
      pen.fill();
      pen.globalAlpha = 1;
    } else {
      const next = layers.front && plan.step[i] === step + 1;
      pen.fillStyle = next ? hues.accent : hues['line-2'];
      pen.beginPath();
      pen.arc(x(i) + c / 2, y(i) + c / 2, Math.max(1, (next ? 2.1 : 1.3) * c / 37), 0, 7);
      pen.fill();
    }
  }
  // 2. the front
  if (layers.front && !ready && !view.hideFront && step > 0) {
    for (const i of plan.cells[step] ?? []) {
      if (i < first || i >= last) continue;
      const line = Math.max(1.5, 2.5 * c / 37);
      if (!layers.confidence && !layers.tokens) {
        pen.fillStyle = 'rgb(255 255 255 / .38)';
        pen.fillRect(x(i), y(i), c, c);
      }
      pen.strokeStyle = hues.front;
      pen.lineWidth = line;
      outline(pen, x(i) + line, y(i) + line, c - 2 * line, c - 2 * line, c * .12);
      pen.stroke();
    }
  }
  // 3. before the start: a ring every fourth step, and their numbers
  if (ready && layers.front && view.legal) paintRings(pen, tile, t, view, x, y);
  if (view.region) paintRegion(pen, tile, t, view, x, y);
  if (view.cursor) {
    pen.setLineDash([c / 5, c / 8]);
    pen.strokeStyle = hues.ink;
    pen.lineWidth = Math.max(2, c / 16);
    pen.strokeRect(tile.x + view.cursor[1] * c, tile.y + view.cursor[0] * c, 2 * c, 2 * c);
    pen.setLineDash([]);
  }
  if (view.hover && !ready) paintSeen(pen, tile, t, view, x, y);
  if (view.hover && view.hover[0] === t && !ready) paintSenders(pen, tile, view, x, y);
}

function label(pen, text, x, y, size, colour) {
  pen.font = `500 ${Math.round(size)}px ${hues.font}`;
  pen.textAlign = 'center';
  pen.textBaseline = 'middle';
  pen.fillStyle = colour;
  pen.fillText(text, x, y + 1);
}

function paintRings(pen, tile, t, view, x, y) {
  const { plan, seed } = view, [, H, W] = plan.spec.grid, c = tile.cell, first = t * H * W;
  const ring = (i) => (plan.step[i] ? Math.floor((plan.step[i] - 1) / 4) : -1);
  pen.strokeStyle = hues.accent;
  pen.globalAlpha = .5;
  pen.lineWidth = Math.max(1, c / 30);
  pen.beginPath();
  for (let i = first; i < first + H * W; i++) {
    if (i % W < W - 1 && ring(i) !== ring(i + 1)) { pen.moveTo(x(i) + c, y(i)); pen.lineTo(x(i) + c, y(i) + c); }
    if (i + W < first + H * W && ring(i) !== ring(i + W)) { pen.moveTo(x(i), y(i) + c); pen.lineTo(x(i) + c, y(i) + c); }
  }
  pen.stroke();
  pen.globalAlpha = 1;
  const [st, sh, sw] = seed, every = Math.max(4, 4 * Math.ceil(Math.max(H, W) / 24));
  if (c / view.density > 13) {
    for (let i = first; i < first + H * W; i++) {
      const [, h, w] = positionOf(plan.spec.grid, i), s = plan.step[i];
      const onAxis = h === sh || w === sw, isEnd = s === plan.total && (h === 0 || h === H - 1) && (w === 0 || w === W - 1);
      if (s > 1 && ((onAxis && (s - 1) % every === 0) || isEnd)) {
        label(pen, s, x(i) + c / 2, y(i) + c / 2, Math.max(c * .34, 9 * view.density), hues.ink);
      }
    }
  }
  if (st !== t) return;
  const i = flatOf(plan.spec.grid, seed), inset = c * .03;
  pen.fillStyle = hues.accent;
  outline(pen, x(i) - inset, y(i) - inset, c + 2 * inset, c + 2 * inset, c * .2);
  pen.fill();
  pen.lineWidth = c * .09;
  pen.strokeStyle = hues.bg;
  pen.stroke();
  if (c / view.density > 13) label(pen, plan.step[i] || '', x(i) + c / 2, y(i) + c / 2, Math.max(c * .36, 9 * view.density), hues['on-accent']);
}

// The border between what is kept and what will grow.
function paintRegion(pen, tile, t, view, x, y) {
  const { region, plan } = view, [, H, W] = plan.spec.grid, c = tile.cell;
  pen.strokeStyle = hues.accent;
  pen.lineWidth = Math.max(2, c / 15);
  pen.beginPath();
  for (let i = t * H * W; i < (t + 1) * H * W; i++) {
    if (i % W < W - 1 && region[i] !== region[i + 1]) { pen.moveTo(x(i) + c, y(i)); pen.lineTo(x(i) + c, y(i) + c); }
    if (i + W < (t + 1) * H * W && region[i] !== region[i + W]) { pen.moveTo(x(i), y(i) + c); pen.lineTo(x(i) + c, y(i) + c); }
  }
  pen.stroke();
}

// What the cell under the pointer may attend to stays lit: lower levels and its own front, in every slice.
function paintSeen(pen, tile, t, view, x, y) {
  const { plan, hover } = view, [, H, W] = plan.spec.grid, first = t * H * W, me = flatOf(plan.spec.grid, hover);
  for (let i = first; i < first + H * W; i++) {
    const lit = maySee(plan, me, i);
    pen.globalAlpha = lit ? .16 : .5;
    pen.fillStyle = lit ? hues.accent : hues.bg;
    if (i !== me) pen.fillRect(x(i), y(i), tile.cell + .5, tile.cell + .5);
  }
  pen.globalAlpha = 1;
}

function paintSenders(pen, tile, view, x, y) {
  const { plan, hover } = view, c = tile.cell, me = flatOf(plan.spec.grid, hover);
  const ring = (i, wide, colour) => {
    pen.strokeStyle = colour;
    pen.lineWidth = wide;
    outline(pen, x(i) + wide / 2, y(i) + wide / 2, c - wide, c - wide, c * .14);
    pen.stroke();
  };
  ring(me, Math.max(4, c / 7), '#ffffff');
  ring(me, Math.max(2, c / 14), '#111214');
  for (const sender of sendersOf(plan, me)) {
    if (sender.from[0] !== hover[0]) continue;
    const ax = x(sender.cell) + c / 2, ay = y(sender.cell) + c / 2, bx = x(me) + c / 2, by = y(me) + c / 2;
    for (const [wide, colour] of [[Math.max(4, c / 7), '#ffffff'], [Math.max(2, c / 14), '#111214']]) {
      pen.strokeStyle = pen.fillStyle = colour;
      pen.lineWidth = wide;
      pen.beginPath(); pen.moveTo(ax, ay); pen.lineTo(bx + (ax - bx) * .42, by + (ay - by) * .42); pen.stroke();
      pen.beginPath(); pen.arc(ax, ay, wide * 1.1, 0, 7); pen.fill();
    }
  }
}
