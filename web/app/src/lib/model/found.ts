// What was found, cut into what is marked and what is not.
import type { Found } from '$lib/api/types';

/** The longest search, as a field counts it: the program takes 256 bytes, and each of these has at most three. */
export const MAX_SEARCH_LENGTH = 80;

/** Whether there is a word in it. The program refuses what has none. */
export function isSearch(text: string): boolean {
  return /[\p{L}\p{N}]/u.test(text);
}

export interface Piece {
  text: string;
  marked: boolean;
}

/** Marks are counted in characters, which is not how this language counts. */
export function pieces({ snippet, marks }: Pick<Found, 'snippet' | 'marks'>): Piece[] {
  const characters = Array.from(snippet);
  const found: Piece[] = [];
  let at = 0;
  const cut = (to: number, marked: boolean): void => {
    if (to > at) found.push({ text: characters.slice(at, to).join(''), marked });
    at = Math.max(at, to);
  };
  for (const [from, to] of marks) {
    cut(from, false);
    cut(to, true);
  }
  cut(characters.length, false);
  return found;
}
