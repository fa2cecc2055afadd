// The canvas player: one for each page, for pictures and clips. It holds a state, asks the server, keeps the time,
// and has every view render what has changed. Python only sends what a growth has written.

import * as address from './address.js';
import { askPlace } from './line.js';
import * as pages from './pages.js';
import { flatOf } from './plan.js';
import * as reload from './reload.js';
import { sampleOf } from './run.js';
import * as store from './store.js';
import { missingOf, nextWindow, tokensOf } from './tools/board.js';
import { overlapOf as overlapOfClip } from './tools/clip.js';
import { cropped, framed, loadImage, stripOf, windowFilled } from './tools/pixels.js';
import { actionsView } from './views/actions.js';
import { canvasView, windowPicture } from './views/canvas.js';
import { cropView } from './views/crop.js';
import { find, findAll, onThemeChange, whenShown } from './views/dom.js';
import { examplesView } from './views/examples.js';
import { factsView } from './views/facts.js';
import { formView } from './views/form.js';
import { handlesView } from './views/handles.js';
import { lookView } from './views/look.js';
import { microscopeView } from './views/microscope.js';
import { namesView } from './views/names.js';
import { raceView } from './views/race.js';
import { samplesView } from './views/samples.js';
import { sourceView } from './views/source.js';
import { startsView } from './views/starts.js';
import { statusView } from './views/status.js';
import { timelineView } from './views/timeline.js';
import { tipView } from './views/tip.js';
import { wordsView } from './views/words.js';
import { answering, Heard, newRunId, read, startMessage } from './wire.js';

/** @typedef {import('./pages.js').Handed} Handed */
/** @typedef {import('./run.js').Run} Run */
/** @typedef {import('./store.js').State} State */

/** What a growth is called. @param {Record<string, string>} query */
const titleOf = ({ prompt, label }) => (prompt || label || 'No prompt').slice(0, 40);

/** @type {Record<string, [number, number]>} rows and columns */
const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/**
 * @typedef {object} Wanted
 * @property {string} [title]
 * @property {string} [file] to be made again
 * @property {number} [samples]
 * @property {Record<string, string>} [query] of a link
 * @property {boolean} [goesOn] it is the next part of what was asked for
 * @property {State} [before] what comes back where nothing grows, if not what is there now
 */

/** @typedef {{ state: State, wasBusy: boolean, chosen: Handed | null, asked: string, query: Record<string, string> | null }} Left */

const ALTERNATIVES = 4; // pictures of a hole, to choose from
const PARTS_APART = 1000; // between the variations of parts: as APART in nar_core/panorama.py

export class Player {
  /**
   * @param {HTMLElement} element @param {import('./wire.js').Tools} tools
   * @param {{ mode: State['mode'], spec: import('./plan.js').Spec } & Partial<import('./views/race.js').Recorded>} config
   */
  constructor(element, { trigger, server }, { mode, spec, recorded, folder }) {
    this.element = find(element, '.player');
    this.studio = /** @type {HTMLElement} */ (element.closest('.studio'));
    this.trigger = trigger;
    this.server = answering(server);
    this.pages = pages;
    this.state = store.initial(mode, spec);
    this.heard = new Heard();
    this.link = /** @type {import('./link.js').Link | null} */ (null); // what is grown and played because a link says so
    this.asked = ''; // what the form said at the last start of which something has come
    this.askedBefore = ''; // and at the one before
    this.chosen = /** @type {Handed | null} */ (null); // the picture that is continued, before it was cropped
    this.left = this.chosen; // what it was before the clip went on
    this.replaying = '';
    this.choosing = 0; // counts pictures that were chosen: a later one may be seen first
    this.views = {
      canvas: canvasView(this.element, this), // first: what others show lies on it
      status: statusView(this.element, this),
      timeline: timelineView(this.element, this),
      facts: factsView(this.element),
      look: lookView(this.element, this),
      actions: actionsView(this.element, this),
      handles: handlesView(this.element, this),
      samples: samplesView(this.element, this),
      tip: tipView(this.element),
      microscope: microscopeView(this.element, this),
      race: raceView(this.element, this, folder ?? '', recorded?.race ?? null),
      examples: examplesView(this.element, this, folder ?? '', recorded?.examples ?? []),
      form: formView(this.studio, this),
      starts: startsView(this.studio, this),
      names: namesView(this.studio, this),
      words: wordsView(this.studio, this),
      source: sourceView(this.studio, this),
      crop: cropView(this.studio, this),
    };
    document.addEventListener('keydown', (e) => this.key(e));
    new ResizeObserver(() => this.render()).observe(find(this.element, '.screen'));
    onThemeChange(() => this.render());
    const motion = matchMedia('(prefers-reduced-motion: reduce)');
    const calm = () => {
      this.set({ ...this.state, calm: motion.matches });
      this.beat();
    };
    motion.addEventListener('change', calm);
    const phone = matchMedia('(max-width: 760px)');
    const fit = () => this.set(store.withRoom(this.state, phone.matches));
    phone.addEventListener('change', fit);
    fit();
    calm();
    this.studio.dataset.model = spec.model; // see ONCE in app/pages/wiring.py
    pages.mount(mode, this);
  }

