// A result sent to another page: that page may not be mounted yet, so it waits here to be taken.
let waiting = null;

export function handOver(to, given) {
  waiting = { to, ...given };
  document.dispatchEvent(new CustomEvent('nar-page', { detail: to }));
  document.dispatchEvent(new CustomEvent('nar-send'));
}

export function takeHandover(to) {
  if (waiting?.to !== to) return null;
  const given = waiting;
  waiting = null;
  return given;
}
