import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linkIn, linkOf, queryOfForm } from '../../app/web/link.js';
import { makePlan } from '../../app/web/plan.js';
import { branchOf, newRun } from '../../app/web/run.js';
import { pictureSpec } from './specs.js';

const spec = pictureSpec(16, { settings: { guidance_scale: 3, heads: 'mixed' } });

test("a form in the address: what is the model's own is left out", () => {
  const names = ['model', 'prompt', 'label', 'guidance_scale', 'heads', 'rng_seed', 'num_samples'];
  const values = ['picture', 'a fox', null, 6, 'mixed', 0, 1];
  const query = queryOfForm(spec, { names, values }, [0, 8, 8]);
  assert.deepEqual(query, { model: 'picture', prompt: 'a fox', guidance_scale: '6', rng_seed: '0' });
  assert.equal(queryOfForm(spec, { names, values }, [0, 0, 3]).seed, '0,0,3');
  const others = ['picture', 'a fox', null, 3, 'vertical', 1, 4];
  assert.deepEqual(queryOfForm(spec, { names, values: others }, [0, 8, 8]), {
    ...{ model: 'picture', prompt: 'a fox', heads: 'vertical' },
    ...{ rng_seed: '1', num_samples: '4' },
  });
  // no server takes an address of any length
  const long = ['picture', 'a fox '.repeat(2000), null, 6, 'mixed', 0, 1];
  assert.equal(queryOfForm(spec, { names, values: long }, [0, 8, 8]).prompt, undefined);
});

test('a link plays a growth, its branches and up to a step', () => {
  const asked = { prompt: 'owl', seed_position: [0, 8, 8], rng_seed: 7, guidance_scale: 3, num_samples: 1 };
  const trunk = newRun('a', makePlan(spec, [0, 8, 8]), 1, { request: asked });
  const branch = { ...branchOf(trunk, 'b', 8), request: { ...asked, prompt: 'fox & cat' } };
  const runs = { a: trunk, b: branch };
  const link = linkIn(`?${linkOf(runs, branch, 12)}`);
  assert.equal(link.query.prompt, 'owl');
  assert.equal(link.query.seed, '0,8,8');
  assert.ok(!['play', 'then', 'step'].some((name) => name in link.query));
  assert.equal(link.step, 12);
  assert.deepEqual(
    link.branches.map(({ at, query }) => [at, query.prompt]),
    [[8, 'fox & cat']],
  );
  assert.equal(linkIn(`?${linkOf(runs, trunk, 17)}`).step, 0);
  assert.equal(linkOf({ b: branch }, branch, 12), '');
  assert.equal(linkOf(runs, { ...trunk, replayed: true }, 12), '');
  assert.equal(linkOf(runs, { ...branch, isForced: true }, 12), ''); // a link holds no tokens
  assert.equal(linkIn('?prompt=owl'), null);
  const steps = ['at=8', 'at=99', 'at=0', 'at=abc', 'at=1.5', 'at=-1', 'prompt=x', ''];
  const damaged = linkIn(`?${new URLSearchParams([['play', '1'], ...steps.map((step) => ['then', step])])}`);
  assert.deepEqual(
    damaged.branches.map(({ at }) => at),
    [8, 99, 0, 0, 0, 0, 0, 0],
  );
});
