// What the page's elements mount; each is called once for its gr.HTML element.
export { mountArticle } from './article.js';
export { mountLab } from './lab.js';
export { mountPlayer } from './player.js';
export { mountEvidence } from './views/evidence.js';
export { mountRecent } from './views/recent.js';
