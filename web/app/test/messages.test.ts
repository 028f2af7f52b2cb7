import { describe, expect, it } from 'vitest';
import type { Message, MessageState } from '$lib/api/types';
import { advance, merge } from '$lib/model/messages';
import { confirmed, type Pending } from '$lib/model/pending';

function message(id: number, state: MessageState, text = `text ${id}`): Message {
  const direction = state === 'received' ? 'in' : 'out';
  return { id, conversation: 'c', contact: 'p', direction, text, sent_at: id, state } as Message;
}

function pending(key: number, text: string, after: number): Pending {
  return { key, text, written_at: 0, after, unsure: false, failed: null };
}

describe('merging', () => {
  const news = [message(1, 'received'), message(2, 'waiting'), message(2, 'delivered'), message(3, 'stored')];

  it('comes to the same in every order, with each message once', () => {
    const forwards = news.reduce<Message[]>((known, each) => merge(known, [each]), []);
    const backwards = news.toReversed().reduce<Message[]>((known, each) => merge(known, [each]), []);
    expect(forwards).toEqual(backwards);
    expect(forwards.map((each) => each.id)).toEqual([1, 2, 3]);
    expect(forwards[1]?.state).toBe('delivered');
  });

  it('gives the list itself if there is nothing new', () => {
    const known = merge([], news);
    expect(merge(known, news)).toBe(known);
  });
});

describe('a state', () => {
  it('never goes back', () => {
    const known = [message(2, 'delivered')];
    expect(advance(known, 2, 'stored')).toBe(known);
    expect(advance([message(2, 'waiting')], 2, 'stored')[0]?.state).toBe('stored');
  });

  it('of an unknown message changes nothing', () => {
    const known = [message(2, 'waiting')];
    expect(advance(known, 9, 'stored')).toBe(known);
  });
});

describe('what is pending', () => {
  it('is confirmed by a later message of the same text, one for one', () => {
    const messages = [message(4, 'stored', 'yes'), message(6, 'waiting', 'yes')];
    expect(confirmed([pending(1, 'yes', 5), pending(2, 'yes', 5)], messages)).toEqual(new Set([1]));
  });

  it('is not confirmed by what the other side says', () => {
    expect(confirmed([pending(1, 'yes', 0)], [message(7, 'received', 'yes')]).size).toBe(0);
  });
});
