import { getContext, setContext, tick } from 'svelte';
import type { Message, MessageState, Status } from '$lib/api/types';
import type { Happening, PaceChoice, ProfileState, Welcome } from '$lib/api/wire';
import { errorText, t } from '$lib/i18n/i18n.svelte';
import { noticeText } from '$lib/i18n/notice';
import type { LinkState, Listener, Runtime } from '$lib/runtime/runtime';
import { Finder } from './finder.svelte';
import { Meeting } from './meeting.svelte';
import { People } from './people.svelte';
import { Route } from './route.svelte';
import { Speaker } from './speaker.svelte';
import { Thread } from './thread.svelte';

/** Everything the page knows, and the one place where happenings come in. */
export class App implements Listener {
  readonly runtime: Runtime;
  readonly people = new People();
  readonly meeting: Meeting;
  readonly finder: Finder;
  readonly route = new Route();
  readonly speaker = new Speaker();
  linkState = $state.raw<LinkState>({ state: 'connecting' });
  profile = $state<ProfileState | null>(null);
  name = $state<string | null>(null);
  version = $state('');
  /** The network that a new profile would be in. */
  network = $state<string | null>(null);
  paces = $state.raw<PaceChoice[]>([]);
  status = $state.raw<Status | null>(null);
  #threads = new Map<string, Thread>();
  /** Until the first welcome of a new link. */
  #reconnected = false;

  constructor(runtime: Runtime) {
    this.runtime = runtime;
    this.meeting = new Meeting(runtime);
    this.finder = new Finder(runtime);
  }

  thread(contact: string): Thread {
    let thread = this.#threads.get(contact);
    if (!thread) {
      thread = new Thread(this.runtime, contact, this.people.find(contact)?.draft ?? '');
      this.#threads.set(contact, thread);
    }
    return thread;
  }

  /** Opens the invitation that is there, or makes one: because somebody asked for it, never because a view was opened again. */
  invite(): void {
    if (this.meeting.invitations.length === 0) void this.meeting.invite();
    this.route.go({ view: 'invite' });
  }

  /** Opens a conversation. If it is open already, one wants to write. */
  talk(contact: string): void {
    this.route.go({ view: 'talk', contact });
    document.getElementById('composer')?.focus();
  }

  /** Goes to the field for searching: in all conversations, or in the one with a contact. */
  async search(contact: string | null): Promise<void> {
    this.finder.scope = contact;
    // The field is beside what is open, if there is room, and otherwise in the list.
    if (!matchMedia('(width >= 800px)').matches) this.route.go({ view: 'list' });
    await tick();
    const field = document.getElementById('search');
    if (field instanceof HTMLInputElement) {
      field.focus();
      field.select();
    }
  }

  link(state: LinkState): void {
    this.linkState = state;
    if (state.state === 'up') this.#reconnected = true;
    if (state.state === 'shut') this.#forget(false);
  }

  welcome(welcome: Welcome, again: boolean): void {
    // What nobody has confirmed outlives a program that died; it does not outlive a person who locks.
    const keepUnsaid = this.#reconnected;
    this.#reconnected = false;
    this.profile = welcome.profile;
    this.version = welcome.version;
    this.paces = welcome.paces;
    this.network = welcome.network;
    this.name = welcome.name ?? (welcome.profile === 'open' ? this.name : null);
    if (welcome.profile !== 'open') return this.#forget(keepUnsaid);
    if (!again) this.#forget(true);
    void this.#refresh();
  }

