// Recorded growths to watch before anything is grown; they replay without a model.

import { find, penOf, readFile, resizeCanvas } from './dom.js';

/** @typedef {{ title: string, file: string }} Example */

/** A file of the server as a data address. @param {string} address */
async function fetched(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return readFile(await answer.blob());
}

/** The first frame of a file: a clip moves only when it is played. @param {string} address */
export function still(address) {
  const sheet = document.createElement('canvas');
  const image = new Image();
  image.onload = () => {
    resizeCanvas(sheet, image.naturalWidth, image.naturalHeight);
    penOf(sheet).drawImage(image, 0, 0);
  };
  image.src = address;
  return sheet;
}

/**
 * @param {HTMLElement} root @param {import('../player.js').Player} player
 * @param {string} folder @param {Example[]} examples
 */
export function examplesView(root, player, folder, examples) {
  const section = find(root, '.examples');
  const tiles = find(section, 'div');
  for (const { title, file } of examples) {
    const address = `${folder}/${file}`;
    const button = Object.assign(document.createElement('button'), { type: 'button', title });
    button.setAttribute('aria-label', `Replay a recorded growth: ${title}`);
    button.append(still(address));
    button.onclick = () =>
      fetched(address).then(
        (read) => player.take({ file: read }),
        () => player.say('That recorded growth did not come; try again.'),
      );
    tiles.append(button);
  }

  /** @param {import('../store.js').State} s */
  function render(s) {
    section.hidden = !examples.length || s.phase !== 'ready';
  }
  return { render };
}
