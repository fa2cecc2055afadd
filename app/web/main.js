// What the page's elements mount; each is called once for its gr.HTML element.
export { mountLab } from './lab.js';
export { mountPlayer } from './player.js';
export { mountRecent } from './views/recent.js';
