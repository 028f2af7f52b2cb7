import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Found } from '$lib/api/types';
import { Finder } from '$lib/stores/finder.svelte';
import { Program } from './runtime';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const found = (id: number): Found => ({ id, snippet: `t${id}`, marks: [] }) as unknown as Found;

function begin(): { program: Program; finder: Finder; pause: () => Promise<unknown> } {
  const program = new Program();
  program.answers.search = ({ words, before }) => {
    if (words === 'many') return { found: [found(before === undefined ? 9 : 8)], more: before === undefined };
    return { found: words === 'a' ? [found(1)] : [], more: false };
  };
  return { program, finder: new Finder(program), pause: () => vi.advanceTimersByTimeAsync(500) };
}

describe('a search', () => {
  it('begins when one pauses, and asks for nothing that has no word', async () => {
    const { program, finder, pause } = begin();
    for (const typed of ['m', 'ma', 'man', 'many ']) finder.seek(typed);
    expect(finder.busy).toBe(true);
    await pause();
    expect(program.of('search')).toEqual([{ words: 'many' }]);
    expect([finder.busy, finder.words, finder.found.length, finder.more]).toEqual([false, 'many', 1, true]);
    finder.seek(' ?! ');
    await pause();
    expect([finder.found.length, program.calls.length]).toEqual([0, 1]);
  });

  it('goes on where a page ended', async () => {
    const { program, finder, pause } = begin();
    finder.scope = 'somebody';
    finder.seek('many');
    await pause();
    await finder.loadMore();
    await finder.loadMore();
    expect(finder.found.map((each) => each.id)).toEqual([9, 8]);
    expect(program.of('search')).toEqual([
      { words: 'many', contact: 'somebody' },
      { words: 'many', contact: 'somebody', before: 9 },
    ]);
  });

  it('shows nothing of an earlier one that is answered late', async () => {
    const { program, finder, pause } = begin();
    let answer: ((page: unknown) => void) | undefined;
    const usual = program.answers.search as () => unknown;
    program.answers.search = () => new Promise((resolve) => (answer = resolve));
    finder.seek('slow');
    await pause();
    program.answers.search = usual;
    finder.seek('a');
    await pause();
    answer?.({ found: [found(77)], more: true });
    await pause();
    expect([finder.words, finder.found.map((each) => each.id), finder.more]).toEqual(['a', [1], false]);
  });

  it('says what went wrong, and forgets it with the next', async () => {
    const { program, finder, pause } = begin();
    program.away = true;
    finder.seek('a');
    await pause();
    expect([finder.trouble?.code, finder.busy]).toEqual(['cut_off', false]);
    program.away = false;
    finder.seek('a');
    await pause();
    expect([finder.trouble, finder.found.length]).toEqual([null, 1]);
  });
});
