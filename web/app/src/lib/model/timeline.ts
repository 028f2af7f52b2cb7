// A conversation as rows: days, runs of messages by one person, what happened in between.
import type { Message, MessageState } from '$lib/api/types';
import type { Pending } from './pending';

/** Messages of one person within this time belong together. */
export const RUN_MS = 5 * 60 * 1000;

export type Row =
  | { kind: 'day'; key: string; time: number }
  | { kind: 'unread'; key: string }
  | { kind: 'notice'; key: string; message: Message }
  | { kind: 'message'; key: string; message: Message; first: boolean; last: boolean; stateShown: boolean }
  | { kind: 'pending'; key: string; pending: Pending; first: boolean; last: boolean };

interface Said {
  mine: boolean;
  time: number;
  state: MessageState | 'pending';
}

/** `unreadAfter`: the last message that had been read when the conversation was opened. */
export function timeline(messages: Message[], pending: Pending[], unreadAfter: number | null): Row[] {
  const rows: Row[] = [];
  let before: Said | null = null;
  let day = '';
  let divided = unreadAfter === null;

  // By clocks of two people a day may come back: its key is that of what comes first in it.
  const begin = (time: number, of: string): void => {
    const today = new Date(time).toDateString();
    if (today === day) return;
    day = today;
    before = null;
    rows.push({ kind: 'day', key: `day-${of}`, time });
  };

  messages.forEach((message, at) => {
    begin(message.sent_at, `m${message.id}`);
    if (!divided && message.direction === 'in' && message.id > (unreadAfter ?? 0)) {
      divided = true;
      before = null;
      rows.push({ kind: 'unread', key: 'unread' });
    }
    if (message.notice !== undefined) {
      before = null;
      rows.push({ kind: 'notice', key: `m${message.id}`, message });
      return;
    }
    const said: Said = { mine: message.direction === 'out', time: message.sent_at, state: message.state };
    const next = messages[at + 1] ?? asMessage(pending[0]);
    const last = !next || !joins(said, next);
    // In a run of one state the last message tells it for all.
    const stateShown = said.mine && (last || next?.state !== message.state);
    rows.push({ kind: 'message', key: `m${message.id}`, message, first: !before || !follows(before, said), last, stateShown });
    before = said;
  });

  pending.forEach((each, at) => {
    begin(each.written_at, `p${each.key}`);
    const said: Said = { mine: true, time: each.written_at, state: 'pending' };
    rows.push({ kind: 'pending', key: `p${each.key}`, pending: each, first: !before || !follows(before, said), last: at === pending.length - 1 });
    before = said;
  });
  return rows;
}

/** `rows`, with those of before that are the same: what has not changed is not drawn anew. */
export function kept(before: Row[], rows: Row[]): Row[] {
  const known = new Map(before.map((row) => [row.key, row]));
  return rows.map((row) => {
    const old = known.get(row.key);
    return old && isSame(old, row) ? old : row;
  });
}

function isSame(a: Row, b: Row): boolean {
  const other = new Map<string, unknown>(Object.entries(b));
  return Object.entries(a).every(([name, value]) => other.get(name) === value);
}

function follows(before: Said, said: Said): boolean {
  return before.mine === said.mine && Math.abs(said.time - before.time) < RUN_MS;
}

function joins(said: Said, next: Pick<Message, 'notice' | 'direction' | 'sent_at'>): boolean {
  if (next.notice !== undefined) return false;
  if (new Date(next.sent_at).toDateString() !== new Date(said.time).toDateString()) return false;
  return follows(said, { mine: next.direction === 'out', time: next.sent_at, state: 'pending' });
}

function asMessage(pending: Pending | undefined): Pick<Message, 'notice' | 'direction' | 'sent_at' | 'state'> | undefined {
  // Pending messages have no state of the program's yet; any that differs from "delivered" and "stored" will do.
  return pending && { direction: 'out', sent_at: pending.written_at, state: 'waiting' };
}
