import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextRound } from 'node:timers/promises';
import { Turns } from '../turns.mjs';

test('no more than the given number run side by side, in the order in which they came', async () => {
  const turns = new Turns(2, 10);
  const order = [];
  let running = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 8 }, async (_, number) => {
      assert.equal(await turns.take(), true);
      running += 1;
      most = Math.max(most, running);
      order.push(number);
      await nextRound();
      running -= 1;
      turns.done();
    }),
  );
  assert.equal(most, 2);
  assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 6, 7]);
});

test('one that finds too many waiting is told so at once, and later ones get in again', async () => {
  const turns = new Turns(1, 1);
  assert.equal(await turns.take(), true);
  const second = turns.take();
  assert.equal(await turns.take(), false);
  turns.done();
  assert.equal(await second, true);
  const third = turns.take();
  turns.done();
  assert.equal(await third, true);
});

test('a long queue is served to its end', async () => {
  const turns = new Turns(1, 5000);
  let served = 0;
  await Promise.all(
    Array.from({ length: 5000 }, async () => {
      assert.equal(await turns.take(), true);
      served += 1;
      turns.done();
    }),
  );
  assert.equal(served, 5000);
});
