// What was written here and the program has not confirmed yet.
import type { Message } from '$lib/api/types';

export interface Pending {
  /** Of this tab alone. */
  key: number;
  text: string;
  written_at: number;
  /** The newest message that was known then: a confirmation has a greater id. */
  after: number;
  /** The link broke before the answer: whether the program has it must be looked up before it is said again. */
  unsure: boolean;
  /** The program refused it: its code. */
  failed: string | null;
}

/** Which of them the program has by now: the first of the same text, each message for one of them. */
export function confirmed(pending: Pending[], messages: Message[]): Set<number> {
  const keys = new Set<number>();
  const used = new Set<number>();
  for (const each of pending) {
    const message = messages.find(
      (candidate) =>
        candidate.direction === 'out' &&
        candidate.id > each.after &&
        candidate.text === each.text &&
        !used.has(candidate.id),
    );
    if (!message) continue;
    used.add(message.id);
    keys.add(each.key);
  }
  return keys;
}
