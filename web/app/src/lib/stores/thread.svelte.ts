import type { Message, MessageState } from '$lib/api/types';
import { advance, merge } from '$lib/model/messages';
import { confirmed, type Pending } from '$lib/model/pending';
import { RuntimeError, type Runtime } from '$lib/runtime/runtime';
import { Draft } from './draft.svelte';

/** As many messages as are asked for at once. */
export const PAGE = 50;

/** As many are loaded at most; where there would be more, the end that nobody looks at is let go. */
export const MOST_LOADED = 10 * PAGE;
/** So many stay then, so that it does not happen with every message. */
const KEPT_LOADED = 8 * PAGE;

/**
 * One conversation: the messages that are loaded, what is being written and what is being sent. The loaded ones have no
 * gap between them; they end with the newest, unless somebody has gone to an old one.
 */
export class Thread {
  readonly contact: string;
  readonly draft: Draft;
  messages = $state.raw<Message[]>([]);
  pending = $state.raw<Pending[]>([]);
  loaded = $state(false);
  loading = $state(false);
  /** Nothing lies before the first loaded message. */
  complete = $state(false);
  /** Somebody reads what lies before the end: what is loaded stays where it is, whatever comes. */
  held = false;
  /** The newest message that is known of, loaded or not. */
  #heard = $state(0);
  #runtime: Runtime;
  #lastKey = 0;

  constructor(runtime: Runtime, contact: string, draft: string) {
    this.#runtime = runtime;
    this.contact = contact;
    this.draft = new Draft(runtime, contact, draft);
  }

  // No `$derived`: it would end with the component in which the thread was made.
  get newest(): number {
    return this.messages.at(-1)?.id ?? 0;
  }

  get heard(): number {
    return this.#heard;
  }

  /** There are messages behind the last loaded one. */
  get later(): boolean {
    return this.messages.length > 0 && this.newest < this.#heard;
  }

  /** The newest page; also after the link was away, to learn what became of what is pending. */
  async load(): Promise<void> {
    const page = await this.#page({});
    // Who reads an old page goes on reading it.
    if (!this.later && !this.#isFull) this.#join(page);
    if (!this.held) this.#letEarlierGo();
    this.#hear(page);
    this.#confirm(page);
    this.loaded = true;
    this.#resend();
  }

  /** Back to the newest page from an old one. */
  async loadNewest(): Promise<void> {
    const page = await this.#page({});
    this.#replace(page, page.length < PAGE);
    this.#hear(page);
  }

  async loadEarlier(): Promise<void> {
    const first = this.messages[0];
    if (this.loading || this.complete || !first) return;
    await this.#load({ before: first.id }, (page) => {
      // What it comes before was let go meanwhile.
      if (this.messages[0]?.id !== first.id) return;
      if (page.length < PAGE) this.complete = true;
      this.#take(page);
      if (this.messages.length > MOST_LOADED) this.messages = this.messages.slice(0, KEPT_LOADED);
    });
  }

  async loadLater(): Promise<void> {
    if (this.loading || !this.later) return;
    const last = this.newest;
    await this.#load({ after: last }, (page) => {
      // What it comes after was let go meanwhile.
      if (this.newest !== last) return;
      this.#take(page);
      this.#letEarlierGo();
      // What was heard of and is not there has been deleted meanwhile.
      if (page.length === 0) this.#heard = this.newest;
    });
  }

  /** The messages around one of them; false if it is not there. */
  async loadAround(id: number): Promise<boolean> {
    if (this.messages.some((message) => message.id === id)) return true;
    const limit = PAGE / 2;
    const [before, after, last] = await Promise.all([
      this.#page({ before: id + 1, limit }),
      this.#page({ after: id, limit }),
      this.#page({ limit: 1 }),
    ]);
    if (before.at(-1)?.id !== id) return false;
    this.#hear(last);
    this.#replace([...before, ...after], before.length < limit);
    this.loaded = true;
    return true;
  }

  message(message: Message): void {
    const first = this.complete ? 0 : (this.messages[0]?.id ?? 0);
    const follows = !this.later && !this.#isFull;
    const joins = message.id >= first && (follows || message.id <= this.newest);
    this.#hear([message]);
    if (!joins) return;
    this.#take([message]);
    if (!this.held) this.#letEarlierGo();
  }

  state(id: number, state: MessageState): void {
    this.messages = advance(this.messages, id, state);
  }

  send(text: string, now: number): void {
    this.#lastKey += 1;
    const after = Math.max(this.newest, this.#heard);
    const each: Pending = { key: this.#lastKey, text, written_at: now, after, unsure: false, failed: null };
    this.pending = [...this.pending, each];
    this.draft.sent();
    void this.#say(each);
    // Who answers wants to see the end. A link that breaks meanwhile is told by what is pending.
    if (this.later) this.loadNewest().catch(() => undefined);
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
    this.#heard = 0;
    this.loaded = false;
    this.complete = false;
    this.draft.forget(keepUnsaid);
    if (!keepUnsaid) this.pending = [];
  }

  get unsaid(): boolean {
    return this.pending.length > 0;
  }

  async #page(which: { before?: number; after?: number; limit?: number }): Promise<Message[]> {
    const { messages } = await this.#runtime.command('messages', { contact: this.contact, limit: PAGE, ...which });
    return messages;
  }

  async #load(which: { before?: number; after?: number }, take: (page: Message[]) => void): Promise<void> {
    this.loading = true;
    try {
      take(await this.#page(which));
    } finally {
      this.loading = false;
    }
  }

  /** Puts the newest page to what is loaded, or in its place if more than a page came while the link was away. */
  #join(page: Message[]): void {
    const gap = this.messages.length > 0 && (page[0]?.id ?? 0) > this.newest;
    const whole = page.length < PAGE;
    if (gap) this.#replace(page, whole);
    else this.#take(page);
    if (whole) this.complete = true;
    else if (!this.loaded) this.complete = false;
  }

  /** Nothing is put behind what is loaded: somebody reads it. */
  get #isFull(): boolean {
    return this.held && this.messages.length >= MOST_LOADED;
  }

  #letEarlierGo(): void {
    if (this.messages.length <= MOST_LOADED) return;
    this.messages = this.messages.slice(-KEPT_LOADED);
    this.complete = false;
  }

  #replace(messages: Message[], complete: boolean): void {
    this.messages = messages;
    this.complete = complete;
  }

  #hear(messages: Message[]): void {
    this.#heard = Math.max(this.#heard, messages.at(-1)?.id ?? 0);
  }

  async #say(each: Pending): Promise<void> {
    try {
      const args = { contact: this.contact, text: each.text, wait: 'no' } as const;
      // Unless something else was begun meanwhile: then the draft is that.
      const from = this.draft.text === '' ? { from_draft: this.#runtime.face } : {};
      const { id, state } = await this.#runtime.command('send', { ...args, ...from });
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
    this.message({
      id,
      conversation: '',
      contact: this.contact,
      direction: 'out',
      text: each.text,
      sent_at: each.written_at,
      state,
    } as Message);
    // Whoever says something wants to see it.
    if (this.later) this.loadNewest().catch(() => undefined);
  }

  #take(news: Message[]): void {
    const known = this.messages;
    this.messages = merge(known, news);
    if (this.messages !== known) this.#confirm(this.messages);
  }

  #confirm(messages: Message[]): void {
    if (this.pending.length === 0) return;
    const keys = confirmed(this.pending, messages);
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