  /** @param {State} state */
  set(state) {
    this.state = state;
    this.render();
  }

  render() {
    this.element.dataset.state = this.state.phase;
    const { mode, spec, seedPosition } = this.state;
    // beside a picture the start follows from what of it is kept
    address.place(mode, spec, mode === 'outpaint' ? spec.seed_position : seedPosition);
    for (const view of Object.values(this.views)) view.render(this.state);
  }

  /** Say something for a moment. @param {string} note */
  say(note) {
    this.set({ ...this.state, note });
    clearTimeout(this.saying);
    this.saying = setTimeout(() => this.set({ ...this.state, note: '' }), 4000);
  }

  // ---- what comes from Python ------------------------------------------------------------------

  /** @param {import('./wire.js').Message | import('./wire.js').Lately | null} sent */
  receive(sent) {
    for (const message of this.heard.unheard(sent)) this.hear(read(message));
  }

  /** @param {import('./wire.js').MessageRead | null} message */
  hear(message) {
    if (!message) return;
    if (message.kind === 'model') {
      if (reload.isBack(this.state.mode, message.spec)) return address.takeLink(message.spec.model); // it was played before
      this.useModel(message.spec, message.seed_position);
      this.link = message.seed_position ? address.takeLink(message.spec.model) : null;
      // later, when the form says what the link does: else the same would be grown again
      if (this.link)
        setTimeout(() => this.link && this.start({ query: this.link.query, title: titleOf(this.link.query) }));
      return;
    }
    if (message.kind === 'replay') return message.run === this.replaying && this.replay(message);
    if (message.kind === 'explained') return this.set(store.withExplanation(this.state, message));
    if (message.kind === 'disagreement') return this.set(store.withMap(this.state, message));
    if (message.kind === 'unexplained') return this.set(store.unexplained(this.state, message));
    if (message.kind === 'read' || message.kind === 'unread') return this.takeReading(message);
    const active = store.activeRun(this.state);
    if (message.kind === 'rejected') return active?.state === 'waiting' && this.stop();
    if (message.run !== active?.id) return; // of an earlier growth
    if (message.kind === 'failed') return this.stop();
    if (message.kind === 'progress') this.set(store.withNews(this.state, message));
    // A board was read whole; a window of it is half mirror image and says nothing of it.
    if (message.kind === 'likeness' && !this.state.board) this.set({ ...this.state, likeness: message.text });
    if (message.kind === 'steps') this.takeSteps(message);
    if (message.kind === 'done') this.takeEnd(message);
  }

  /** @param {import('./wire.js').TokensRead | import('./wire.js').Unread} message */
  takeReading(message) {
    if (message.run !== this.state.reading) return; // of a picture that another has replaced
    const { startsWhenRead } = this.state;
    const next = { ...this.state, startsWhenRead: false };
    if (message.kind === 'unread') return this.set({ ...next, reading: '' });
    this.set(store.withReading(next, message));
    if (startsWhenRead) this.start();
  }

