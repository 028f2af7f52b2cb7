// The frames of the socket and what each command is answered with: docs/cli.md, "The daemon's interface".
import type { Contact, Conversation, ErrorBody, Message, MessageState, Status } from './types';

/** Every command the page gives, and its answer. */
export interface Answers {
  invite: [Record<never, never>, { link: string }];
  accept: [{ link: string }, Contact];
  conversations: [Record<never, never>, { conversations: Conversation[] }];
  safety_number: [{ contact: string }, { safety_number: string }];
  set_verified: [{ contact: string; verified: boolean }, Contact];
  send: [{ contact: string; text: string; wait: 'no' | 'stored' | 'delivered' }, { id: number; state: MessageState }];
  messages: [{ contact: string; before: number | null; limit: number }, { messages: Message[] }];
  mark_read: [{ contact: string; up_to: number }, Record<never, never>];
  status: [Record<never, never>, Status];
}
export type CommandName = keyof Answers;
export type Arguments<C extends CommandName> = Answers[C][0];
export type Answer<C extends CommandName> = Answers[C][1];

export interface Pace {
  name: string;
  packets_per_second: number;
  bytes_per_month: number;
  message_seconds: number;
}

export type ProfileState = 'absent' | 'locked' | 'open';

export interface Welcome {
  version: string;
  profile: ProfileState;
  name: string | null;
  place: number | null;
  /** The network that a new profile would be in. */
  network: string | null;
  paces: Pace[];
}

/** What happened, and its place in the order of changes. */
export type Happening = { seq: number } & (
  | ({ event: 'message' } & Message)
  | { event: 'message_state'; id: number; conversation: string; state: MessageState }
  | ({ event: 'contact' } & Contact)
  | { event: 'read'; conversation: string; contact: string; up_to: number; unread: number }
  | { event: 'invitation_failed'; reason: string }
  | { event: 'accept_failed'; error: ErrorBody }
  | { event: 'epoch_changed'; conversation: string; epoch: number }
  | { event: 'alert'; conversation: string; alert: 'unreadable' | 'missed' | 'other' }
  | ({ event: 'status' } & Status)
  | { event: 'stopping' }
);

export type FromDaemon =
  | ({ type: 'welcome' } & Welcome)
  | { type: 'response'; id: number; response: unknown }
  | { type: 'error'; id: number | null; error: ErrorBody }
  | { type: 'event'; event: Happening };
