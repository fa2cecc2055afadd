import assert from 'node:assert/strict';
import test from 'node:test';
import { wholeFile } from '../../app/web/tools/whole.js';

const text = (words) => [...words].map((c) => c.charCodeAt(0));
const chunk = (kind, ...data) => [0, 0, 0, data.length, ...text(kind), ...data, 1, 2, 3, 4];
const SIGNATURE = [0x89, ...text('PNG'), 13, 10, 26, 10];
const SIZE = chunk('IHDR', ...Array(13).fill(7));
const PIXELS = [...chunk('IDAT', 5, 6), ...chunk('IEND')];
const RECIPE = chunk('iTXt', ...text('nar_studio'), 0, 1, 2, 3);
const file = (...chunks) => Uint8Array.from([SIGNATURE, SIZE, ...chunks].flat());

test('a whole carries the recipe of its last part and where that lies', () => {
  const part = file(chunk('tEXt', ...text('iTXtnar_studio'), 0), RECIPE, PIXELS);
  const made = [...wholeFile(file(PIXELS), part, [64, 8])];
  const place = [...text('tEXtnar_studio_part'), 0, ...text('{"at":[64,8]}')];
  const known = [0x0d, 0x25, 0xaf, 0x8a]; // as zlib has it
  const expected = [...SIGNATURE, ...SIZE, ...RECIPE, 0, 0, 0, place.length - 4, ...place, ...known, ...PIXELS];
  assert.deepEqual(made, expected);
});

test('without a recipe, or cut off, nothing is added', () => {
  const whole = file(PIXELS);
  for (const part of [file(PIXELS), file(chunk('iTXt', ...text('nar_studio_wide'), 0), PIXELS), whole.slice(0, 20)])
    assert.equal(wholeFile(whole, part, [0, 0]), whole);
});
