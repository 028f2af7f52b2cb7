import { describe, expect, it } from 'vitest';
import { Inbox } from '$lib/runtime/inbox';

/** In which task each was handed on: a microtask, as the page's drawing is, comes after all of one. */
function begin(isAwaited: (item: number) => boolean): { inbox: Inbox<number>; taken: number[]; tasks: number[] } {
  const taken: number[] = [];
  const tasks: number[] = [];
  let task = 0;
  const inbox = new Inbox<number>((item) => {
    taken.push(item);
    tasks.push(task);
    queueMicrotask(() => (task = taken.length));
  }, isAwaited);
  return { inbox, taken, tasks };
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, at) => at);

describe('what comes over the link', () => {
  it('is handed on in its order, in one task', async () => {
    const { inbox, taken, tasks } = begin(() => false);
    upTo(100).forEach((item) => inbox.put(item));
    expect(taken).toEqual([]);
    await expect.poll(() => taken.length).toBe(100);
    expect(taken).toEqual(upTo(100));
    expect(new Set(tasks).size).toBe(1);
    inbox.put(100);
    await expect.poll(() => taken.at(-1)).toBe(100);
    inbox.close();
  });

  it('is taken by whoever waits for it before anything else is handed on', async () => {
    const seen: string[] = [];
    let answer: (item: number) => void = () => undefined;
    const asked = new Promise<number>((resolve) => (answer = resolve));
    const waits = asked.then((item) => seen.push(`answer ${item}`));
    const inbox = new Inbox<number>(
      (item) => (item === 1 ? answer(item) : seen.push(`event ${item}`)),
      (item) => item === 1,
    );
    upTo(4).forEach((item) => inbox.put(item));
    await waits;
    await expect.poll(() => seen.length).toBe(4);
    expect(seen).toEqual(['event 0', 'answer 1', 'event 2', 'event 3']);
    inbox.close();
  });

  it('is handed on before the link is said to be gone, and once', async () => {
    const { inbox, taken } = begin((item) => item === 1);
    upTo(3).forEach((item) => inbox.put(item));
    inbox.empty();
    expect(taken).toEqual([0, 1, 2]);
    inbox.put(3);
    await expect.poll(() => taken.length).toBe(4);
    expect(taken).toEqual(upTo(4));
    inbox.close();
  });

  it('that puts something in while it is handed on is handed on next', async () => {
    const taken: number[] = [];
    const inbox: Inbox<number> = new Inbox(
      (item) => {
        taken.push(item);
        if (item < 3) inbox.put(item + 1);
      },
      () => false,
    );
    inbox.put(1);
    await expect.poll(() => taken.length).toBe(3);
    expect(taken).toEqual([1, 2, 3]);
    inbox.close();
  });
});
