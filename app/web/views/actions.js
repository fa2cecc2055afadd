// What can be done with a result: files, a link, another page, going on.

import { linkOf } from '../link.js';
import { nameOf, sampleOf, wordsOf } from '../run.js';
import * as store from '../store.js';
import { standing, wholeAddress } from '../tools/pixels.js';
import { queryOf } from '../wire.js';
import { copied, find, findAll, flash, restored, save, share } from './dom.js';

/** @typedef {import('../store.js').State} State */
/** @typedef {import('../run.js').Run} Run */

const SHOWN = 1600; // ms that a button says what it did

/** @param {string} title */
export const fileStem = (title) =>
  (title || 'picture')
    .replace(/[^\p{L}\p{N}]+/gu, '-')
    .replace(/^-|-$/g, '')
    .toLowerCase() || 'picture';

/**
 * Which buttons are offered for a finished run.
 * @param {State} s @param {Run | null} run null if none is finished
 * @returns {Record<string, boolean>}
 */
export function offeredFor(s, run) {
  const isClip = Boolean(run && run.spec.frames > 1);
  const isOwn = run?.spec.model === s.spec.model;
  return {
    save: Boolean(run),
    standing: false,
    growth: Boolean(run) && !isClip,
    tall: Boolean(run) && !isClip,
    mp4: isClip,
    again: Boolean(run?.again),
    extend: isClip && s.mode === 'video' && isOwn && Boolean(run?.spec.accepts_known),
    wide: Boolean(run && s.board && s.board.pieces.length > 1),
    link: run !== null && linkOf(s.runs, run, s.step) !== '',
    send: Boolean(run) && run?.spec.grid[0] === 1,
  };
}

/** @param {HTMLElement} root @param {import('../player.js').Player} player */
export function actionsView(root, player) {
  const all = find(root, '.actions');
  const [formats, send] = ['.formats', '.send'].map((query) => find(all, query));
  const buttons = findAll(all, '[data-act]');
  const targets = findAll(all, '[data-send]');
  for (const button of buttons) button.onclick = () => act(button);
  for (const target of targets) target.onclick = () => sendTo(String(target.dataset.send));

  /** @param {HTMLElement} button */
  async function act(button) {
    const s = player.state;
    const run = store.currentRun(s);
    const picture = run?.pictures[s.sample];
    const name = run
      ? nameOf(
          run,
          s.lanes.map((id) => s.runs[id]),
        )
      : '';
    const stem = fileStem(name);
    if (run && button.dataset.act === 'standing') {
      return save(standing(run, s.step, s.sample).toDataURL('image/png'), `${stem}-step-${s.step}.png`);
    }
    if (!run || !picture) return;
    const words = find(button, 'span');
    if (button.ariaBusy) return; // it is being written
    /** A file that the server writes. @param {Promise<import('../wire.js').FileAnswer>} asked @param {string} as */
    const saveWhenMade = async (asked, as) => {
      button.ariaBusy = 'true';
      const answer = await asked.catch(() => ({ file: undefined, error: 'The server does not answer.' }));
      button.ariaBusy = null;
      if (answer.file) {
        await share(answer.file, as);
        restored(words);
      } else {
        flash(words, 'Failed', SHOWN);
        player.say(answer.error ?? '');
      }
    };
    const kind = String(button.dataset.act);
    switch (kind) {
      case 'save':
        return save(picture, `${stem}.png`);
      case 'wide':
        return s.board && save(await wholeAddress(s.board), `${stem}-whole.png`);
      case 'link': {
        const link = `${location.origin}${location.pathname}?${linkOf(s.runs, run, s.step)}`;
        return flash(words, (await copied(link)) ? 'Link copied' : 'Copy failed', SHOWN);
      }
      case 'again':
        return player.start({ file: picture, samples: run.request?.num_samples ?? 1, title: name });
      case 'extend':
        return player.extendClip();
      case 'growth':
      case 'tall':
        flash(words, 'Drawing…');
        return saveWhenMade(
          player.server.growth({ file: picture, tall: kind === 'tall' }),
          `${stem}-growth${kind === 'tall' ? '-4x5' : ''}.gif`,
        );
      default: {
        flash(words, 'Writing…');
        const files = [...run.earlier.map((part) => part.picture), picture];
        const format = kind === 'tall-clip' ? 'tall' : kind;
        const asked = player.server.clip({ files, format, fps: player.framesPerSecond() });
        const ending = { strip: '-strip.png', tall: '-4x5.gif' }[format] ?? `.${format}`;
        return saveWhenMade(asked, `${stem}${ending}`);
      }
    }
  }

  /** @param {string} page */
  function sendTo(page) {
    const s = player.state;
    const run = store.currentRun(s);
    const address = run?.pictures[s.sample];
    if (!run || !address) return;
    player.pages.send(page, {
      address,
      // codes of a mirror image are not those of the picture: there it is encoded anew
      tokens: run.plan.mirrored ? null : sampleOf(run, run.tokens, s.sample),
      model: run.spec.model,
      query: page === 'video' ? { prompt: wordsOf(run) } : run.request ? queryOf(run.spec.model, run.request) : {},
    });
  }

  /** @param {State} s */
  function render(s) {
    const run = s.phase === 'done' ? store.currentRun(s) : null;
    const finished = run?.pictures.length && run.state !== 'stopped' ? run : null;
    const offered = offeredFor(s, finished);
    const stopped = s.phase === 'done' && store.currentRun(s)?.state === 'stopped' ? store.currentRun(s) : null;
    offered.standing = Boolean(stopped && stopped.spec.grid[0] === 1);
    all.hidden = !finished && !offered.standing;
    formats.hidden = !offered.mp4;
    for (const button of buttons) {
      const isFirstSave = button.dataset.act === 'save' && !formats.contains(button);
      if (isFirstSave) button.hidden = offered.mp4 || offered.wide || !finished;
      else if (!formats.contains(button)) button.hidden = !offered[String(button.dataset.act)];
    }
    send.hidden = !offered.send;
    for (const target of targets) {
      const page = String(target.dataset.send);
      const isForeign = page === 'lab' && run?.spec.model !== s.spec.model;
      target.hidden = page === s.mode || isForeign || !player.pages.has(page);
    }
  }
  return { render };
}
