import { describe, expect, it } from 'vitest';
import type { Contact, Conversation, Message } from '$lib/api/types';
import { People } from '$lib/stores/people.svelte';

function contact(id: string, name: string): Contact {
  return { contact: id, name, conversation: `c-${id}`, verified: false, rejoined: false, rejoining: false };
}

function message(id: number, from: string, direction: 'in' | 'out' = 'in'): Message {
  const state = direction === 'in' ? 'received' : 'waiting';
  return { id, conversation: `c-${from}`, contact: from, direction, text: 't', sent_at: id, state } as Message;
}

function conversation(id: string, name: string, last: Message | null, unread = 0): Conversation {
  return { contact: contact(id, name), last, unread, draft: null };
}

function people(): People {
  const people = new People();
  people.load([conversation('a', 'Zoë', message(5, 'a'), 1), conversation('b', 'منى', null)]);
  return people;
}

const order = (people: People): string[] => people.all.map((each) => each.contact.contact);

describe('the list of people', () => {
  it('puts whoever wrote last on top, and counts what is unread', () => {
    const list = people();
    expect(list.message(message(6, 'b'))).toBe(false);
    expect(order(list)).toEqual(['b', 'a']);
    expect(list.unread).toBe(2);
    list.message(message(7, 'a', 'out'));
    expect(order(list)).toEqual(['a', 'b']);
    expect(list.unread).toBe(2);
  });

  it('counts a message once, however often it is told of it', () => {
    const list = people();
    list.message(message(5, 'a'));
    list.message(message(4, 'a'));
    expect(list.unread).toBe(1);
    expect(list.find('a')?.last?.id).toBe(5);
  });

  it('says when somebody is not known yet', () => {
    const list = people();
    expect(list.message(message(9, 'c'))).toBe(true);
    expect(list.contact(contact('c', 'Bea'))).toBe(true);
    expect(list.contact(contact('c', 'Bea'))).toBe(false);
  });

  it('refuses an answer that is older than what has happened since', () => {
    const list = people();
    list.message(message(8, 'a'));
    expect(list.load([conversation('a', 'Zoë', message(5, 'a'), 1)])).toBe(false);
    expect(list.find('a')?.unread).toBe(2);
  });

  it('moves the state of a last message forwards only', () => {
    const list = people();
    list.message(message(8, 'a', 'out'));
    list.state(8, 'delivered');
    list.state(8, 'stored');
    list.message(message(8, 'a', 'out'));
    expect(list.find('a')?.last?.state).toBe('delivered');
  });

  it('is searched without marks and capitals', () => {
    const list = people();
    list.query = ' zoe';
    expect(list.shown.map((each) => each.contact.contact)).toEqual(['a']);
    list.query = 'منى';
    expect(list.shown.map((each) => each.contact.contact)).toEqual(['b']);
  });
});
