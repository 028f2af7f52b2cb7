// Lists of messages as a conversation shows them: by id, each once, never going back in its state.
import type { Message, MessageState } from '$lib/api/types';

const RANK: Record<MessageState, number> = { waiting: 0, stored: 1, delivered: 2, received: 3 };

/** The later of two states of one message. Answers and events may cross on their way. */
export function later(a: MessageState, b: MessageState): MessageState {
  return RANK[a] >= RANK[b] ? a : b;
}

/** `known` and `news` together; `known` itself if nothing is new. Both are ordered by id. */
export function merge(known: Message[], news: Message[]): Message[] {
  const merged = new Map(known.map((message) => [message.id, message]));
  let changed = false;
  for (const message of news) {
    const old = merged.get(message.id);
    const state = old ? later(old.state, message.state) : message.state;
    if (old && old.state === state) continue;
    merged.set(message.id, { ...message, state });
    changed = true;
  }
  return changed ? [...merged.values()].sort((a, b) => a.id - b.id) : known;
}

/** One message moves on; `known` itself if it is not there or was further already. */
export function advance(known: Message[], id: number, state: MessageState): Message[] {
  const at = known.findIndex((message) => message.id === id);
  const message = known[at];
  if (!message || later(message.state, state) === message.state) return known;
  return known.with(at, { ...message, state });
}