  /** @param {import('./plan.js').Spec} spec @param {import('./plan.js').Position | null} [seedPosition] */
  useModel(spec, seedPosition) {
    this.endRun();
    const { dataset } = this.studio;
    dataset.model = spec.model;
    if (dataset.asked === spec.model) delete dataset.asked;
    this.set(store.withModel(this.state, spec, seedPosition));
    const { chosen } = this;
    const isKept = chosen && !chosen.isExample; // every model has an example of its own
    if (this.state.mode === 'video' || !isKept) this.chosen = null;
    if (isKept && spec.accepts_known !== false) this.useSource(chosen);
  }

  /** @param {import('./wire.js').StepsRead} message */
  takeSteps(message) {
    this.set(store.withStepsOf(this.state, message));
    const { run } = message;
    for (const { step, sheet, guess } of message.frames) {
      if (guess) loadImage(guess).then((image) => this.set(store.withGuessOf(this.state, run, step, image)));
      const pixels = sheet ? loadImage(sheet) : Promise.resolve(null);
      pixels.then((image) => {
        const next = store.withSheetOf(this.state, run, step, image);
        if (next.step === this.state.step)
          this.state = next; // it is painted when its turn comes
        else this.set(next);
      });
    }
  }

  /** @param {import('./wire.js').Finished} message */
  takeEnd(message) {
    this.set(store.withEndOf(this.state, message));
    this.takePixels(message);
  }

  /** @param {import('./wire.js').Finished} message */
  async takePixels({ run, sheets }) {
    const finals = await Promise.all(sheets.map(loadImage));
    this.set(store.withFinalsOf(this.state, run, finals));
    const isSeen = this.state.current === run && this.state.runs[run].state !== 'stopped';
    if (!isSeen) return;
    const { runs, lanes, mode } = this.state;
    const tree = lanes.map((id) => runs[id]);
    pages.finished(runs[run], mode, tree);
    const { samples, title } = runs[run];
    this.follow();
    if (store.goesOn(this.state) && samples === 1 && !this.state.active) this.start({ title, goesOn: true });
  }

  /** A growth that a link asks for is finished: its next branch, or the step that is to be seen. */
  follow() {
    const { link } = this;
    const branch = link?.branches.shift();
    if (branch) {
      const next = store.branchMarked(store.scrubbed(this.state, branch.at));
      if (next.branchFrom !== branch.at) {
        this.link = null; // what follows would leave it
        return this.say('A branch of this link leaves no step of what has grown; it is left out.');
      }
      this.set(next);
      this.start({ query: branch.query, title: titleOf(branch.query) });
    } else if (link?.step && this.state.calm) this.set(store.scrubbed(this.state, link.step));
  }

  /** @param {import('./wire.js').ReplayRead} message */
  replay(message) {
    this.endRun();
    if (this.state.mode === 'outpaint') this.chosen = null;
    this.set(store.replayed(this.state, message));
    this.reveal();
    this.takePixels(message);
    this.loop();
  }

  /** Ask why a cell became what it is. @param {import('./plan.js').Position} cell */
  explain(cell) {
    const { state } = this;
    const run = store.currentRun(state);
    if (!run || !store.canExplain(state)) return;
    if (run.plan.step[flatOf(run.spec.grid, cell)] === 0) return this.say('This cell was given, not grown.');
    const id = newRunId();
    this.set({ ...store.askedOf(state, cell, id), hover: cell });
    this.trigger('explain', { run: id, file: run.pictures[state.sample], cell });
    this.await(id, () => this.state.asked?.id !== id || this.state.asked.told !== null);
  }

  /** Ask where the heads disagreed, or look at the picture again. */
  disagree() {
    const id = newRunId();
    this.set(store.mapTurned(this.state, id));
    const run = store.currentRun(this.state);
    if (!run || !store.mapNow(this.state)) return;
    this.trigger('explain', { run: id, file: run.pictures[this.state.sample] });
    this.await(id, () => this.state.map?.id !== id || this.state.map.values !== null);
  }

  /** It is said where a question is left open. @param {string} id @param {() => boolean} isOver */
  await(id, isOver) {
    const told = (/** @type {unknown} */ place) => this.set({ ...this.state, silent: !place });
    askPlace(this.server.place, id, { isOver, isGrowing: () => false, told });
  }

