import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlexibleMemory, windowOf } from '../flexible.mjs';
import * as questions from '../questions.mjs';

const terms = { burst: 20, intervalMs: 10, seconds: 0.25, keys: 100, callers: 4, nodes: 8, victims: 5, times: 10 };

// Takes what the test says.
class Fake {
  constructor(takes, fit = null) {
    this.takes = takes;
    this.fit = fit;
    this.tried = new Map();
  }

  async tryOne(key) {
    const before = this.tried.get(key) ?? 0;
    this.tried.set(key, before + 1);
    return this.takes(key, before);
  }

  async memory() {
    return { used_bytes: 1, resident_bytes: 2 };
  }

  async capacity() {
    return this.fit;
  }
}

test('a window has the rate of the terms', () => {
  assert.deepEqual(windowOf({ burst: 20, intervalMs: 100 }), { points: 20, duration: 2 });
  assert.deepEqual(windowOf({ burst: 1_000_000, intervalMs: 60_000 }), { points: 1_000_000, duration: 86_400 });
  assert.equal(windowOf({ burst: 1, intervalMs: 10 }).duration, 1);
});

test('what is allowed is the burst and one more for each whole interval', () => {
  assert.equal(questions.allowed({ burst: 20, intervalMs: 100 }, 0.05), 20);
  assert.equal(questions.allowed({ burst: 20, intervalMs: 100 }, 0.25), 22);
});

test('a limiter that lets everything through takes more than is allowed', async () => {
  const { stream, edge } = await questions.exact(new Fake(() => true), terms);
  assert.ok(stream.taken > stream.allowed);
  assert.equal(edge.taken, edge.tries);
});

test('evicted: only what victims got beyond their limit counts', async () => {
  const forgetful = new Fake((key, before) => before < 40, 30);
  assert.deepEqual({ ...(await questions.evicted(forgetful, { ...terms, intervalMs: 60_000 })), seconds: 0 }, {
    fit: 30, came: 300, came_refused: 0, victims: 5, burst: 20, above: 100, seconds: 0,
  });
  const strict = new Fake((key, before) => before < 20 && Number(key.slice(5)) < 5, 30);
  const { above, came_refused: refused } = await questions.evicted(strict, { ...terms, intervalMs: 60_000 });
  assert.deepEqual([above, refused], [0, 300]);
});

test('a limiter without a bound cannot be asked what it forgets', async () => {
  await assert.rejects(questions.evicted(new FlexibleMemory(terms, 1), terms), /no bound/);
});

test('each key is tried once before memory is read', async () => {
  const fake = new Fake((key) => key !== 'user-7');
  assert.deepEqual(await questions.memory(fake, terms), { keys: 100, used_bytes: 1, resident_bytes: 2, refused: 1 });
  assert.equal(fake.tried.size, 100);
});

test('speed tells how much of a processor the caller used', async () => {
  const found = await questions.speed(new Fake(() => true), { ...terms, seconds: 0.1 });
  assert.equal(found.taken, found.checks);
  assert.ok(found.cpu_seconds > 0);
  assert.ok(found.cpu_seconds < 4 * found.seconds);
});

test('memories that share nothing let each node have its own burst', async () => {
  const second = { burst: 20, intervalMs: 50 };
  const found = await questions.sprayed(new FlexibleMemory(second, 8), { ...second, nodes: 8, seconds: 0.1 });
  assert.equal(found.taken, 8 * 20);
  assert.ok(found.allowed < 30);
});
