// The limiters of rate-limiter-flexible. They count in fixed windows: so many points in a duration, from a key's first
// try on. The nearest to a burst and an interval are burst points in burst x interval, which has the same rate.
import Redis from 'ioredis';
import { RateLimiterMemory, RateLimiterRedis } from 'rate-limiter-flexible';

// The limiter in Redis counts whole seconds; and a timer of Node cannot be set for longer than 24 days.
const LEAST_WINDOW_S = 1;
const LONGEST_WINDOW_S = 24 * 3600;

export function windowOf({ burst, intervalMs }) {
  const seconds = Math.round((burst * intervalMs) / 1000);
  return { points: burst, duration: Math.min(LONGEST_WINDOW_S, Math.max(LEAST_WINDOW_S, seconds)) };
}

// Whether a try is taken. Other errors than a refusal are the limiter's own, and are passed on.
async function taken(limiter, key) {
  try {
    await limiter.consume(key);
    return true;
  } catch (refusal) {
    if (refusal instanceof Error) throw refusal;
    return false;
  }
}

// As many as there are nodes, each with a memory of its own.
export class FlexibleMemory {
  #nodes;
  #residentBefore;
  #heapBefore;

  constructor(terms, nodes) {
    globalThis.gc?.();
    this.#residentBefore = process.memoryUsage().rss;
    this.#heapBefore = process.memoryUsage().heapUsed;
    this.#nodes = Array.from({ length: nodes }, () => new RateLimiterMemory(windowOf(terms)));
  }

  tryOne(key, node = 0) {
    return taken(this.#nodes[node], key);
  }

  async memory() {
    globalThis.gc?.();
    const now = process.memoryUsage();
    return { used_bytes: now.heapUsed - this.#heapBefore, resident_bytes: now.rss - this.#residentBefore };
  }

  // It keeps every key until its window ends, however many there are.
  async capacity() {
    return null;
  }

  async close() {}
}

const FILLED_BETWEEN_LOOKS = 1000;
const MOST_FILLED_KEYS = 20_000_000;

// Each node has a connection; all share one Redis, which must be empty and nobody else's.
export class FlexibleRedis {
  #terms;
  #clients;
  #nodes;
  #before;

  static async open(terms, nodes, address) {
    const limiter = new FlexibleRedis();
    const [host, port] = address.split(':');
    limiter.#terms = terms;
    limiter.#clients = Array.from({ length: nodes }, () => new Redis(Number(port), host, { maxRetriesPerRequest: 0 }));
    for (const client of limiter.#clients) client.on('error', () => {}); // each command says it, too
    limiter.#before = await limiter.#memoryNow();
    limiter.#nodes = limiter.#limiters(terms);
    return limiter;
  }

  #limiters(terms) {
    return this.#clients.map((storeClient) => new RateLimiterRedis({ storeClient, ...windowOf(terms) }));
  }

  tryOne(key, node = 0) {
    return taken(this.#nodes[node], key);
  }

  async #info(section, name) {
    const text = await this.#clients[0].info(section);
    const found = new RegExp(`^${name}:(\\d+)`, 'm').exec(text);
    if (!found) throw new Error(`Redis does not tell ${name}`);
    return Number(found[1]);
  }

  async #memoryNow() {
    return {
      used_bytes: await this.#info('memory', 'used_memory'),
      resident_bytes: await this.#info('memory', 'used_memory_rss'),
    };
  }

  async memory() {
    const now = await this.#memoryNow();
    return {
      used_bytes: now.used_bytes - this.#before.used_bytes,
      resident_bytes: now.resident_bytes - this.#before.resident_bytes,
    };
  }

  // Fills it until it evicts; afterwards it is empty.
  async capacity() {
    for (let filled = 0; filled < MOST_FILLED_KEYS; filled += FILLED_BETWEEN_LOOKS) {
      const tries = Array.from({ length: FILLED_BETWEEN_LOOKS }, (_, i) => this.tryOne(`user-${filled + i}`));
      await Promise.all(tries);
      if ((await this.#info('stats', 'evicted_keys')) === 0) continue;
      const fit = await this.#clients[0].dbsize();
      await this.#clients[0].flushall();
      return fit;
    }
    throw new Error('Redis evicts nothing: set maxmemory and a policy of all keys');
  }

  async close() {
    for (const client of this.#clients) client.disconnect();
  }
}
