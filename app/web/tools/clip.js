// Clips: a picture as the first frame, and a clip that goes on where another one ends.
import { cellsOf } from '../plan.js';
import { textOf } from '../views/grid.js';

export const ClipEditing = {
  wireFirst() {
    this.studio.querySelector('.clear')?.addEventListener('click', () => this.clearFirst());
    this.takePictures();
  },

  useFirstModel() {                                                 // called when the model changes
    const given = this.sourceOriginal, able = this.spec.accepts_known;
    this.clearFirst(this.seed);
    if (this.studio) this.studio.querySelector('.source .tile').classList.toggle('off', !able);
    const note = this.studio?.querySelector('.upload-note');
    if (note) note.textContent = able ? this.spec.upload_note : this.spec.note;
    if (able && given && !given.before) this.useSource(given);
  },

  clearFirst(seed = this.spec.seed) {
    Object.assign(this, { source: null, sourceOriginal: null, parts: null, keepVersion: (this.keepVersion ?? 0) + 1 });
    if (this.studio) this.showTile();
    if (this.state !== 'growing' && this.state !== 'waiting') this.home(seed);
  },

  // Frames side by side, the given ones first and again for the rest: what is shown of known slices.
  stripOf(frames) {
    const { spec } = this, [height, width] = spec.size, strip = document.createElement('canvas'), pen = strip.getContext('2d');
    Object.assign(strip, { width: width * spec.frames, height });
    for (let f = 0; f < spec.frames; f++) {
      const { image, x } = frames[Math.min(f, frames.length - 1)];
      pen.drawImage(image, x, 0, width, height, f * width, 0, width, height);
    }
    return strip;
  },

  keepSlices(count) {
    const [T, H, W] = this.spec.grid;
    this.keep = Uint8Array.from({ length: T * H * W }, (_, i) => (i < count * H * W ? 1 : 0));
    this.keepVersion = (this.keepVersion ?? 0) + 1;
    this.home([0, H >> 1, W >> 1]);
  },

  useFirst() {                                                      // the chosen picture is the first frame
    if (!this.spec.accepts_known) { this.clearFirst(); return this.say('This model cannot begin with a picture.'); }
    if (this.active) this.stop();
    this.parts = null;
    this.source.image = this.stripOf([{ image: this.source.image, x: 0 }]);
    this.keepSlices(1);
  },

  // The last five frames of this clip, enough to tell how it moves, become the first slices of the
  // next one.
  extendClip() {
    const { run, spec } = this, image = run.finals[this.sample], [, width] = spec.size;
    const slices = spec.slice_of_frame[Math.min(4, spec.frames - 1)] + 1;
    const count = spec.slice_of_frame.filter((t) => t < slices).length;
    const frames = Array.from({ length: count }, (_, k) => ({ image, x: (spec.frames - count + k) * width }));
    const parts = [...(run.parts ?? []), { picture: run.pictures[this.sample], image, run }];
    this.source = { image: this.stripOf(frames), before: textOf(run.of(run.tokens, this.sample)) };
    this.sourceOriginal = this.source;
    this.keepSlices(slices);
    this.parts = parts;
    this.start();
  },

  // All frames of a clip that has been continued, as [image, frame] pairs.
  allFrames(run) {
    const out = [], clips = [...(run.parts ?? []).map((p) => [p.image, p.run]), [run.finals[this.sample], run]];
    clips.forEach(([image, of], k) => {
      const { spec, plan } = of, cells = cellsOf(spec.grid) / spec.grid[0];
      const given = (t) => k > 0 && plan.step.slice(t * cells, (t + 1) * cells).every((s) => s === 0);
      spec.slice_of_frame.forEach((t, f) => { if (!given(t)) out.push([image, f]); });
    });
    return out;
  },

  showWhole(finished) {
    const { run } = this, small = this.find('.whole');
    small.hidden = !(finished && run.parts?.length && run.finals.length);
    if (small.hidden) return;
    const [height, width] = run.spec.size, frames = this.allFrames(run), [image, f] = frames[this.tick % frames.length];
    if (small.width !== width) Object.assign(small, { width, height });
    small.getContext('2d').drawImage(image, f * width, 0, width, height, 0, 0, width, height);
    small.title = `${frames.length} frames`;
  },
};
