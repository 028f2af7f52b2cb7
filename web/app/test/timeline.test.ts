import { describe, expect, it } from 'vitest';
import type { Message, MessageState } from '$lib/api/types';
import { kept, timeline, type Row } from '$lib/model/timeline';

const NOON = new Date(2026, 5, 17, 12, 0).getTime();
const MINUTE = 60_000;

function message(id: number, minutes: number, state: MessageState): Message {
  const direction = state === 'received' ? 'in' : 'out';
  return { id, conversation: 'c', contact: 'p', direction, text: 't', sent_at: NOON + minutes * MINUTE, state } as Message;
}

function kinds(rows: Row[]): string[] {
  return rows.map((row) => row.kind);
}

function ofMessage(rows: Row[], id: number): Extract<Row, { kind: 'message' }> {
  const row = rows.find((each) => each.kind === 'message' && each.message.id === id);
  if (row?.kind !== 'message') throw new Error(`no row for ${id}`);
  return row;
}

describe('the timeline', () => {
  it('puts a day above its messages', () => {
    const rows = timeline([message(1, -24 * 60, 'received'), message(2, 0, 'received')], [], null);
    expect(kinds(rows)).toEqual(['day', 'message', 'day', 'message']);
  });

  it('joins what one person says within minutes', () => {
    const rows = timeline([message(1, 0, 'received'), message(2, 1, 'received'), message(3, 2, 'stored'), message(4, 30, 'stored')], [], null);
    const ends = [1, 2, 3, 4].map((id) => [ofMessage(rows, id).first, ofMessage(rows, id).last]);
    expect(ends).toEqual([
      [true, false],
      [false, true],
      [true, true],
      [true, true],
    ]);
  });

  it('shows the state of each part of a run whose states differ', () => {
    const rows = timeline([message(1, 0, 'delivered'), message(2, 0, 'delivered'), message(3, 0, 'waiting')], [], null);
    expect([1, 2, 3].map((id) => ofMessage(rows, id).stateShown)).toEqual([false, true, true]);
  });

  it('marks where unread messages begin, once', () => {
    const rows = timeline([message(1, 0, 'received'), message(2, 0, 'received'), message(3, 0, 'received')], [], 1);
    expect(kinds(rows)).toEqual(['day', 'message', 'unread', 'message', 'message']);
  });

  it('keeps a notice apart from what is said', () => {
    const notice = { ...message(2, 0, 'received'), text: '', notice: 'missing', count: 2 } as Message;
    const rows = timeline([message(1, 0, 'received'), notice, message(3, 0, 'received')], [], null);
    expect(kinds(rows)).toEqual(['day', 'message', 'notice', 'message']);
    expect(ofMessage(rows, 1).last).toBe(true);
    expect(ofMessage(rows, 3).first).toBe(true);
  });

  it('has keys that differ, also when clocks do not agree', () => {
    const rows = timeline([message(1, 0, 'received'), message(2, -24 * 60, 'received'), message(3, 0, 'received')], [], null);
    expect(kinds(rows)).toEqual(['day', 'message', 'day', 'message', 'day', 'message']);
    expect(new Set(rows.map((row) => row.key)).size).toBe(rows.length);
  });

  it('has keys that stay', () => {
    const pending = [{ key: 1, text: 't', written_at: NOON, after: 1, unsure: false, failed: null }];
    const rows = timeline([message(1, 0, 'stored')], pending, null);
    expect(rows.map((row) => row.key)).toEqual(['day-m1', 'm1', 'p1']);
  });
});

describe('rows that have not changed', () => {
  it('are the same ones, so that only the others are drawn anew', () => {
    const messages = Array.from({ length: 100 }, (_, at) => message(at + 1, 0, 'stored'));
    const before = timeline(messages, [], null);
    const changed = messages.with(49, message(50, 0, 'delivered'));
    const rows = timeline([...changed, message(101, 0, 'received')], [], null);
    const after = kept(before, rows);
    expect(after).toEqual(rows);
    const drawn = after.filter((row) => !before.includes(row)).map((row) => row.key);
    // Its own, the one before it, behind which a part of another state begins now, and the new one.
    expect(drawn).toEqual(['m49', 'm50', 'm101']);
  });
});
