import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heardMarkup } from '../../app/web/views/heard.js';

const row = { heads: 'horizontal', seed_position: 'corner', loss: 0.5, right: 0.5, low: 0.4, high: 0.6 };
const told = {
  ...{ command: 'evaluate <x>', model: 'emoji', prompts: 256, rng_seeds: [0, 1, 2] },
  configurations: [row, { ...row, heads: 'mixed', damage: 0.0349, loss: 0.314 }],
};

test('what each head alone makes stands beside what both make, and the command below', () => {
  const markup = heardMarkup(told);
  assert.match(markup, /horizontal<\/th><td>50 <small>40 to 60<\/small><\/td><td>–<\/td><td>0.50<\/td>/);
  assert.match(markup, /both, averaged<\/th><td>50 .*<td>3.5<\/td><td>0.31<\/td>/);
  assert.match(markup, /From the corner, 256 prompts .* 3 rng seeds/);
  assert.match(markup, /<code>evaluate &lt;x&gt;<\/code>/);
});
