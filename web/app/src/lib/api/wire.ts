// What is not in the generated types: which command is answered with what, and the page's words for the frames.
import type {
  Command,
  Contact,
  Conversation,
  Found,
  Invitation,
  Message,
  MessageState,
  Numbered,
  PaceChoice,
  ProfileState,
  Status,
  ToDaemon,
  Welcome,
} from './types';

export type { PaceChoice, ProfileState, Welcome };

/** What each command that the page gives is answered with: docs/cli.md. */
interface Answers {
  invite: { link: string };
  invitations: { invitations: Invitation[] };
  withdraw: Record<never, never>;
  accept: Contact;
  conversations: { conversations: Conversation[] };
  safety_number: { safety_number: string };
  set_verified: Contact;
  send: { id: number; state: MessageState };
  set_draft: Record<never, never>;
  messages: { messages: Message[] };
  search: { found: Found[]; more: boolean };
  mark_read: Record<never, never>;
  status: Status;
}

export type CommandName = keyof Answers & Command['command'];
export type Arguments<C extends CommandName> = Omit<Extract<Command, { command: C }>, 'command'>;
export type Answer<C extends CommandName> = Answers[C];

/** What happened, and its place in the order of changes. */
export type Happening = Numbered;

/** What is answered: a frame of the page without the number that its answer will have. */
export type Asked = ToDaemon extends infer Each ? (Each extends { id: number } ? Omit<Each, 'id'> : never) : never;
