import assert from 'node:assert/strict';
import test from 'node:test';
import { isCut } from '../../app/web/tools/cut.js';

const segment = (code, ...data) => [0xff, code, 0, data.length + 2, ...data];
const END = [0xff, 0xd9];
const SMALL = segment(0xe1, 0xff, 0xd8, 0xff, 0xda, 1, ...END); // a small picture beside the large one
const SCAN = [...segment(0xda, 1), 7, 0xff, 0, 7];

test('a JPEG ends behind its pixels, whatever stands before and behind', () => {
  const whole = [0xff, 0xd8, ...SMALL, 0xff, ...segment(0xdb, 1, 2), ...SCAN, ...END];
  assert.equal(isCut(Uint8Array.from(whole)), false);
  assert.equal(isCut(Uint8Array.from([...whole, ...SCAN, 1, 2, 3])), false);
  for (let n = 2; n < whole.length; n++) assert.equal(isCut(Uint8Array.from(whole.slice(0, n))), true, `${n} bytes`);
});

test('a WebP is as long as it says', () => {
  const text = (words) => [...words].map((c) => c.charCodeAt(0));
  const whole = [...text('RIFF'), 8, 0, 0, 0, ...text('WEBP'), 1, 2, 3, 4];
  assert.equal(isCut(Uint8Array.from(whole)), false);
  assert.equal(isCut(Uint8Array.from(whole.slice(0, -1))), true);
});

test('of other files nothing is said', () => {
  for (const bytes of [[], [0x89, 0x50], [0x47, 0x49, 0x46]]) assert.equal(isCut(Uint8Array.from(bytes)), false);
});
