import type { Message, MessageState } from '$lib/api/types';
import { advance, merge } from '$lib/model/messages';
import { confirmed, type Pending } from '$lib/model/pending';
import { RuntimeError, type Runtime } from '$lib/runtime/runtime';

/** As many messages as are asked for at once. */
export const PAGE = 50;

/** One conversation: the messages that are loaded, what is being written and what is being sent. */
export class Thread {
  readonly contact: string;
  messages = $state.raw<Message[]>([]);
  pending = $state.raw<Pending[]>([]);
  /** In memory alone: the browser would keep it on disk in the clear, outside of the locked profile. */
  draft = $state('');
  loaded = $state(false);
  loading = $state(false);
  /** Nothing lies before the first loaded message. */
  complete = $state(false);
  #runtime: Runtime;
  #lastKey = 0;

  constructor(runtime: Runtime, contact: string) {
    this.#runtime = runtime;
    this.contact = contact;
  }

  // No `$derived`: it would end with the component in which the thread was made.
  get newest(): number {
    return this.messages.at(-1)?.id ?? 0;
  }

  /** The newest page; also after the link was away, to learn what became of what is pending. */
  async load(): Promise<void> {
    const { messages } = await this.#runtime.command('messages', { contact: this.contact, limit: PAGE });
    // More than a page came while the link was away: what is between would be missing.
    const gap = this.messages.length > 0 && (messages[0]?.id ?? 0) > this.newest;
    if (gap) this.messages = messages;
    else this.#take(messages);
    if (messages.length < PAGE) this.complete = true;
    else if (gap || !this.loaded) this.complete = false;
    this.loaded = true;
    this.#resend();
  }

  async loadEarlier(): Promise<void> {
    const first = this.messages[0];
    if (this.loading || this.complete || !first) return;
    this.loading = true;
    try {
      const { messages } = await this.#runtime.command('messages', { contact: this.contact, before: first.id, limit: PAGE });
      if (messages.length < PAGE) this.complete = true;
      this.#take(messages);
    } finally {
      this.loading = false;
    }
  }

  message(message: Message): void {
    this.#take([message]);
  }

  state(id: number, state: MessageState): void {
    this.messages = advance(this.messages, id, state);
  }

  send(text: string, now: number): void {
    this.#lastKey += 1;
    const each: Pending = { key: this.#lastKey, text, written_at: now, after: this.newest, unsure: false, failed: null };
    this.pending = [...this.pending, each];
    void this.#say(each);
  }

  again(key: number): void {
    const each = this.pending.find((candidate) => candidate.key === key);
    if (!each) return;
    this.#change(key, { failed: null });
    void this.#say(each);
  }

  discard(key: number): void {
    this.pending = this.pending.filter((each) => each.key !== key);
  }

  /** The profile is locked: nothing readable stays, but what was not confirmed by a program that died is not lost. */
  forget(keepUnsaid: boolean): void {
    this.messages = [];
    this.loaded = false;
    this.complete = false;
    if (keepUnsaid) return;
    this.pending = [];
    this.draft = '';
  }

  get unsaid(): boolean {
    return this.pending.length > 0 || this.draft !== '';
  }

  async #say(each: Pending): Promise<void> {
    try {
      const { id, state } = await this.#runtime.command('send', { contact: this.contact, text: each.text, wait: 'no' });
      this.#settle(each, id, state);
    } catch (error) {
      const code = error instanceof RuntimeError ? error.code : 'internal';
      this.#change(each.key, code === 'cut_off' ? { unsure: true } : { failed: code });
    }
  }

  #settle(each: Pending, id: number, state: MessageState): void {
    this.discard(each.key);
    if (this.messages.some((message) => message.id === id)) return this.state(id, state);
    // Its event is on the way; until then the answer says enough.
    this.#take([
      {
        id,
        conversation: '',
        contact: this.contact,
        direction: 'out',
        text: each.text,
        sent_at: each.written_at,
        state,
      } as Message,
    ]);
  }

  #take(news: Message[]): void {
    const known = this.messages;
    this.messages = merge(known, news);
    if (this.messages === known || this.pending.length === 0) return;
    const keys = confirmed(this.pending, this.messages);
    if (keys.size > 0) this.pending = this.pending.filter((each) => !keys.has(each.key));
  }

  /** What the program does not have, now that its newest page is here, is said again. */
  #resend(): void {
    for (const each of this.pending) {
      if (!each.unsure) continue;
      this.#change(each.key, { unsure: false });
      void this.#say(each);
    }
  }

  #change(key: number, change: Partial<Pending>): void {
    this.pending = this.pending.map((each) => (each.key === key ? { ...each, ...change } : each));
  }
}
