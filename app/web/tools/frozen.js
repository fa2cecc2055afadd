// A value with all that hangs on it as a text, and back: what is the same twice is the same again. Pure.

const LONG = 100; // letters of a text that is written once

/** @type {Record<string, new (values: any) => any>} */
const KINDS = { Map, Set, Uint8Array, Uint16Array, Int32Array };

/** How a value is written: as it is, or by its place among the parts. @typedef {[number] | string | number | boolean | null} Written */
/** A part: its kind, and what it holds. @typedef {[string, unknown]} Part */

/**
 * @param {unknown} root plain values, lists, maps, sets and pictures
 * @param {(value: object) => string | null} addressOf a picture's; null for what is none
 */
export function frozen(root, addressOf) {
  const parts = /** @type {Part[]} */ ([]);
  const places = /** @type {Map<unknown, number>} */ (new Map());

  /** @param {any} value @returns {Part} */
  function partOf(value) {
    if (typeof value === 'string') return ['text', value];
    const picture = addressOf(value);
    if (picture !== null) return ['picture', written(picture)];
    if (ArrayBuffer.isView(value)) return [value.constructor.name, [.../** @type {Uint8Array} */ (value)]];
    if (value instanceof Map || value instanceof Set || Array.isArray(value))
      return [value.constructor.name, [...value].map(written)];
    const said = Object.entries(value).filter(([, one]) => one !== undefined);
    return ['Object', said.map(([name, one]) => [name, written(one)])];
  }

  /** @param {unknown} value @returns {Written} */
  function written(value) {
    if (typeof value === 'string' ? value.length < LONG : typeof value !== 'object' || !value)
      return /** @type {Written} */ (value);
    const known = places.get(value);
    if (known !== undefined) return [known];
    const place = parts.push(['', null]) - 1;
    places.set(value, place);
    parts[place] = partOf(value);
    return [place];
  }

  written(root);
  return JSON.stringify(parts);
}

/**
 * @template P @param {string} text @param {(address: string) => Promise<P>} load a picture
 * @returns {Promise<any>}
 */
export async function thawed(text, load) {
  const parts = /** @type {Part[]} */ (JSON.parse(text));
  const made = /** @type {any[]} */ (new Array(parts.length));
  const addressOf = (/** @type {Written} */ held) => String(Array.isArray(held) ? parts[held[0]][1] : held);
  const loaded = await Promise.all(
    parts.map(([kind, held]) => (kind === 'picture' ? load(addressOf(/** @type {Written} */ (held))) : null)),
  );

  /** @param {Written} value */
  const read = (value) => (Array.isArray(value) ? part(value[0]) : value);

  /** @param {number} place @returns {any} */
  function part(place) {
    const [kind, held] = parts[place];
    const all = /** @type {any[]} */ (held);
    if (made[place] !== undefined) return made[place];
    if (kind === 'text') made[place] = held;
    else if (kind === 'picture') made[place] = loaded[place];
    else if (kind === 'Array') {
      made[place] = [];
      made[place].push(...all.map(read));
    } else if (kind === 'Object') {
      made[place] = {};
      for (const [name, value] of all) made[place][name] = read(value);
    } else made[place] = new KINDS[kind](kind in { Map, Set } ? all.map(read) : all);
    return made[place];
  }
  return part(0);
}
