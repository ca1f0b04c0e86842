// A token bucket that bounds retries to a share of the answered calls, so that an outage does not multiply the load.

const TOKENS = 1000;
const REFILL = 0.2;

export class RetryBudget {
  #tokens = TOKENS;

  onAnswered(): void {
    this.#tokens = Math.min(TOKENS, this.#tokens + REFILL);
  }

  // False: no retry now.
  trySpend(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
