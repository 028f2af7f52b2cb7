import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Draft, KEEP_AFTER_MS } from '$lib/stores/draft.svelte';
import { Program } from './runtime';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function begin(kept = ''): { program: Program; draft: Draft; kept: () => unknown[]; type: (text: string) => void } {
  const program = new Program();
  const draft = new Draft(program, 'a', kept);
  const type = (text: string): void => {
    draft.text = text;
    draft.typed();
  };
  return { program, draft, type, kept: () => program.of('set_draft').map((args) => args['text']) };
}

describe('a draft', () => {
  it('is kept once a second while one types, and at once when one leaves', () => {
    const { draft, kept, type } = begin();
    for (let at = 1; at <= 25; at += 1) {
      type('x'.repeat(at));
      vi.advanceTimersByTime(100);
    }
    expect(kept()).toEqual(['x'.repeat(10), 'x'.repeat(20)]);
    draft.keep();
    expect(kept().at(-1)).toBe('x'.repeat(25));
    draft.keep();
    vi.advanceTimersByTime(10 * KEEP_AFTER_MS);
    expect(kept()).toHaveLength(3);
  });

  it('takes what another tab wrote, unless something newer is written here', () => {
    const { draft, kept, type } = begin('half');
    draft.told('half a sen');
    expect(draft.text).toBe('half a sen');
    type('mine');
    draft.told('theirs');
    expect(draft.text).toBe('mine');
    vi.advanceTimersByTime(KEEP_AFTER_MS);
    expect(kept()).toEqual(['mine']);
    draft.told('');
    expect(draft.text).toBe('');
  });

  it('is gone when it is sent, and is not kept after that', () => {
    const { draft, kept, type } = begin();
    type('hello');
    draft.sent();
    vi.advanceTimersByTime(KEEP_AFTER_MS);
    expect([draft.text, kept()]).toEqual(['', []]);
  });

  it('is said in another way when the page goes, also what nobody has confirmed', async () => {
    const { program, draft, kept, type } = begin();
    draft.part();
    expect(program.parted).toEqual([]);
    type('half');
    draft.part();
    draft.part();
    expect(program.parted).toEqual([{ contact: 'a', text: 'half', face: 'this tab' }]);
    expect(kept()).toEqual([]);
    type('half a sen');
    draft.keep();
    draft.part();
    expect(program.parted.at(-1)?.text).toBe('half a sen');
    await vi.advanceTimersByTimeAsync(0);
    draft.part();
    expect(program.parted).toHaveLength(2);
  });

  it('that is too long for a message is not kept', () => {
    const { draft, kept, type } = begin();
    type('x'.repeat(8192));
    draft.keep();
    type('x'.repeat(8193));
    draft.keep();
    expect(kept().map((text) => (text as string).length)).toEqual([8192]);
  });

  it('outlives a program that died, and ends with a lock', async () => {
    const { program, draft, kept, type } = begin();
    program.away = true;
    type('still here');
    await vi.advanceTimersByTimeAsync(KEEP_AFTER_MS);
    draft.forget(true);
    program.away = false;
    draft.told('older');
    expect(draft.text).toBe('still here');
    vi.advanceTimersByTime(KEEP_AFTER_MS);
    expect(kept()).toEqual(['still here', 'still here']);
    draft.forget(false);
    expect(draft.text).toBe('');
    draft.told('as the program has it');
    expect(draft.text).toBe('as the program has it');
  });
});
