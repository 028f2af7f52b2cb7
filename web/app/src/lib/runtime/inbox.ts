/**
 * Hands on together what has come by the next task, in its order: while the page is busy with one thing it is not
 * drawn anew for each of the hundred that come meanwhile. Whoever waits for an answer goes on before anything else is
 * handed on, so a task ends with each.
 */
export class Inbox<T> {
  #take: (item: T) => void;
  #isAwaited: (item: T) => boolean;
  #items: T[] = [];
  #bell: MessageChannel;

  constructor(take: (item: T) => void, isAwaited: (item: T) => boolean) {
    this.#take = take;
    this.#isAwaited = isAwaited;
    // No timer and no frame: a page in the background hears of both only now and then.
    this.#bell = new MessageChannel();
    this.#bell.port1.onmessage = () => this.#some();
  }

  put(item: T): void {
    this.#items.push(item);
    if (this.#items.length === 1) this.#ring();
  }

  /** Hands on all at once: nothing more comes. */
  empty(): void {
    const items = this.#items;
    this.#items = [];
    items.forEach((item) => this.#hand(item));
  }

  close(): void {
    this.#bell.port1.close();
  }

  #ring(): void {
    this.#bell.port2.postMessage(null);
  }

  #some(): void {
    const awaited = this.#items.findIndex(this.#isAwaited);
    const items = this.#items.splice(0, awaited < 0 ? this.#items.length : awaited + 1);
    if (this.#items.length > 0) this.#ring();
    items.forEach((item) => this.#hand(item));
  }

  #hand(item: T): void {
    try {
      this.#take(item);
    } catch (error) {
      // A bug with one of them is reported as such, and costs none of the others.
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
