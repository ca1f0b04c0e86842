// The front nodes: which one is next, and which ones to leave alone for a while. As the C++ SDK does it.

const MIN_AVOID_MS = 200;
const MAX_AVOID_MS = 3000;
export const MAX_NODES = 64;

interface NodeHealth {
  avoidUntilMs: number;
  failures: number;
}

// Counts nodes from 0. Times are those of performance.now().
export class NodeSet {
  readonly #nodes: NodeHealth[];
  #turn: number;

  constructor(count: number, random: () => number = Math.random) {
    this.#nodes = Array.from({ length: count }, () => ({ avoidUntilMs: 0, failures: 0 }));
    this.#turn = Math.floor(random() * count);
  }

  // The next untried node in turn, a healthy one if there is one. null: all were tried.
  pick(tried: ReadonlySet<number>, nowMs: number): number | null {
    const untried = [...this.#nodes.keys()].filter((node) => !tried.has(node));
    const healthy = untried.filter((node) => this.isHealthy(node, nowMs));
    const choice = healthy.length > 0 ? healthy : untried;
    if (choice.length === 0) return null;
    this.#turn = (this.#turn + 1) % Number.MAX_SAFE_INTEGER;
    return choice[this.#turn % choice.length] ?? null;
  }

  hasHealthy(tried: ReadonlySet<number>, nowMs: number): boolean {
    return this.#nodes.some((_, node) => !tried.has(node) && this.isHealthy(node, nowMs));
  }

  isHealthy(node: number, nowMs: number): boolean {
    return this.#at(node).avoidUntilMs <= nowMs;
  }

  countAvoided(nowMs: number): number {
    return this.#nodes.filter((node) => node.avoidUntilMs > nowMs).length;
  }

  // The node failed: it is avoided for a time that doubles with each failure in a row. It is still tried when no other is
  // left.
  avoid(node: number, nowMs: number): void {
    // Calls that were under way when the node died fail together: that counts as one failure.
    if (!this.isHealthy(node, nowMs)) return;
    const health = this.#at(node);
    health.avoidUntilMs = nowMs + Math.min(MAX_AVOID_MS, MIN_AVOID_MS * 2 ** Math.min(health.failures, 10));
    health.failures += 1;
  }

  markHealthy(node: number): void {
    Object.assign(this.#at(node), { avoidUntilMs: 0, failures: 0 });
  }

  #at(node: number): NodeHealth {
    const health = this.#nodes[node];
    if (!health) throw new RangeError(`there is no node ${node}`);
    return health;
  }
}
