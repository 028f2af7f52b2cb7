import type { Message } from '$lib/api/types';
import type { Answer, Arguments, CommandName } from '$lib/api/wire';
import { RuntimeError, type Runtime } from '$lib/runtime/runtime';

interface Call {
  name: CommandName;
  args: Record<string, unknown>;
}

/** A program with one conversation, in memory, that answers as docs/cli.md says. */
export class Program implements Runtime {
  readonly face = 'this tab';
  messages: Message[] = [];
  calls: Call[] = [];
  away = false;
  /** What a test answers itself. */
  answers: Partial<Record<CommandName, (args: Record<string, unknown>) => unknown>> = {};

  say(...ids: number[]): Message[] {
    const said = ids.map((id) => ({ id, contact: 'a', direction: 'in', text: `t${id}`, sent_at: id, state: 'received' }) as Message);
    this.messages = [...this.messages, ...said];
    return said;
  }

  of(name: CommandName): Record<string, unknown>[] {
    return this.calls.filter((call) => call.name === name).map((call) => call.args);
  }

  command<C extends CommandName>(name: C, args: Arguments<C>): Promise<Answer<C>> {
    this.calls.push({ name, args });
    if (this.away) return Promise.reject(RuntimeError.cutOff());
    const own = this.answers[name];
    if (own) return Promise.resolve(own(args)) as Promise<Answer<C>>;
    return Promise.resolve(this.#answer(name, args as { before?: number; after?: number; limit?: number; text?: string }) as Answer<C>);
  }

  #answer(name: CommandName, args: { before?: number; after?: number; limit?: number; text?: string }): unknown {
    if (name === 'send') {
      const id = (this.messages.at(-1)?.id ?? 0) + 1;
      this.messages = [...this.messages, { id, contact: 'a', direction: 'out', text: args.text, sent_at: id, state: 'waiting' } as Message];
      return { id, state: 'waiting' };
    }
    if (name !== 'messages') return {};
    const { before = Infinity, after, limit = 50 } = args;
    const between = this.messages.filter(({ id }) => id < before && id > (after ?? 0));
    return { messages: after === undefined ? between.slice(-limit) : between.slice(0, limit) };
  }

  parted: Arguments<'set_draft'>[] = [];
  part(draft: Arguments<'set_draft'>): void {
    this.parted.push(draft);
  }

  start(): void {}
  stop(): void {}
  create(): Promise<void> {
    return Promise.resolve();
  }
  unlock(): Promise<void> {
    return Promise.resolve();
  }
  lock(): Promise<void> {
    return Promise.resolve();
  }
}
