import type { Contact } from '$lib/api/types';
import { RuntimeError, type Runtime } from '$lib/runtime/runtime';

export interface Trouble {
  code: string;
  message: string;
}

export function asTrouble(error: unknown): Trouble {
  if (error instanceof RuntimeError) return { code: error.code, message: error.message };
  return { code: 'internal', message: String(error) };
}

/** Meeting people: the invitation that is open in this tab, and the one that is being accepted. */
export class Meeting {
  link = $state<string | null>(null);
  making = $state(false);
  inviteTrouble = $state.raw<Trouble | null>(null);
  /** Who accepted it. */
  met = $state.raw<Contact | null>(null);

  /** What stands in the field of the link to accept. */
  given = $state('');
  /** It came by opening a link rather than by one's own hand. */
  opened = $state(false);
  accepting = $state(false);
  acceptTrouble = $state.raw<Trouble | null>(null);
  #runtime: Runtime;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  async invite(): Promise<void> {
    if (this.making) return;
    this.making = true;
    this.link = null;
    this.met = null;
    this.inviteTrouble = null;
    try {
      const { link } = await this.#runtime.command('invite', {});
      this.link = link;
    } catch (error) {
      this.inviteTrouble = asTrouble(error);
    } finally {
      this.making = false;
    }
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

  /** Somebody new is there. While an acceptance is under way it may be that one. */
  arrived(contact: Contact): void {
    if (this.link === null || this.accepting) return;
    this.met = contact;
    this.link = null;
  }

  offer(link: string): void {
    this.given = link;
    this.opened = true;
    this.acceptTrouble = null;
  }

  clear(): void {
    this.link = null;
    this.met = null;
    this.inviteTrouble = null;
    this.acceptTrouble = null;
  }
}