  /** Go on with another token in the explained cell. @param {number} token */
  force(token) {
    this.set(store.forcedTo(this.state, token));
    if (this.state.forced) this.start();
  }

  // ---- starting and stopping -------------------------------------------------------------------

  /** @param {Wanted} [wanted] */
  start(wanted = {}) {
    if (store.isBusy(this.state)) return;
    const { form, names } = this.views;
    const { before = this.state } = wanted;
    const id = newRunId();
    const board = wanted.file || this.state.branchFrom ? null : this.boardAsked(wanted);
    if (board === 'read') return;
    const query = wanted.query ?? board?.query;
    if (!wanted.query) this.link = null;
    const isIdea = !wanted.file && !query && !store.knownCells(this.state); // beside a picture no words are an answer
    const prompt = (isIdea && names.idea()) || undefined;
    const rngSeed = this.isAskedAgain(wanted) ? form.nextVariation() : board?.rngSeed;
    const samples = query ? 1 : form.samples(); // how many a link asks for, the server says
    const drawn = wanted.query ? '' : names.drawn();
    const asked = { id, title: form.title(), samples, drawn, ...wanted, ...board, before };
    const { next, start: planned, say } = store.started(this.state, asked);
    const start = planned && { ...planned, prompt, rngSeed, query };
    this.set(next);
    if (say) this.say(say);
    if (!start) return;
    [this.asked, this.askedBefore] = [form.asked(), this.asked];
    this.trigger('start', startMessage(start));
    this.reveal();
    this.loop();
    askPlace(this.server.place, id, {
      isOver: () => this.state.active !== id,
      isGrowing: () => this.state.phase === 'growing',
      told: (place) => this.set(store.withPlace(this.state, place)),
    });
  }

  /**
   * What of the board grows now, with the pixels and tokens of what is kept; of a brushed hole four alternatives. The
   * parts of what was asked for differ in their variation. 'read' while what was given is still being read.
   * @param {Wanted} wanted
   */
  boardAsked({ goesOn = false }) {
    if (!this.state.board) return null;
    const isRead = this.state.board.pieces.every((piece) => piece.tokens);
    if (this.state.reading || !isRead) {
      if (!this.state.reading) this.readSource();
      this.set({ ...this.state, startsWhenRead: true });
      return 'read';
    }
    const next = this.isAskedAgain({}) ? this.views.form.nextVariation() : undefined;
    this.set(store.asking(this.state));
    const { board } = this.state;
    const window = board && nextWindow(board);
    if (!board || !window) return null;
    const image = windowPicture(board, window.at);
    const address = windowFilled(board, window.at).toDataURL('image/png');
    const given = { image, address, tokens: tokensOf(board, window), before: null };
    const isHole = board.shape === 'brush' && board.hole.size > 0 && missingOf(board).length === window.missing;
    const samples = isHole ? ALTERNATIVES : this.views.form.samples();
    const grown = board.pieces.filter((piece) => piece.run).length;
    return {
      ...{ given, goesOn, samples },
      query: isHole ? { num_samples: String(ALTERNATIVES) } : undefined,
      rngSeed: grown ? this.views.form.variation(grown * PARTS_APART) : next,
    };
  }

  /** Whether the same would be grown once more. @param {{ file?: string, query?: Record<string, string> }} wanted */
  isAskedAgain({ file, query }) {
    const { state } = this;
    const run = store.currentRun(state);
    if (file || query || !run || state.phase !== 'done' || run.replayed || this.asked !== this.views.form.asked())
      return false;
    if (state.forced) return false; // the same but for one token
    if (state.branchFrom) return run.state !== 'stopped';
    return state.board ? !store.goesOn(state) : `${run.plan.seedPosition}` === `${state.seedPosition}`;
  }

  /** Grow again from another cell. @param {import('./plan.js').Position} seedPosition */
  startAt(seedPosition) {
    const before = this.state;
    this.set({ ...before, branchFrom: 0, seedPosition });
    this.start({ before });
  }

