import { describe, expect, it } from 'vitest';
import { MOST_LOADED, PAGE, Thread } from '$lib/stores/thread.svelte';
import { Program } from './runtime';

function begin(count: number): { program: Program; thread: Thread } {
  const program = new Program();
  program.say(...Array.from({ length: count }, (_, at) => at + 1));
  return { program, thread: new Thread(program, 'a', '') };
}

const ids = (thread: Thread): number[] => thread.messages.map((message) => message.id);
const from = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, at) => first + at);

describe('the messages of a conversation', () => {
  it('begin with the newest page, and earlier ones come before it', async () => {
    const { thread } = begin(120);
    await thread.load();
    expect(ids(thread)).toEqual(from(71, 120));
    expect([thread.later, thread.complete]).toEqual([false, false]);
    await thread.loadEarlier();
    await thread.loadEarlier();
    expect(ids(thread)).toEqual(from(1, 120));
    expect(thread.complete).toBe(true);
  });

  it('are loaded around one of them, without a gap, and onwards from there', async () => {
    const { program, thread } = begin(300);
    await thread.load();
    expect(await thread.loadAround(100)).toBe(true);
    expect(ids(thread)).toEqual(from(76, 125));
    expect([thread.later, thread.complete]).toEqual([true, false]);
    // What comes meanwhile is not put behind what it does not follow.
    for (const message of program.say(301)) thread.message(message);
    expect(ids(thread).at(-1)).toBe(125);
    await thread.load();
    expect(ids(thread)).toEqual(from(76, 125));
    while (thread.later) await thread.loadLater();
    expect(ids(thread)).toEqual(from(76, 301));
    for (const message of program.say(302)) thread.message(message);
    expect(ids(thread).at(-1)).toBe(302);
  });

  it('around one near the end are the end, and around one that is loaded nothing changes', async () => {
    const { program, thread } = begin(110);
    expect(await thread.loadAround(100)).toBe(true);
    expect(ids(thread)).toEqual(from(76, 110));
    expect(thread.later).toBe(false);
    const asked = program.calls.length;
    expect(await thread.loadAround(80)).toBe(true);
    expect(program.calls.length).toBe(asked);
    expect(await thread.loadAround(999)).toBe(false);
    expect(ids(thread)).toEqual(from(76, 110));
  });

  it('go back to the newest when one asks for it, or writes', async () => {
    const { program, thread } = begin(200);
    await thread.loadAround(20);
    await thread.loadNewest();
    expect(ids(thread)).toEqual(from(151, 200));
    await thread.loadAround(20);
    thread.send('t200', 1);
    await expect.poll(() => thread.pending.length).toBe(0);
    await expect.poll(() => thread.later).toBe(false);
    expect(ids(thread).slice(-2)).toEqual([200, 201]);
    expect(program.of('send')).toEqual([{ contact: 'a', text: 't200', wait: 'no', from_draft: 'this tab' }]);
    expect(PAGE).toBe(50);
  });

  it('are never more than a bound: the end that nobody looks at is let go, and comes again', async () => {
    const { program, thread } = begin(2 * MOST_LOADED);
    await thread.load();
    // Upwards to the first one.
    while (!thread.complete) {
      await thread.loadEarlier();
      expect(thread.messages.length).toBeLessThanOrEqual(MOST_LOADED);
      expect(ids(thread)).toEqual(from(ids(thread)[0] ?? 0, thread.newest));
    }
    expect([ids(thread)[0], thread.later]).toEqual([1, true]);
    // And back.
    while (thread.later) {
      await thread.loadLater();
      expect(thread.messages.length).toBeLessThanOrEqual(MOST_LOADED);
      expect(ids(thread)).toEqual(from(ids(thread)[0] ?? 0, thread.newest));
    }
    expect([thread.newest, thread.complete]).toEqual([2 * MOST_LOADED, false]);
    // Whoever stays at the end sees what comes, however much it is.
    for (const message of program.say(...from(2 * MOST_LOADED + 1, 4 * MOST_LOADED))) {
      thread.message(message);
      expect(thread.messages.length).toBeLessThanOrEqual(MOST_LOADED);
    }
    expect(thread.newest).toBe(4 * MOST_LOADED);
    expect(ids(thread)).toEqual(from(ids(thread)[0] ?? 0, 4 * MOST_LOADED));
    // What was let go is no gap that a late event fills.
    const [old] = program.messages;
    if (old) thread.message(old);
    expect(ids(thread)[0]).toBeGreaterThan(1);
  });

  it('stay where they are read, however much comes meanwhile', async () => {
    const { program, thread } = begin(PAGE);
    await thread.load();
    thread.held = true;
    for (const message of program.say(...from(PAGE + 1, 3 * MOST_LOADED))) thread.message(message);
    expect(ids(thread)).toEqual(from(1, MOST_LOADED));
    expect([thread.later, thread.heard]).toEqual([true, 3 * MOST_LOADED]);
    thread.held = false;
    while (thread.later) await thread.loadLater();
    expect(thread.newest).toBe(3 * MOST_LOADED);
  });

  it('stay within the bound when the link was away, too', async () => {
    for (const held of [true, false]) {
      const { program, thread } = begin(MOST_LOADED);
      await thread.load();
      while (!thread.complete) await thread.loadEarlier();
      thread.held = held;
      const [last] = program.say(MOST_LOADED + 1);
      await thread.load();
      expect(thread.messages.length).toBeLessThanOrEqual(MOST_LOADED);
      expect([thread.heard, thread.later]).toEqual([last?.id, held]);
    }
  });

  it('that are on their way for a place that is not there any more are not put in another', async () => {
    const { program, thread } = begin(2 * MOST_LOADED);
    await thread.load();
    await thread.loadAround(500);
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const page = ({ before = Infinity, after, limit = PAGE }: Record<string, number | undefined>): { messages: unknown[] } => {
      const between = program.messages.filter(({ id }) => id < before && id > (after ?? 0));
      return { messages: after === undefined ? between.slice(-limit) : between.slice(0, limit) };
    };
    const [first, last] = [ids(thread)[0], thread.newest];
    program.answers.messages = (args) => {
      const late = args['before'] === first || args['after'] === last;
      return late ? held.then(() => page(args as never)) : page(args as never);
    };
    const earlier = thread.loadEarlier();
    thread.loading = false;
    const later = thread.loadLater();
    await thread.loadAround(10);
    const around = ids(thread);
    release();
    await Promise.all([earlier, later]);
    expect(ids(thread)).toEqual(around);
  });

  it('of one\u2019s own are shown though nothing else is taken up', async () => {
    const { program, thread } = begin(MOST_LOADED);
    await thread.load();
    while (!thread.complete) await thread.loadEarlier();
    thread.held = true;
    thread.send('mine', 1);
    await expect.poll(() => thread.pending.length).toBe(0);
    await expect.poll(() => thread.messages.at(-1)?.text).toBe('mine');
    expect(program.of('send').length).toBe(1);
  });

  it('that were said while the program was away are said again, and the draft of something newer stays', async () => {
    const { program, thread } = begin(1);
    await thread.load();
    program.away = true;
    thread.send('are you there?', 1);
    await expect.poll(() => thread.pending[0]?.unsure).toBe(true);
    thread.draft.text = 'something else';
    program.away = false;
    await thread.load();
    await expect.poll(() => thread.pending.length).toBe(0);
    expect(program.of('send').map((args) => args['from_draft'])).toEqual(['this tab', undefined]);
    expect(thread.messages.map((message) => message.text)).toEqual(['t1', 'are you there?']);
  });
});
