/**
 * Hands on together what has come by the next task, in its order: while the page is busy with one thing it is not
 * drawn anew for each of the hundred that come meanwhile.
 */
export class Inbox<T> {
  #take: (item: T) => void;
  #items: T[] = [];
  #bell: MessageChannel;

  constructor(take: (item: T) => void) {
    this.#take = take;
    // No timer and no frame: a page in the background hears of both only now and then.
    this.#bell = new MessageChannel();
    this.#bell.port1.onmessage = () => this.empty();
  }

  put(item: T): void {
    this.#items.push(item);
    if (this.#items.length === 1) this.#bell.port2.postMessage(null);
  }

  /** Hands on at once. */
  empty(): void {
    const items = this.#items;
    this.#items = [];
    for (const item of items) {
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

  close(): void {
    this.#bell.port1.close();
  }
}