  /** Go on from where it was stopped. */
  goOn() {
    this.set(store.branchMarked(store.scrubbed(this.state, store.currentRun(this.state)?.last ?? 0)));
    this.start();
  }

  /** Tell the server that the active run is over. */
  endRun() {
    if (this.state.active) this.server.stop(this.state.active).catch(() => null);
  }

  /** What plays is in view. */
  reveal() {
    const screen = find(this.element, '.screen');
    const { top, bottom } = screen.getBoundingClientRect();
    if (top >= 0 && bottom <= innerHeight) return;
    screen.scrollIntoView({ block: 'nearest', behavior: this.state.calm ? 'auto' : 'smooth' });
  }

  stop() {
    this.endRun();
    const { active, source } = this.state;
    const next = store.settled(this.state);
    if (active && next.current !== active) this.asked = this.askedBefore; // nothing of it has come
    this.set(next);
    if (this.state.mode === 'video' && this.state.source !== source) this.chosen = this.left;
  }

  /** @param {Run} run @param {Run[]} [tree] */
  open(run, tree) {
    if (this.state.active) return this.say(store.STILL_GROWING);
    if (this.state.mode === 'outpaint') this.chosen = null;
    this.set(store.opened(this.state, run, tree));
    this.reveal();
  }

  // ---- time ------------------------------------------------------------------------------------

  /** @param {boolean} on */
  play(on) {
    this.set(store.played(this.state, on));
    this.loop();
  }

  /** Steps follow each other as long as it plays. */
  loop() {
    if (this.looping) return;
    this.looping = true;
    let due = 0;
    const turn = (/** @type {number} */ now) => {
      if (!this.state.playing || this.state.current === null) {
        this.looping = false;
        return;
      }
      const after = store.caughtUp(this.state, due || now, now);
      let next = store.ended(after.next);
      due = after.due;
      if (this.link?.step && !this.link.branches.length && next.step >= this.link.step) {
        next = store.scrubbed(next, this.link.step);
        this.link = null;
      }
      if (next !== this.state) this.set(next);
      requestAnimationFrame(turn);
    };
    requestAnimationFrame(turn);
  }

  framesPerSecond() {
    return this.views.look.framesPerSecond();
  }

  /** Clips run by themselves, at the chosen rate. */
  beat() {
    clearInterval(this.beating);
    const next = () => {
      const isClip = store.seenSpec(this.state).frames > 1 && this.element.offsetParent;
      if (isClip && (!this.state.calm || this.state.moving)) this.set({ ...this.state, tick: this.state.tick + 1 });
    };
    this.beating = setInterval(next, 1000 / this.framesPerSecond());
  }

  // ---- keys ------------------------------------------------------------------------------------

  /** @param {KeyboardEvent} e */
  key(e) {
    if (!this.element.isConnected || !this.element.offsetParent) return;
    const at = /** @type {Element} */ (e.target);
    const isUndo = (e.ctrlKey || e.metaKey) && e.key.toLowerCase() === 'z' && !at.closest('textarea, input');
    if (isUndo && store.canUndo(this.state)) {
      e.preventDefault();
      this.set(store.undone(this.state));
    }
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    if (at !== document.body && !this.element.contains(at)) return;
    if (at.closest('select') && e.key !== 'Escape') return; // a menu's own
    if ((e.key === 'Enter' || e.key === ' ') && at.closest('button, label, input')) return;
    const isLooking = this.state.lens && at.matches('.screen canvas');
    if ((isLooking && this.look(e.key)) || this.press(e.key, e.shiftKey)) e.preventDefault();
  }

  /** Whether the key chose a cell of what is seen, or asked about it. @param {string} key */
  look(key) {
    const { state } = this;
    const cell = store.aimOf(state);
    if (!cell || !store.canExplain(state)) return false;
    const [h, w] = MOVES[key] ?? [0, 0];
    const t = { PageUp: -1, PageDown: 1 }[key] ?? 0;
    if (t || h || w) this.set(store.aimed(state, [t, h, w]));
    else if (key === 'Enter') this.explain(cell);
    else return false;
    return true;
  }

