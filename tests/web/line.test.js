import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askPlace } from '../../app/web/line.js';

/** A page that waits, and what it was told; `answer` is what the server says next. */
function waiting(mock, more = {}) {
  const all = { asked: 0, told: [], answer: async () => ({ ahead: 1, seconds: 2 }), isOver: false, isGrowing: false };
  const page = Object.assign(all, more);
  mock.timers.enable({ apis: ['setInterval'] });
  const ask = (run) => {
    page.asked += run === 'a' ? 1 : 0;
    return page.answer();
  };
  const told = (place) => page.told.push(place?.ahead ?? null);
  askPlace(ask, 'a', { isOver: () => page.isOver, isGrowing: () => page.isGrowing, told });
  page.pass = async (seconds) => {
    for (let k = 0; k < seconds; k++) {
      mock.timers.tick(1000);
      await new Promise((then) => setImmediate(then));
    }
  };
  return page;
}

test('a place is asked for every second, rarely while it grows, and no more when it is over', async ({ mock }) => {
  const page = waiting(mock);
  await page.pass(3);
  assert.deepEqual(page.told, [1, 1, 1]);
  page.isGrowing = true;
  await page.pass(20);
  assert.equal(page.asked, 5);
  page.isOver = true;
  await page.pass(20);
  assert.equal(page.asked, 5);
});

test('a server that refuses is silent at once, and is asked every second until it answers', async ({ mock }) => {
  const page = waiting(mock, { isGrowing: true });
  const { answer } = page;
  page.answer = () => Promise.reject(new Error('no answer'));
  await page.pass(3);
  assert.deepEqual(page.told, [null, null, null]);
  page.answer = answer;
  await page.pass(8);
  assert.deepEqual(page.told, [null, null, null, 1]);
});

test('one that leaves a question open is silent after a while, and is asked no other meanwhile', async ({ mock }) => {
  let answer = () => {};
  const page = waiting(mock);
  page.answer = () => new Promise((then) => (answer = then));
  await page.pass(30);
  assert.deepEqual([page.asked, page.told], [1, [null]]);
  answer({ ahead: 3, seconds: 1 });
  await page.pass(2);
  assert.deepEqual([page.asked, page.told], [2, [null, 3]]);
});
