// Who is before a growth in the server's line, asked again and again as long as it is under way: that also says that
// somebody is still here, and shows whether the server is.

const PATIENCE = 5; // seconds without an answer
const RARELY = 10; // seconds between two questions where nothing hangs on the answer

/** @typedef {{ ahead: number, seconds: number }} Place */

/**
 * @param {(run: string) => Promise<Place | null>} ask @param {string} run
 * @param {object} page that waits
 * @param {() => boolean} page.isOver
 * @param {() => boolean} page.isGrowing so that its place is of no interest
 * @param {(place: Place | null) => void} page.told null where the server does not answer
 */
export function askPlace(ask, run, { isOver, isGrowing, told }) {
  let [second, since, isAwaited, isSilent] = [0, 0, false, false];
  /** @param {Place | null} place */
  const tell = (place) => {
    isSilent = place === null;
    if (!isOver()) told(place);
  };
  const clock = setInterval(async () => {
    if (isOver()) return clearInterval(clock);
    const isRare = isGrowing() && !isSilent && second++ % RARELY > 0;
    if (isAwaited && ++since === PATIENCE) tell(null);
    if (isAwaited || isRare) return;
    [since, isAwaited] = [0, true];
    const place = await ask(run).catch(() => null);
    isAwaited = false;
    tell(place);
  }, 1000);
}
