// How many requests, or watches, may be open at the same time: in all, and for one address.

export class Limits {
  readonly #max: number;
  readonly #maxPerAddress: number;
  readonly #open = new Map<string, number>();
  #total = 0;

  constructor(max: number, maxPerAddress: number) {
    this.#max = max;
    this.#maxPerAddress = maxPerAddress;
  }

  get total(): number {
    return this.#total;
  }

  // Takes a place, and gives what returns it, once; null: there is none.
  take(address: string): (() => void) | null {
    const here = this.#open.get(address) ?? 0;
    if (this.#total >= this.#max || here >= this.#maxPerAddress) return null;
    this.#total += 1;
    this.#open.set(address, here + 1);
    let taken = true;
    return () => {
      if (!taken) return;
      taken = false;
      this.#total -= 1;
      const left = (this.#open.get(address) ?? 1) - 1;
      // An address without requests takes no memory.
      if (left === 0) this.#open.delete(address);
      else this.#open.set(address, left);
    };
  }
}
