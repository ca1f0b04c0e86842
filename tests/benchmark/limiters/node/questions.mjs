// The same questions, with the same names in the answers, as ../questions.h.
import { setTimeout as pause } from 'node:timers/promises';

const FILL_BATCH = 64;
const TRIES_BETWEEN_LOOKS = 16; // at the clock, which costs as much as a try in memory
// Of the period in which a burst comes back: where the flood at its edge begins, and how long it lasts.
const EDGE_FROM = 0.9;
const EDGE_TAKES = 0.2;

const keyName = (key) => `user-${key}`;
const now = () => performance.now() / 1000;

// What a key that has not tried for long may have in this time.
export const allowed = ({ burst, intervalMs }, seconds) => burst + Math.floor((seconds * 1000) / intervalMs);

// One key, at all nodes in turn.
async function flood(limiter, key, nodes, seconds) {
  const found = { tries: 0, taken: 0, seconds: 0 };
  const began = now();
  do {
    for (let node = 0; node < nodes; node += 1) {
      if (await limiter.tryOne(keyName(key), node)) found.taken += 1;
      found.tries += 1;
    }
    found.seconds = now() - began;
  } while (found.seconds < seconds);
  return found;
}

const judged = (found, terms) => ({ ...found, allowed: allowed(terms, found.seconds) });

// One try of each of these keys; how many were taken.
async function tryEach(limiter, first, count) {
  let taken = 0;
  for (let key = first; key < first + count; key += FILL_BATCH) {
    const size = Math.min(FILL_BATCH, first + count - key);
    const tries = Array.from({ length: size }, (_, i) => limiter.tryOne(keyName(key + i)));
    taken += (await Promise.all(tries)).filter(Boolean).length;
  }
  return taken;
}

export async function exact(limiter, terms) {
  const stream = await flood(limiter, 0, 1, terms.seconds);
  const period = (terms.burst * terms.intervalMs) / 1000;
  const touched = now();
  if (!(await limiter.tryOne(keyName(1)))) throw new Error('the first try of a key was refused');
  await pause(1000 * EDGE_FROM * period); // the pause is what is measured
  if (now() - touched >= period) throw new Error('the machine is too slow to look at an edge');
  const edge = await flood(limiter, 1, 1, EDGE_TAKES * period);
  return { stream: judged(stream, terms), edge: judged(edge, terms) };
}

// Callers are tries that are under way at a time.
export async function speed(limiter, terms) {
  await tryEach(limiter, 0, terms.keys);
  let checks = 0;
  let taken = 0;
  const cpuBefore = process.cpuUsage();
  const began = now();
  const until = began + terms.seconds;
  const caller = async () => {
    while (now() < until) {
      for (let i = 0; i < TRIES_BETWEEN_LOOKS; i += 1) {
        if (await limiter.tryOne(keyName(Math.floor(Math.random() * terms.keys)))) taken += 1;
      }
      checks += TRIES_BETWEEN_LOOKS;
    }
  };
  await Promise.all(Array.from({ length: terms.callers }, caller));
  const seconds = now() - began;
  const { user, system } = process.cpuUsage(cpuBefore);
  const { keys, callers } = terms;
  const cpuSeconds = (user + system) / 1e6;
  return { keys, callers, batch: 1, checks, taken, seconds, cpu_seconds: cpuSeconds, per_s: checks / seconds };
}

export async function memory(limiter, terms) {
  const taken = await tryEach(limiter, 0, terms.keys);
  return { keys: terms.keys, ...(await limiter.memory()), refused: terms.keys - taken };
}

export async function evicted(limiter, terms) {
  const fit = await limiter.capacity();
  if (fit === null) throw new Error('this limiter has no bound of keys');
  const { victims, burst } = terms;
  const taken = new Array(victims).fill(0);
  const tryBursts = async () => {
    for (let key = 0; key < victims; key += 1) {
      const tries = Array.from({ length: burst }, () => limiter.tryOne(keyName(key)));
      taken[key] += (await Promise.all(tries)).filter(Boolean).length;
    }
  };
  const began = now();
  await tryBursts();
  const came = terms.times * fit;
  const cameTaken = await tryEach(limiter, victims, came);
  await tryBursts();
  const seconds = now() - began;
  const most = allowed(terms, seconds);
  const above = taken.reduce((sum, ofVictim) => sum + Math.max(0, ofVictim - most), 0);
  return { fit, came, came_refused: came - cameTaken, victims, burst, above, seconds };
}

export async function sprayed(limiter, terms) {
  return { ...judged(await flood(limiter, 0, terms.nodes, terms.seconds), terms), nodes: terms.nodes };
}
