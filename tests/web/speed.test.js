import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gainOf, linesOf, quantitiesOf, shortOf, speedMarkup, ticksOf } from '../../app/web/views/speed.js';

/** @param {string} way @param {number} batch @param {number} seconds @param {number} memory */
const row = (way, batch, seconds, memory = 100) => ({
  ...{ model: 'NAR-B', way, batch, seconds, per_second: batch / seconds },
  ...{ passes: way === 'raster' ? 256 : 31, memory_mb: memory },
});
const figures = {
  ...{ command: 'bench <x>', device_name: 'cpu', threads: 2, guidance: 2 },
  rows: [row('ours', 1, 1), row('published', 1, 1.5), row('ours', 8, 4), row('published', 8, 8), row('raster', 8, 12)],
};

test('ways are told apart by the first model, and only by what differs', () => {
  const more = { ...figures, rows: [...figures.rows, { ...row('raster', 1, 9), model: 'NAR-L' }] };
  assert.deepEqual(
    linesOf(more).map(({ way, points }) => [way, points.length]),
    [
      ['ours', 2],
      ['published', 2],
      ['raster', 1],
    ],
  );
  const names = (/** @type {import('../../app/web/views/speed.js').Figures} */ of) =>
    quantitiesOf(of).map(([name]) => name);
  assert.deepEqual(names(figures), ['seconds', 'per_second']);
  assert.ok(names({ ...figures, rows: [row('ours', 1, 1, 100), row('raster', 1, 1, 90)] }).includes('memory_mb'));
});

test('how many times as fast is the least and the most over the batches that both were timed at', () => {
  assert.deepEqual(gainOf(figures, 'published'), ['1.5', '2.0']);
  assert.deepEqual(gainOf(figures, 'raster'), ['3.0', '3.0']);
  assert.equal(gainOf({ ...figures, rows: [row('ours', 1, 1)] }, 'raster'), null);
});

test('a suite need not have begun with the smallest batch', () => {
  const rows = [row('ours', 64, 3), row('ours', 1, 1), row('ours', 8, 2)];
  const [{ points }] = linesOf({ ...figures, rows });
  assert.deepEqual(
    points.map(({ batch }) => batch),
    [1, 8, 64],
  );
});

test('ticks are powers of two within', () => {
  assert.deepEqual(ticksOf(1 / 40, 1).map(shortOf), ['1/32', '1/16', '1/8', '0.25', '0.5', '1']);
  assert.deepEqual(ticksOf(0.3, 5), [0.5, 1, 2, 4]);
  assert.deepEqual(ticksOf(1.1, 1.9), []);
});

test('the chart stands beside its numbers and says its command', () => {
  const markup = speedMarkup(figures, 'seconds', 400);
  assert.equal(markup.match(/<circle/g)?.length, 5);
  assert.match(markup, /line by line, here<\/th><td>256<\/td><td>–<\/td><td>12<\/td>/);
  assert.match(markup, /1\.5 to 2\.0 times as fast as the published way/);
  assert.match(markup, /guidance 2, .* on cpu, 2 threads/);
  assert.match(markup, /<code>bench &lt;x&gt;<\/code>/);
});
