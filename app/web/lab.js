// The lab: it holds a state, asks the server, keeps the time, and has its view render what has changed.

import * as address from './address.js';
import * as store from './lab-store.js';
import { askPlace } from './line.js';
import * as pages from './pages.js';
import * as reload from './reload.js';
import { loadImage } from './tools/pixels.js';
import { find, onThemeChange } from './views/dom.js';
import { labView } from './views/lab.js';
import { answering, Heard, newRunId, read } from './wire.js';

const STEP_TIME = 110; // milliseconds

export class Lab {
  /**
   * @param {HTMLElement} element @param {import('./wire.js').Tools} tools
   * @param {{ spec: import('./plan.js').Spec, sets: import('./wire.js').Comparison[] }} config
   */
  constructor(element, { trigger, server }, { spec, sets }) {
    this.element = find(element, '.lab');
    this.page = /** @type {HTMLElement} */ (element.closest('.lab-page'));
    this.trigger = trigger;
    this.server = answering(server);
    this.heard = new Heard();
    this.isLooping = false;
    this.state = store.valued(store.initial(spec, sets, address.wanted('compare')), address.wanted('values') ?? '');
    this.view = labView(this.element, this.page, this);
    new ResizeObserver(() => this.render()).observe(find(this.element, '.panes'));
    onThemeChange(() => this.render());
    this.render();
    pages.mount('lab', this);
  }

  /** @param {store.LabState} state */
  set(state) {
    this.state = state;
    this.render();
  }

  render() {
    const { spec, compare, sets, values } = this.state;
    const more = { ...(compare !== sets[0].name && { compare }), ...(values.length && { values: values.join() }) };
    address.place('lab', spec, spec.seed_position, more);
    this.view.render(this.state);
  }

  /** @param {import('./pages.js').Handed} handed */
  take({ query, compare }) {
    if (compare) this.set(store.chosen(this.state, compare));
    this.trigger('fill', { query });
  }

  /** A link to what is compared. */
  address() {
    return address.now();
  }

  start() {
    if (this.state.active) return;
    const run = newRunId();
    this.set(store.started(this.state, run));
    const { compare, values } = this.state;
    this.trigger('start', { run, compare, values: values.length ? values : undefined });
    this.loop();
    askPlace(this.server.place, run, {
      isOver: () => this.state.active !== run,
      isGrowing: () => store.lastOf(this.state) > 0,
      told: (place) => this.set({ ...this.state, place }),
    });
  }

  stop() {
    if (!this.state.active) return;
    this.server.stop(this.state.active).catch(() => null);
    this.set(store.ended(this.state));
  }

  /** What is to come back when the page is loaded again; null where nothing was grown. */
  leave() {
    const state = store.left(this.state);
    return state.phase === 'done' ? { state } : null;
  }

  /** What was left has come back. @param {{ state: store.LabState, query: Record<string, string> | null } | null} left */
  comeBack(left) {
    if (!left || this.state.active) return;
    const { state, query } = left;
    this.set(state);
    // later, because Gradio wires a component's events after it is mounted
    if (query) setTimeout(() => this.trigger('fill', { query }));
  }

  /** @param {import('./wire.js').Message | import('./wire.js').Lately | null} sent */
  receive(sent) {
    for (const message of this.heard.unheard(sent)) this.hear(read(message));
  }

  /** @param {import('./wire.js').MessageRead | null} message */
  hear(message) {
    if (!message) return;
    const { active, compare, values } = this.state;
    if (message.kind === 'model') {
      if (reload.isBack('lab', message.spec)) return;
      this.stop();
      return this.set(store.valued(store.initial(message.spec, message.sets ?? [], compare), values.join()));
    }
    if (message.kind === 'rejected') return active && !store.lastOf(this.state) && this.stop();
    if (message.run !== active) return; // of an earlier comparison
    if (message.kind === 'failed') this.set(store.ended(this.state));
    if (message.kind === 'progress') this.set({ ...this.state, news: message });
    if (message.kind === 'steps') this.takeSteps(message);
    if (message.kind === 'done') this.takeEnd(message);
  }

  /** @param {import('./wire.js').StepsRead} message */
  takeSteps(message) {
    this.set(store.withStepsOf(this.state, message));
    for (const { step, sheet } of message.frames) {
      const pixels = sheet ? loadImage(sheet) : Promise.resolve(null);
      pixels.then((image) => this.while(message.run, (s) => store.withSheetOf(s, message.pane ?? 0, step, image)));
    }
  }

  /** @param {import('./wire.js').Finished} message */
  takeEnd(message) {
    this.set(store.withEndOf(this.state, message));
    Promise.all(message.sheets.map(loadImage)).then((finals) =>
      this.while(message.run, (s) => store.withFinalsOf(s, message.pane ?? 0, finals)),
    );
  }

  /**
   * Change the state, unless another comparison has begun meanwhile.
   * @param {string} run @param {(s: store.LabState) => store.LabState} change
   */
  while(run, change) {
    if (this.state.active === run) this.set(change(this.state));
  }

  /** @param {boolean} on */
  play(on) {
    this.set(store.played(this.state, on));
    this.loop();
  }

  loop() {
    if (this.isLooping) return;
    this.isLooping = true;
    let before = 0;
    const turn = (/** @type {number} */ now) => {
      if (!this.state.playing) {
        this.isLooping = false;
        return;
      }
      // while they grow one after the other, each pane follows its own last step
      if (this.state.active) this.state = { ...this.state, step: store.lastOf(this.state) };
      else if (now - before > STEP_TIME) {
        before = now;
        this.set(store.advanced(this.state));
      }
      requestAnimationFrame(turn);
    };
    requestAnimationFrame(turn);
  }
}

/** @param {HTMLElement} element @param {import('./wire.js').Tools} tools @param {any} config */
export async function mountLab(element, tools, config) {
  const lab = new Lab(element, tools, config);
  lab.comeBack(await reload.outlive('lab', config.spec, () => lab.leave()));
  tools.watch('value', () => lab.receive(tools.props.value));
  lab.receive(tools.props.value);
}
