// Whether the end of a picture's file is missing: browsers paint what there is of some kinds, in grey.

const [START_OF_SCAN, END_OF_IMAGE] = [0xda, 0xd9];

/** @param {Uint8Array} bytes @param {number} at @param {string} text */
const says = (bytes, at, text) => [...text].every((c, i) => bytes[at + i] === c.charCodeAt(0));

/** Of kinds in which no browser finds it out; PNG it refuses itself. @param {Uint8Array} bytes */
export function isCut(bytes) {
  if (says(bytes, 0, 'RIFF') && says(bytes, 8, 'WEBP'))
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true) + 8 > bytes.length;
  return bytes[0] === 0xff && bytes[1] === 0xd8 && !hasEnd(bytes);
}

/** A JPEG ends behind its pixels: a mark of an end before them is that of a small picture beside it. @param {Uint8Array} jpeg */
function hasEnd(jpeg) {
  let at = 2;
  while (jpeg[at] === 0xff && jpeg[at + 1] !== START_OF_SCAN)
    at += jpeg[at + 1] === 0xff ? 1 : 2 + jpeg[at + 2] * 256 + jpeg[at + 3];
  for (; at + 1 < jpeg.length; at++) if (jpeg[at] === 0xff && jpeg[at + 1] === END_OF_IMAGE) return true;
  return false;
}
