// Holds tries back while the nodes are overloaded: about twice as many are sent as the nodes accept (docs/clients.md,
// "When nodes are overloaded").
import { status } from '@grpc/grpc-js';
import { plainFailure, type Failure } from './failure.js';
import type { Verdict } from './verdict.js';

const WINDOW_MS = 10_000;
const BUCKETS = 10;
const BUCKET_MS = WINDOW_MS / BUCKETS;
const RATIO = 2;
// Tries that pass however few are accepted.
const FREE_TRIES = 20;

interface Bucket {
  number: number;
  accepted: number;
  overloaded: number;
  refused: number;
}

function emptyBucket(number: number): Bucket {
  return { number, accepted: 0, overloaded: 0, refused: 0 };
}

export class Throttle {
  readonly #buckets: Bucket[] = Array.from({ length: BUCKETS }, () => emptyBucket(-BUCKETS));
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  // False counts as a try that was refused.
  admit(nowMs: number): boolean {
    if (this.#random() >= this.refusalProbability(nowMs)) return true;
    this.#at(nowMs).refused += 1;
    return false;
  }

  onAnswer(load: Verdict['load'], nowMs: number): void {
    if (load === 'accepted') this.#at(nowMs).accepted += 1;
    if (load === 'overload') this.#at(nowMs).overloaded += 1;
  }

  refusalProbability(nowMs: number): number {
    const oldest = Math.floor(nowMs / BUCKET_MS) - BUCKETS;
    const sum = { accepted: 0, overloaded: 0, refused: 0 };
    for (const bucket of this.#buckets) {
      if (bucket.number <= oldest) continue;
      sum.accepted += bucket.accepted;
      sum.overloaded += bucket.overloaded;
      sum.refused += bucket.refused;
    }
    if (sum.overloaded === 0) return 0;
    const requests = sum.accepted + sum.overloaded + sum.refused;
    return Math.max(0, (requests - RATIO * sum.accepted - FREE_TRIES) / (requests + 1));
  }

  static refusal(): Failure {
    return {
      ...plainFailure(status.UNAVAILABLE, 'not sent: the nodes are overloaded, and refuse too many tries'),
      reason: 'OVERLOADED',
      metadata: { throttled: 'true' },
      retryAfterMs: BUCKET_MS,
    };
  }

  #at(nowMs: number): Bucket {
    const number = Math.floor(nowMs / BUCKET_MS);
    const slot = number % BUCKETS;
    const bucket = this.#buckets[slot];
    if (bucket?.number === number) return bucket;
    return (this.#buckets[slot] = emptyBucket(number));
  }
}
