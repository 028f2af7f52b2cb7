import { describe, expect, it } from 'vitest';
import { Inbox } from '$lib/runtime/inbox';

describe('what comes over the link', () => {
  it('is handed on in its order, in one task', async () => {
    const taken: number[] = [];
    const tasks = new Set<number>();
    let task = 0;
    const inbox = new Inbox<number>((item) => {
      taken.push(item);
      tasks.add(task);
      // A microtask, as the page's drawing is: not before the last one.
      queueMicrotask(() => (task += 1));
    });
    for (let item = 0; item < 100; item += 1) inbox.put(item);
    expect(taken).toEqual([]);
    await expect.poll(() => taken.length).toBe(100);
    expect(taken).toEqual(Array.from({ length: 100 }, (_, at) => at));
    expect(tasks.size).toBe(1);
    inbox.put(100);
    await expect.poll(() => taken.at(-1)).toBe(100);
    inbox.close();
  });

  it('is handed on before the link is said to be gone, and once', async () => {
    const taken: string[] = [];
    const inbox = new Inbox<string>((item) => taken.push(item));
    inbox.put('one');
    inbox.put('two');
    inbox.empty();
    expect(taken).toEqual(['one', 'two']);
    inbox.put('three');
    await expect.poll(() => taken.length).toBe(3);
    expect(taken).toEqual(['one', 'two', 'three']);
    inbox.close();
  });

  it('that puts something in while it is handed on is handed on next', async () => {
    const taken: number[] = [];
    const inbox: Inbox<number> = new Inbox((item) => {
      taken.push(item);
      if (item < 3) inbox.put(item + 1);
    });
    inbox.put(1);
    await expect.poll(() => taken.length).toBe(3);
    expect(taken).toEqual([1, 2, 3]);
    inbox.close();
  });
});
