import type { Contact, Conversation, Message, MessageState } from '$lib/api/types';
import { later } from '$lib/model/messages';
import { folded } from '$lib/model/text';

/** The conversations, newest first, with what the list shows of each. */
export class People {
  all = $state.raw<Conversation[]>([]);
  loaded = $state(false);
  query = $state('');
  unread = $derived(this.all.reduce((sum, each) => sum + each.unread, 0));
  shown = $derived.by(() => {
    const query = folded(this.query.trim());
    return query === '' ? this.all : this.all.filter((each) => folded(each.contact.name).includes(query));
  });

  find(contact: string): Conversation | undefined {
    return this.all.find((each) => each.contact.contact === contact);
  }

  ofConversation(conversation: string): Contact | undefined {
    return this.all.find((each) => each.contact.conversation === conversation)?.contact;
  }

  /** What the program says. False if it is older than what has been seen since: to be asked again. */
  load(answer: Conversation[], whatever = false): boolean {
    const older = answer.some((each) => (this.find(each.contact.contact)?.last?.id ?? 0) > (each.last?.id ?? 0));
    if (older && !whatever) return false;
    this.all = answer;
    this.loaded = true;
    return true;
  }

  /** A new contact, or a changed one. True if it is new. */
  contact(contact: Contact): boolean {
    const known = this.find(contact.contact);
    if (known) this.#replace({ ...known, contact });
    else this.all = [{ contact, last: null, unread: 0, draft: null }, ...this.all];
    return known === undefined;
  }

  /** True if its conversation is not known yet. */
  message(message: Message): boolean {
    const known = this.find(message.contact);
    if (!known) return true;
    const last = known.last;
    if (last && last.id > message.id) return false;
    const isNew = last?.id !== message.id;
    const counts = isNew && message.direction === 'in' && message.notice === undefined;
    const state = last && !isNew ? later(last.state, message.state) : message.state;
    this.#replace({ ...known, last: { ...message, state }, unread: known.unread + (counts ? 1 : 0) }, isNew);
    return false;
  }

  state(id: number, state: MessageState): void {
    const known = this.all.find((each) => each.last?.id === id);
    if (known?.last) this.#replace({ ...known, last: { ...known.last, state: later(known.last.state, state) } });
  }

  read(contact: string, unread: number): void {
    const known = this.find(contact);
    if (known && known.unread !== unread) this.#replace({ ...known, unread });
  }

  draft(contact: string, text: string): void {
    const known = this.find(contact);
    if (known) this.#replace({ ...known, draft: text === '' ? null : text });
  }

  clear(): void {
    this.all = [];
    this.loaded = false;
    this.query = '';
  }

  #replace(conversation: Conversation, toTop = false): void {
    const isIt = (each: Conversation): boolean => each.contact.contact === conversation.contact.contact;
    this.all = toTop
      ? [conversation, ...this.all.filter((each) => !isIt(each))]
      : this.all.map((each) => (isIt(each) ? conversation : each));
  }
}
