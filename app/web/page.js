// Small things that every part of the page uses.
export const ICONS = {
  play: '<svg viewBox="0 0 16 16" width="16" height="16" fill="currentColor" aria-hidden="true"><path d="M5 3.1v9.8l8-4.9z"/></svg>',
  pause: '<svg viewBox="0 0 16 16" width="16" height="16" fill="currentColor" aria-hidden="true"><rect x="4" y="3" width="3" height="10" rx="1"/><rect x="9" y="3" width="3" height="10" rx="1"/></svg>',
};
export const escapeText = (s) => String(s).replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]);
export const seconds = (s) => (s < 10 ? s.toFixed(1) : Math.round(s)) + ' s';
export const clamp = (x, low, high) => Math.max(low, Math.min(high, x));

export async function loadImage(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}