  /** Whether the key meant something. @param {string} key @param {boolean} shift */
  press(key, shift) {
    if (/^[1-4]$/.test(key)) {
      findAll(this.element, '[data-layer]')[Number(key) - 1].click();
      return true;
    }
    if (key === 'Enter') {
      this.start();
      return true;
    }
    if (key === 'Escape') return this.escape();
    const next = this.state.phase === 'ready' ? this.pressedReady(key, shift) : this.pressedSeen(key);
    if (!next) return false;
    this.set(next);
    if (next.playing) this.loop();
    return true;
  }

  escape() {
    if (this.state.active) this.stop();
    else if (this.state.startsWhenRead) this.set({ ...this.state, startsWhenRead: false });
    else if (this.state.branchFrom) this.set({ ...this.state, branchFrom: 0 });
    else if (this.state.lens) this.set({ ...this.state, lens: false });
    else return false;
    return true;
  }

  /** A key while a start is chosen. @param {string} key @param {boolean} shift @returns {State | null} */
  pressedReady(key, shift) {
    const s = this.state;
    const move = MOVES[key];
    const [t, h, w] = s.seedPosition;
    if (s.mode === 'outpaint') {
      if (!s.board) return null;
      if (move) return store.editedByKey(s, move, shift);
      return s.tool === 'erase' && key === ' ' ? store.erasedAtCursor(s) : null;
    }
    if (move) return store.withSeedPosition(s, [t, h + move[0], w + move[1]]);
    const slice = { PageUp: -1, PageDown: 1 }[key];
    return slice && s.spec.grid[0] > 1 ? store.withSeedPosition(s, [t + slice, h, w]) : null;
  }

  /** A key while a growth is seen. @param {string} key @returns {State | null} */
  pressedSeen(key) {
    const s = this.state;
    const run = store.currentRun(s);
    if (!run) return null;
    switch (key.toLowerCase()) {
      case ' ':
        return store.played(s, !store.isMoving(s));
      case 'arrowleft':
        return store.scrubbed(s, s.step - 1);
      case 'arrowright':
        return store.scrubbed(s, s.step + 1);
      case 'home':
        return store.scrubbed(s, 0);
      case 'end':
        return store.scrubbed(s, run.last);
      case 'n':
        return s.phase === 'done' ? store.home(s) : s;
      case 'b':
        return store.branchMarked(s);
      case 'm':
        return store.lensTurned(s);
      default:
        return null;
    }
  }

  // ---- when the page is loaded again -----------------------------------------------------------

  /** What is to come back then; null where nothing was done yet. */
  leave() {
    const { state, chosen, asked } = this;
    if (!state.current && !state.source && !state.board) return null;
    return { state: store.left(state), wasBusy: store.isBusy(state), chosen, asked };
  }

  /** What was left has come back. @param {Left | null} left */
  comeBack(left) {
    if (!left || store.isBusy(this.state)) return;
    const { state, chosen, asked, wasBusy, query } = left;
    this.studio.dataset.model = state.spec.model;
    Object.assign(this, { chosen, asked });
    this.set(store.returned(state, this.state));
    if (wasBusy) this.say('The page was loaded again, and what had grown is here.');
    // later, because Gradio wires a component's events after it is mounted
    if (query) setTimeout(() => this.trigger('fill', { query }));
  }

  // ---- from page to page -----------------------------------------------------------------------

  /** @param {Handed} handed */
  take(handed) {
    const { file, name, run, tree, query, seedPosition } = handed;
    whenShown(this.element, () => {
      if (run) this.open(run, tree);
      else if (file) {
        this.replaying = newRunId(); // another file may be chosen before this one has come
        this.trigger('replay', { run: this.replaying, file, name });
      } else {
        if (seedPosition) {
          this.endRun();
          this.set(store.home(store.settled(this.state), seedPosition));
        }
        this.trigger('fill', { query });
      }
    });
    if (handed.address && this.state.mode !== 'image') this.useSource(handed);
  }

  // ---- a picture or clip that is continued -----------------------------------------------------

