// Lets a bounded number of jobs run side by side, and a bounded number wait, first come, first served.
export class Turns {
  #free;
  #mostWaiting;
  #waiting = [];
  #next = 0; // index of the first in #waiting: shift() would move all others

  constructor(sideBySide, mostWaiting) {
    this.#free = sideBySide;
    this.#mostWaiting = mostWaiting;
  }

  // Resolves when it is the caller's turn, who must call done() once. False at once: too many wait.
  async take() {
    if (this.#free > 0) {
      this.#free -= 1;
      return true;
    }
    if (this.#waiting.length - this.#next >= this.#mostWaiting) return false;
    await new Promise((resolve) => this.#waiting.push(resolve));
    return true;
  }

  done() {
    if (this.#next === this.#waiting.length) {
      this.#free += 1;
      return;
    }
    const resolve = this.#waiting[this.#next];
    this.#next += 1;
    if (this.#next === this.#waiting.length || this.#next >= 1024) {
      this.#waiting.splice(0, this.#next);
      this.#next = 0;
    }
    resolve();
  }
}
