// The file of a whole picture of several parts: it carries the recipe of the part that grew last, and where that lies.

const HEAD = 33; // bytes before the first chunk that may be added: the signature, and the picture's size

/** Every chunk of a PNG, whole. @param {Uint8Array} png */
function* chunksOf(png) {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  for (let at = 8; at + 12 <= png.length; ) {
    const end = at + 12 + view.getUint32(at);
    yield png.subarray(at, end);
    at = end;
  }
}

/** The name of a chunk of text, behind its kind. @param {Uint8Array} chunk */
const startOf = (chunk) => String.fromCharCode(...chunk.subarray(4, 24));

/** @param {Uint8Array} bytes */
function crcOf(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** @param {string} name @param {string} text both ASCII */
function textChunk(name, text) {
  const said = new TextEncoder().encode(`tEXt${name}\0${text}`);
  const chunk = new Uint8Array(said.length + 8);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, said.length - 4);
  chunk.set(said, 4);
  view.setUint32(said.length + 4, crcOf(said));
  return chunk;
}

/**
 * @param {Uint8Array} whole the PNG of its pixels
 * @param {Uint8Array} part the PNG of the part that grew last
 * @param {[number, number]} at the upper left pixel of that part, row and column
 */
export function wholeFile(whole, part, at) {
  const recipe = [...chunksOf(part)].find((chunk) => startOf(chunk).startsWith('iTXtnar_studio\0'));
  if (!recipe) return whole;
  const all = [
    whole.subarray(0, HEAD),
    recipe,
    textChunk('nar_studio_part', JSON.stringify({ at })),
    whole.subarray(HEAD),
  ];
  const file = new Uint8Array(all.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (const bytes of all) {
    file.set(bytes, end);
    end += bytes.length;
  }
  return file;
}