  happened(happening: Happening): void {
    switch (happening.event) {
      case 'message':
        this.#threads.get(happening.contact)?.message(happening);
        if (this.people.message(happening)) void this.#loadPeople();
        if (happening.direction === 'in') this.#announce(happening);
        return;
      case 'message_state':
        this.people.state(happening.id, happening.state);
        for (const thread of this.#threads.values()) thread.state(happening.id, happening.state);
        return this.#tellArrival(happening.conversation, happening.id, happening.state);
      case 'contact':
        if (this.people.contact(happening)) this.meeting.arrived(happening, this.route.place.view === 'invite');
        return;
      case 'draft':
        this.people.draft(happening.contact, happening.text);
        // Its own words a tab knows already, and perhaps newer ones.
        if (happening.face !== this.runtime.face) this.#threads.get(happening.contact)?.draft.told(happening.text);
        return;
      case 'invitation':
        return this.meeting.moved(happening.invitation, happening.state);
      case 'read':
        return this.people.read(happening.contact, happening.unread);
      case 'status':
        this.status = happening;
        this.name = happening.name;
        return;
      case 'alert': {
        const name = this.people.ofConversation(happening.conversation)?.name ?? '…';
        return this.speaker.notice(t(`alert.${happening.alert}`, { name }));
      }
      case 'invitation_failed':
        // Who took it back knows it.
        if (happening.reason === 'withdrawn') return;
        return this.speaker.notice(t(happening.reason === 'spoiled' ? 'invite.failed.spoiled' : 'invite.failed.expired'));
      case 'accept_failed':
        return this.speaker.notice(t('accept.failed', { reason: errorText(happening.error) }));
    }
  }

  /** All that is shown is read: up to the last message of the other side. */
  markRead(contact: string): void {
    const conversation = this.people.find(contact);
    const thread = this.thread(contact);
    if (!conversation || conversation.unread === 0 || thread.later) return;
    const last = thread.messages.findLast((message) => message.direction === 'in');
    if (!last) return;
    this.people.read(contact, 0);
    // If the link breaks now, the next list of conversations says how things stand.
    this.runtime.command('mark_read', { contact, up_to: last.id }).catch(() => undefined);
  }

  /** Asks how things stand. A link that breaks meanwhile brings a new welcome. */
  look(): Promise<void> {
    return this.runtime.command('status', {}).then((status) => this.#take(status)).catch(() => undefined);
  }

  async #refresh(): Promise<void> {
    const threads = [...this.#threads.values()].filter((thread) => thread.loaded || thread.unsaid);
    // A link that breaks meanwhile brings a new welcome.
    await Promise.allSettled([
      this.#loadPeople().then(() => this.#tellDrafts()),
      this.meeting.load(),
      this.look(),
      ...threads.map((thread) => thread.load()),
    ]);
  }

  #take(status: Status): void {
    this.status = status;
    this.name = status.name;
  }

  async #loadPeople(): Promise<void> {
    const { conversations } = await this.runtime.command('conversations', {});
    if (this.people.load(conversations)) return;
    // Something happened between question and answer: the next answer has it.
    const later = await this.runtime.command('conversations', {});
    this.people.load(later.conversations, true);
  }

  /** As the program has them at a new beginning. */
  #tellDrafts(): void {
    for (const thread of this.#threads.values()) thread.draft.told(this.people.find(thread.contact)?.draft ?? '');
  }

  #announce(message: Message): void {
    const { contact, notice } = message;
    const name = this.people.find(contact)?.contact.name ?? '…';
    if (notice === undefined) {
      const text = message.needs_newer_version ? t('list.newer') : message.text;
      return this.speaker.say(t('talk.arrived', { name, text }));
    }
    // In its open conversation the banner says it already.
    const told = notice !== 'missing' && this.route.place.view === 'talk' && this.route.contact === contact;
    if (!told) this.speaker.say(noticeText(message, name));
  }

  /** The last that one has said in the open conversation is there: one hears it without looking for it. */
  #tellArrival(conversation: string, id: number, state: MessageState): void {
    const contact = this.people.ofConversation(conversation);
    if (state !== 'delivered' || !contact || this.route.place.view !== 'talk' || this.route.contact !== contact.contact) return;
    const last = this.#threads.get(contact.contact)?.messages.findLast((message) => message.direction === 'out');
    if (last?.id === id) this.speaker.say(t('state.delivered.said', { name: contact.name }));
  }

  #forget(keepUnsaid: boolean): void {
    this.people.clear();
    this.finder.clear();
    this.status = null;
    if (!keepUnsaid) this.meeting.clear();
    for (const thread of this.#threads.values()) thread.forget(keepUnsaid);
  }
}

const CONTEXT = Symbol('app');

export function provideApp(app: App): App {
  return setContext(CONTEXT, app);
}

export function useApp(): App {
  return getContext<App>(CONTEXT);
}
