// What the page needs of whatever runs xchat: the daemon of this computer today, the same cores in the page itself one day.
import type { ErrorBody } from '$lib/api/types';
import type { Answer, Arguments, CommandName, Happening, Welcome } from '$lib/api/wire';

/** How the page and the program stand to each other. Whether the program is online is another matter: `status`. */
export type LinkState =
  | { state: 'connecting' }
  | { state: 'up' }
  /** It does not answer, and is tried again. */
  | { state: 'down' }
  /** The page was not let in, and nothing is tried. */
  | { state: 'shut'; why: 'no_token' | 'wrong_token' | 'wrong_code' };

export interface Listener {
  link(state: LinkState): void;
  /** `again`: what was known before still holds, and the changes since come as happenings. */
  welcome(welcome: Welcome, again: boolean): void;
  happened(happening: Happening): void;
}

export interface Runtime {
  /** What this page calls itself, to know its own words among the happenings. */
  readonly face: string;
  start(listener: Listener): void;
  stop(): void;
  command<C extends CommandName>(name: C, args: Arguments<C>): Promise<Answer<C>>;
  /** What is being written, as the page goes away: it arrives although nobody is there any more to take an answer. */
  part(draft: Arguments<'set_draft'>): void;
  create(name: string, passphrase: string, pace: string): Promise<void>;
  unlock(passphrase: string): Promise<void>;
  lock(): Promise<void>;
}

/** An error of the program, or `cut_off`: the link broke before the answer came, so it may be done or not. */
export class RuntimeError extends Error {
  readonly code: string;
  readonly hint: string;

  constructor(body: ErrorBody) {
    super(body.message);
    this.code = body.code;
    this.hint = body.hint;
  }

  static cutOff(): RuntimeError {
    return new RuntimeError({ code: 'cut_off', message: 'the link to xchat broke', hint: '' });
  }
}
