import type { Contact, Invitation, InvitationState } from '$lib/api/types';
import { RuntimeError, type Runtime } from '$lib/runtime/runtime';

export interface Trouble {
  code: string;
  message: string;
}

export function asTrouble(error: unknown): Trouble {
  if (error instanceof RuntimeError) return { code: error.code, message: error.message };
  return { code: 'internal', message: String(error) };
}

/** Meeting people: the invitations that are open, and the one that is being accepted. */
export class Meeting {
  /** As the program has them, oldest first. */
  invitations = $state.raw<Invitation[]>([]);
  /** The one that somebody wanted to see; otherwise the newest. */
  chosen = $state<string | null>(null);
  inviteTrouble = $state.raw<Trouble | null>(null);
  /** Who accepted the one that was shown. */
  met = $state.raw<Contact | null>(null);

  /** What stands in the field of the link to accept. */
  given = $state('');
  /** It came by opening a link rather than by one's own hand. */
  opened = $state(false);
  accepting = $state(false);
  acceptTrouble = $state.raw<Trouble | null>(null);
  /** This tab has asked for one, and has no answer yet. */
  #asking = $state(false);
  /** The one that was shown has been accepted; by whom is told next. */
  #accepted = false;
  #runtime: Runtime;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** The one that is shown. */
  get current(): Invitation | undefined {
    return this.invitations.find((each) => each.invitation === this.chosen) ?? this.invitations.at(-1);
  }

  get making(): boolean {
    return (this.#asking && this.chosen === null) || this.current?.link === null;
  }

  async invite(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    this.chosen = null;
    this.met = null;
    this.inviteTrouble = null;
    try {
      const { link } = await this.#runtime.command('invite', {});
      await this.load();
      this.chosen ??= this.invitations.find((each) => each.link === link)?.invitation ?? null;
    } catch (error) {
      // The only thing that can be wrong with the question: it was taken back before it was answered.
      if (!(error instanceof RuntimeError && error.code === 'invalid')) this.inviteTrouble = asTrouble(error);
    } finally {
      this.#asking = false;
    }
  }

  async load(): Promise<void> {
    const { invitations } = await this.#runtime.command('invitations', {});
    this.invitations = invitations;
  }

  async withdraw(invitation: string): Promise<void> {
    this.inviteTrouble = null;
    try {
      await this.#runtime.command('withdraw', { invitation });
      // Told to all tabs as well; this one need not wait for it.
      this.invitations = this.invitations.filter((each) => each.invitation !== invitation);
    } catch (error) {
      this.inviteTrouble = asTrouble(error);
    }
  }

  /** An invitation has moved on. */
  moved(invitation: string, state: InvitationState): void {
    if (state === 'accepted' && invitation === this.current?.invitation) this.#accepted = true;
    // A link that breaks meanwhile brings a new welcome, and the list.
    this.load().catch(() => undefined);
  }

  async accept(link: string): Promise<Contact | null> {
    if (this.accepting) return null;
    this.accepting = true;
    this.acceptTrouble = null;
    try {
      const contact = await this.#runtime.command('accept', { link });
      this.given = '';
      this.opened = false;
      return contact;
    } catch (error) {
      this.acceptTrouble = asTrouble(error);
      return null;
    } finally {
      this.accepting = false;
    }
  }

  /** Somebody new is there; `shown` if the invitation is what this tab shows. */
  arrived(contact: Contact, shown: boolean): void {
    if (this.#accepted && shown) this.met = contact;
    this.#accepted = false;
  }

  offer(link: string): void {
    this.given = link;
    this.opened = true;
    this.acceptTrouble = null;
  }

  clear(): void {
    this.invitations = [];
    this.chosen = null;
    this.met = null;
    this.inviteTrouble = null;
    this.acceptTrouble = null;
  }
}
