// Models that differ in one thing: which step each is at, and the table.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { csvOf, equalOf, lengthOf, meantOf, modelsOf, stepsAt, tableOf } from '../../app/web/views/ablations.js';

/** @param {Partial<import('../../app/web/views/ablations.js').Row>} own */
const row = (own) => ({
  ...{
    name: 'raster',
    title: 'Line by line',
    order: /** @type {const} */ ('raster'),
    place: /** @type {const} */ ('corner'),
  },
  ...{ steps: 256, parameters: 4_000_000, loss: 2.5, seconds: 1.6, samples: 12_800, hours: 0.3 },
  ...{ right: share(0.5), right_seen: share(0.6), right_held_out: share(0.4) },
  ...own,
});
const share = (/** @type {number} */ x) => /** @type {[number, number, number]} */ ([x, x - 0.1, x + 0.1]);

const told = {
  ...{ command: 'c', world: 'landscape', prompts: 256, rng_seeds: [0, 1, 2], grid: [1, 16, 16], examples: ['hills'] },
  rows: [
    row({}),
    row({
      name: 'any-start',
      title: 'From any cell',
      order: 'neighbours',
      steps: 31,
      seconds: 0.2,
      frechet: 9,
      hours: 0.5,
    }),
    row({ name: 'any-start', title: 'From any cell', order: 'neighbours', place: 'any', steps: 24 }),
  ],
};

test('every model is shown once', () => {
  assert.deepEqual(
    modelsOf(told).map(({ name }) => name),
    ['raster', 'any-start'],
  );
});

test('in step all have taken as many; in real time the fast one is done long before', () => {
  const models = modelsOf(told);
  assert.equal(lengthOf(models, 'steps'), 256);
  assert.deepEqual(stepsAt(models, 'steps', 40), [40, 31]);
  const length = lengthOf(models, 'time');
  assert.deepEqual(stepsAt(models, 'time', 0), [0, 0]);
  assert.deepEqual(stepsAt(models, 'time', length / 8), [32, 31]);
  assert.deepEqual(stepsAt(models, 'time', length / 16), [16, 15]);
  assert.deepEqual(stepsAt(models, 'time', length), [256, 31]);
});

test('the table says each place, and what was not measured is no number', () => {
  const table = tableOf(told);
  assert.equal(table.match(/<tr>/g)?.length, 4);
  assert.match(table, /From any cell<\/th><td>any cell/);
  assert.match(table, /<td>50 <small>40 to 60<\/small><\/td>/);
  assert.match(table, /<td>–<\/td>/);
  const lines = csvOf(told).split('\n');
  assert.equal(lines.length, 4);
  assert.ok(lines.every((line) => line.split(',').length === lines[0].split(',').length));
});

test('the paper stands beside what is like it, and a distance says how it varies', () => {
  const rounds = [{ frechet: 9.62 }, { frechet: 10.4 }, { frechet: 9.1 }];
  const seen = tableOf({ ...told, rows: [row({ frechet: 9.7, rounds, damage: 0.034 }), told.rows[1]] });
  assert.match(seen, /<td>9.7 <small>9.1 to 10.4<\/small><\/td>/);
  assert.match(seen, /<td>3.4<\/td>.*<td>3.80<\/td><\/tr>.*<td>–<\/td><\/tr>/);
  assert.doesNotMatch(tableOf(told), /damaged/);
  assert.match(meantOf(told), /Damaged cells are not told/);
  assert.doesNotMatch(meantOf(told), /Fréchet/);
  const floored = { ...told, rows: [row({ damage: 0.1, frechet: 9, frechet_floor: 1.25 })] };
  assert.match(meantOf(floored), /^Right: .* classifier of ours, so it is no FID.* lie 1.3 away/);
  assert.doesNotMatch(meantOf(floored), /Damaged/);
});

test('what was equal is told, and what was not', () => {
  assert.match(equalOf(told), /^Equal: .* and 12,800 growths.*\. Not equal/);
  const less = { ...told, rows: [row({ samples: 9600 }), ...told.rows.slice(1)] };
  assert.match(equalOf(less), /^Equal: .*\. Not equal: 9,600 to 12,800 growths/);
  assert.match(equalOf(told), /18 to 30 minutes/);
});
