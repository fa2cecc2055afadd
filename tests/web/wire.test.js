import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answering, bytesOf, Heard, queryOf, read, startMessage, textOf, wordsOf } from '../../app/web/wire.js';

const words = Uint16Array.from([0, 1, 255, 256, 4095, 65535]);
const bytes = Uint8Array.from([0, 1, 127, 254, 255]);

test('values survive base64, little-endian', () => {
  assert.deepEqual(wordsOf(textOf(words)), words);
  assert.deepEqual(bytesOf(textOf(bytes)), bytes);
  assert.equal(textOf(Uint16Array.from([0x4241])), btoa('AB'));
  const many = Uint16Array.from({ length: 40_000 }, (_, i) => (i * 7919) % 65536);
  assert.deepEqual(wordsOf(textOf(many)), many);
});

test('nothing has come yet', () => {
  assert.equal(read(null), null);
  assert.equal(read(undefined), null);
});

test('of the last messages of a run those are heard that were not yet, in their order', () => {
  const heard = new Heard();
  const told = (run, ...numbers) => ({
    kind: 'lately',
    run,
    messages: Object.fromEntries(numbers.map((n) => [n, { kind: 'begun', run, n }])),
  });
  const numbers = (sent) => heard.unheard(sent).map(({ n }) => n);
  assert.deepEqual(numbers(told('a', 0)), [0]);
  assert.deepEqual(numbers(told('a', 0, 1, 2, 3)), [1, 2, 3]); // two values were never seen
  assert.deepEqual(numbers(told('a', 2, 3)), []); // the last once more
  assert.deepEqual(numbers(told('b', 8, 9, 10, 11)), [8, 9, 10, 11]);
  assert.deepEqual(numbers(told('a', 3, 4)), [4]); // an earlier run ends while another has begun
  assert.deepEqual(heard.unheard(null), [null]);
  assert.deepEqual(heard.unheard({ kind: 'model' }), [{ kind: 'model' }]);
  const again = { kind: 'model' };
  heard.unheard(again);
  assert.deepEqual(heard.unheard(again), []); // the very value once more
  for (const run of 'cdefgh') numbers(told(run, 0));
  assert.deepEqual([...heard.last.keys()], ['e', 'f', 'g', 'h']);
});

test('a question that did not come through has no answer, and that is an error', async () => {
  const server = answering({ stop: async () => null, names: async (model) => [model], words: async () => undefined });
  assert.equal(await server.stop('a'), null);
  assert.deepEqual(await server.names('emoji'), ['emoji']);
  await assert.rejects(server.words({ model: 'emoji', prompt: 'owl' }), /words: no answer/);
});

test('a message of an unknown kind is an error', () => {
  assert.throws(() => read({ kind: 'surprise' }), /"surprise"/);
});

test('steps are decoded', () => {
  const frame = { step: 1, tokens: textOf(words), confidence: textOf(bytes), sheet: 'data:,', elapsed: 0.5 };
  const order = textOf(words);
  const message = read({ kind: 'steps', run: 'a', pane: 2, total: 3, order, frames: [frame] });
  assert.deepEqual(message, {
    kind: 'steps',
    run: 'a',
    pane: 2,
    order: words,
    frames: [{ step: 1, tokens: words, confidence: bytes, sheet: 'data:,', guess: null, elapsed: 0.5 }],
  });
});

test('an end without sheets shows its pictures; only a replay can be made again', () => {
  const text = { order: textOf(words), tokens: textOf(words), confidence: textOf(bytes) };
  const told = { elapsed: 2, passes: 3, request: { prompt: 'owl' }, verdict: { same: true, differs: [] } };
  const done = read({ kind: 'done', run: 'a', ...text, pictures: ['p'], sheets: null, ...told });
  assert.deepEqual([done.kind, done.run, done.sheets, done.elapsed], ['done', 'a', ['p'], 2]);
  assert.deepEqual([done.request, done.verdict], [told.request, told.verdict]);
  assert.equal(done.again, false);
  assert.equal(done.passes, 3);
  const replay = read({
    kind: 'replay',
    run: 'b',
    ...text,
    pictures: ['p'],
    sheets: ['s'],
    request: told.request,
    again: true,
    title: 'x',
    sample: 2,
    part: true,
  });
  assert.deepEqual(replay.sheets, ['s']);
  assert.deepEqual([replay.again, replay.sample, replay.part], [true, 2, true]);
  assert.deepEqual([replay.elapsed, replay.request, replay.verdict], [0, told.request, null]);
});

test('a start is encoded as the server expects it', () => {
  const plain = startMessage({ run: 'a', seedPosition: [0, 1, 2] });
  assert.deepEqual(JSON.parse(JSON.stringify(plain)), { run: 'a', seed_position: [0, 1, 2] });
  const told = { file: 'f', prompt: 'owl', query: { heads: 'mixed' } };
  const said = startMessage({ run: 'a', seedPosition: [0, 1, 2], rngSeed: 7, ...told });
  assert.deepEqual(JSON.parse(JSON.stringify(said)), { run: 'a', seed_position: [0, 1, 2], rng_seed: 7, ...told });
  const full = startMessage({
    run: 'a',
    seedPosition: [0, 1, 2],
    resume: { step: 3, samples: 1, tokens: words, confidence: bytes },
    given: { picture: 'data:,', keep: bytes, tokens: words, before: null },
  });
  assert.deepEqual(full.resume, { step: 3, pictures: 1, tokens: textOf(words), confidence: textOf(bytes) });
  assert.deepEqual(full.canvas, { picture: 'data:,', keep: textOf(bytes), tokens: textOf(words), before: null });
});

test('a link says what the engine was asked for, and leaves out what was not', () => {
  const asked = {
    prompt: 'fox & owl',
    label: null,
    seed_position: [0, 8, 8],
    rng_seed: 0,
    guidance_scale: 2,
    heads: 'mixed',
    fusion: 'logits',
    temperature: 1,
    top_k: 0,
    top_p: 1,
    min_p: 0,
    num_samples: 1,
  };
  const query = queryOf('emoji', asked);
  assert.equal(query.seed, '0,8,8');
  assert.equal(query.rng_seed, '0');
  assert.equal(query.num_samples, '1');
  assert.equal(query.top_k, '0');
  assert.equal(queryOf('emoji', { ...asked, some_setting: 0.5 }).some_setting, '0.5');
  assert.ok(!('label' in query));
  assert.match(String(new URLSearchParams(query)), /prompt=fox\+%26\+owl/);
});
