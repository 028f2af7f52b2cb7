/** How long to wait before each new attempt: soon at first, as a restarted program is there in a moment; never long, as it is on this computer. */
export class Backoff {
  static readonly FIRST_MS = 200;
  static readonly LONGEST_MS = 4000;
  #next = Backoff.FIRST_MS;

  /** `random` from 0 to 1 spreads several tabs. */
  next(random: number): number {
    const wait = this.#next * (0.75 + random / 2);
    this.#next = Math.min(this.#next * 2, Backoff.LONGEST_MS);
    return wait;
  }

  reset(): void {
    this.#next = Backoff.FIRST_MS;
  }
}
