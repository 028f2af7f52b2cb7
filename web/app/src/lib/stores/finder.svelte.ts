import type { Found } from '$lib/api/types';
import { isSearch } from '$lib/model/found';
import type { Runtime } from '$lib/runtime/runtime';
import { asTrouble, type Trouble } from './meeting.svelte';

/** Who types goes on typing: a search begins when nothing was typed for so long. */
const PAUSE_MS = 150;

/** Search in what was said. */
export class Finder {
  /** The contact in whose conversation alone is searched. */
  scope = $state<string | null>(null);
  /** What `found` was found for; empty if nothing was sought. */
  words = $state('');
  found = $state.raw<Found[]>([]);
  more = $state(false);
  busy = $state(false);
  trouble = $state.raw<Trouble | null>(null);
  #runtime: Runtime;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Counts searches: the answer to an earlier one is not wanted any more. */
  #asked = 0;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** What is in the field now. */
  seek(typed: string): void {
    clearTimeout(this.#timer);
    const words = typed.trim();
    if (!isSearch(words)) return this.clear();
    this.busy = true;
    this.#timer = setTimeout(() => void this.#ask(words), PAUSE_MS);
  }

  /** The next page. */
  async loadMore(): Promise<void> {
    const last = this.found.at(-1);
    if (this.busy || !this.more || !last) return;
    this.busy = true;
    await this.#ask(this.words, last.id);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#asked += 1;
    this.words = '';
    this.found = [];
    this.more = false;
    this.busy = false;
    this.trouble = null;
  }

  async #ask(words: string, before?: number): Promise<void> {
    this.#asked += 1;
    const number = this.#asked;
    try {
      const contact = this.scope === null ? {} : { contact: this.scope };
      const from = before === undefined ? {} : { before };
      const { found, more } = await this.#runtime.command('search', { words, ...contact, ...from });
      if (number !== this.#asked) return;
      this.words = words;
      this.found = before === undefined ? found : [...this.found, ...found];
      this.more = more;
      this.trouble = null;
    } catch (error) {
      if (number !== this.#asked) return;
      this.trouble = asTrouble(error);
    }
    this.busy = false;
  }
}
