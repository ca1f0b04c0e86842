// What the gateway counts. No label has a value that callers choose.
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { Operation } from './api/operations.js';
import type { CallObserver } from './nodes/caller.js';
import type { Verdict } from './nodes/verdict.js';

export class Metrics implements CallObserver {
  readonly registry = new Registry();
  readonly #requests: Counter<'operation' | 'status'>;
  readonly #problems: Counter<'reason'>;
  readonly #seconds: Histogram<'operation'>;
  readonly #attempts: Counter<'operation' | 'result'>;
  readonly #reasons: ReadonlySet<string>;

  // `reasons`: those that may be a label; others count as "other".
  constructor(reasons: Iterable<string>) {
    const registers = [this.registry];
    this.#reasons = new Set(reasons);
    this.#requests = new Counter({
      name: 'tranche_gateway_requests_total',
      help: 'Requests that were answered, by operation and HTTP status. A watch counts when it ends.',
      labelNames: ['operation', 'status'],
      registers,
    });
    this.#problems = new Counter({
      name: 'tranche_gateway_problems_total',
      help: 'Answers that were problems, by reason.',
      labelNames: ['reason'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'tranche_gateway_request_seconds',
      help: 'Time from a request’s headers to its answer; without watches.',
      labelNames: ['operation'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    });
    this.#attempts = new Counter({
      name: 'tranche_gateway_attempts_total',
      help: 'Calls of nodes, by what came of them: answered, done (refused), now or later (tried again elsewhere).',
      labelNames: ['operation', 'result'],
      registers,
    });
    collectDefaultMetrics({ register: this.registry, prefix: 'tranche_gateway_' });
  }

  // `read` is called when metrics are asked for.
  addGauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name: `tranche_gateway_${name}`,
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }

  onAttempt(operation: Operation, verdict: Verdict | null): void {
    this.#attempts.inc({ operation: operation.id, result: verdict?.next ?? 'answered' });
  }

  // `operation`: null for paths that are none. `seconds`: null for a watch.
  onRequest(operation: Operation | null, status: number, seconds: number | null): void {
    const name = operation?.id ?? 'none';
    this.#requests.inc({ operation: name, status });
    if (seconds !== null) this.#seconds.observe({ operation: name }, seconds);
  }

  onProblem(reason: string): void {
    this.#problems.inc({ reason: this.#reasons.has(reason) ? reason : 'other' });
  }
}