  /** What the model sees of a picture. A thing that is to move is as large as those it has learnt. @param {Handed} handed */
  async seen({ address, along, isExample, prompt }) {
    const { spec, mode } = this.state;
    const isAlone = mode === 'video' && spec.framed && along === undefined && !isExample;
    const ask = async (/** @type {string} */ picture) =>
      (await this.server.framed?.({ model: spec.model, picture, prompt })) ?? {};
    const own = isAlone && (await framed(String(address), ask).catch(() => null));
    return own || cropped(String(address), spec, along);
  }

  /**
   * What is to move stands where the prompt would have it: what jumps needs room above.
   * @param {import('./wire.js').Box | null} stands @param {string} prompt
   */
  standAt(stands, prompt) {
    const { chosen } = this;
    if (!chosen?.isAlone || this.state.phase !== 'ready' || `${chosen.stands ?? ''}` === `${stands ?? ''}`) return;
    this.useSource({ ...chosen, stands, prompt });
  }

  /** @param {Handed} handed with the address of a picture @returns {Promise<void>} */
  async useSource(handed) {
    const { spec, mode } = this.state;
    const mine = ++this.choosing;
    const picture = await this.seen(handed).catch(() => null);
    if (mine !== this.choosing) return; // another was chosen meanwhile
    if (spec.model !== this.state.spec.model) return this.useSource(handed);
    const name = handed.name ?? 'That file';
    if (!picture) return this.say(`${name}: no picture that this browser can read; use PNG, JPEG or WebP.`);
    if (mode === 'video' && spec.accepts_known === false) {
      this.clearSource();
      return this.say('This model cannot begin with a picture.');
    }
    // words said beside another picture do not fit this one
    const isNew = handed.address !== this.chosen?.address && !handed.isExample;
    if (isNew && !handed.query?.prompt) this.views.form.say('');
    this.chosen = { ...handed, isAlone: picture.isAlone };
    const isOwn = picture.isWhole && handed.model === spec.model;
    const source = { ...picture, tokens: (isOwn && handed.tokens) || null, before: null };
    this.endRun();
    if (mode === 'video') {
      const image = stripOf(spec, [{ image: picture.image, x: 0 }]);
      this.set(store.withFirstSlices(this.state, { ...source, image }, 1));
    } else this.set(store.withSource(this.state, source));
    if (!source.tokens && !handed.isExample) this.readSource();
  }

  /** A picture of the model's world, with its own prompt. @param {string} picture @param {string} prompt */
  async useExample(picture, prompt) {
    await this.useSource({ address: picture, isExample: true });
    this.views.form.say(prompt);
  }

  /** Have what was given read: its tokens, and whether the model knows such. */
  readSource() {
    const { source } = this.state;
    if (!source) return;
    const run = newRunId();
    this.set({ ...this.state, reading: run, silent: false });
    this.trigger('read', { run, picture: source.address, name: this.chosen?.name });
    this.await(run, () => this.state.reading !== run);
  }

  /** A clip begins with nothing. */
  clearSource() {
    this.choosing++;
    this.chosen = null;
    this.set(store.withoutSource(this.state));
  }

  /** The end of a clip becomes the beginning of the next one. */
  extendClip() {
    const { state } = this;
    const { spec, sample } = state;
    const run = /** @type {Run} */ (store.currentRun(state));
    const image = run.finals[sample];
    const overlap = overlapOfClip(spec);
    const frames = Array.from({ length: overlap.frames }, (_, k) => ({
      image,
      x: (spec.frames - overlap.frames + k) * spec.size[1],
    }));
    const before = sampleOf(run, run.tokens, sample);
    const earlier = [...run.earlier, { picture: run.pictures[sample], image, run }];
    const source = { image: stripOf(spec, frames), tokens: null, before };
    this.left = this.chosen;
    this.chosen = null;
    this.set(store.withFirstSlices(state, source, overlap.slices, earlier));
    this.start({ before: state });
  }
}

/** @param {HTMLElement} element @param {import('./wire.js').Tools} tools @param {any} config */
export async function mountPlayer(element, tools, config) {
  const player = new Player(element, tools, config);
  player.comeBack(await reload.outlive(config.mode, config.spec, () => player.leave()));
  tools.watch('value', () => player.receive(tools.props.value));
  player.receive(tools.props.value); // it may be mounted late
}
