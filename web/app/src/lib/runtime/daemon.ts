import type { Command, ErrorBody, FromDaemon, ToDaemon, Welcome } from '$lib/api/types';
import type { Answer, Arguments, Asked, CommandName } from '$lib/api/wire';
import { admit, forgetToken, takeFragment, token } from './admission';
import { Backoff } from './backoff';
import { Inbox } from './inbox';
import { RuntimeError, type Listener, type Runtime } from './runtime';

interface Waiting {
  resolve(response: unknown): void;
  reject(error: RuntimeError): void;
}

/** The daemon of this computer, which also serves this page. */
export class Daemon implements Runtime {
  readonly face = crypto.randomUUID();
  #listener: Listener | undefined;
  #socket: WebSocket | undefined;
  #inbox = new Inbox<FromDaemon>(
    (frame) => this.#receive(frame),
    (frame) => frame.type !== 'event',
  );
  #timer: ReturnType<typeof setTimeout> | undefined;
  #backoff = new Backoff();
  #waiting = new Map<number, Waiting>();
  #lastId = 0;
  /** The last change that was seen: what came after it comes first on a new socket. */
  #seen: number | null = null;
  #welcomed = false;
  #stopped = false;

  start(listener: Listener): void {
    this.#listener = listener;
    addEventListener('online', this.#hurry);
    document.addEventListener('visibilitychange', this.#hurry);
    // A token got in another tab lets this one in too.
    addEventListener('storage', this.#hurry);
    // The address with a new code may be opened in a tab that is there.
    addEventListener('hashchange', this.#open);
    listener.link({ state: 'connecting' });
    if (!this.#open()) this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    removeEventListener('online', this.#hurry);
    document.removeEventListener('visibilitychange', this.#hurry);
    removeEventListener('storage', this.#hurry);
    removeEventListener('hashchange', this.#open);
    clearTimeout(this.#timer);
    this.#socket?.close();
    this.#inbox.close();
  }

  command<C extends CommandName>(name: C, args: Arguments<C>): Promise<Answer<C>> {
    return this.#ask({ type: 'command', command: { command: name, ...args } as Command }) as Promise<Answer<C>>;
  }

  part(draft: Arguments<'set_draft'>): void {
    const secret = token();
    if (secret === null) return;
    // A socket is cut off with its page, perhaps before its last frame has left; this is sent to its end.
    const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' };
    const said = fetch('/v1/draft', { method: 'POST', keepalive: true, cache: 'no-store', headers, body: JSON.stringify(draft) });
    // A program that is away cannot keep it, and the page cannot tell anybody any more.
    said.catch(() => undefined);
  }

  async create(name: string, passphrase: string, pace: string): Promise<void> {
    await this.#ask({ type: 'create', name, passphrase, pace });
  }

  async unlock(passphrase: string): Promise<void> {
    await this.#ask({ type: 'unlock', passphrase });
  }

  async lock(): Promise<void> {
    await this.#ask({ type: 'lock' });
  }

  #ask(frame: Asked): Promise<unknown> {
    const socket = this.#socket;
    if (!this.#welcomed || socket?.readyState !== WebSocket.OPEN) return Promise.reject(RuntimeError.cutOff());
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      socket.send(JSON.stringify({ ...frame, id }));
    });
  }

  /** False if the address holds no code. */
  #open = (): boolean => {
    const code = takeFragment('code');
    if (code !== null) void this.#enter(code);
    return code !== null;
  };

  async #enter(code: string): Promise<void> {
    const outcome = await admit(code);
    // A page that was let in before may be opened again with an old code, from a bookmark for example.
    if (outcome === 'wrong_code' && token() === null) this.#listener?.link({ state: 'shut', why: 'wrong_code' });
    else if (this.#socket === undefined) this.#connect();
  }

  #connect(): void {
    clearTimeout(this.#timer);
    const secret = token();
    if (secret === null) {
      this.#listener?.link({ state: 'shut', why: 'no_token' });
      return;
    }
    const socket = new WebSocket(`ws://${location.host}/v1/socket`, 'xchat.1');
    this.#socket = socket;
    socket.onopen = () => {
      const hello: ToDaemon = { type: 'hello', token: secret, after: this.#seen };
      socket.send(JSON.stringify(hello));
    };
    socket.onmessage = (message: MessageEvent<string>) => this.#inbox.put(JSON.parse(message.data) as FromDaemon);
    socket.onclose = () => this.#closed(socket);
  }

  #receive(frame: FromDaemon): void {
    switch (frame.type) {
      case 'welcome':
        return this.#welcome(frame);
      case 'event':
        // Events about no message carry the number of the last change before them, a row of the history none.
        if (frame.event.seq > (this.#seen ?? 0)) this.#seen = frame.event.seq;
        return this.#listener?.happened(frame.event);
      case 'response':
        return this.#answer(frame.id, (waiting) => waiting.resolve(frame.response));
      case 'error':
        if (frame.id === null) return this.#refused(frame.error);
        return this.#answer(frame.id, (waiting) => waiting.reject(new RuntimeError(frame.error)));
    }
  }

  #welcome(welcome: Welcome): void {
    this.#backoff.reset();
    const { place } = welcome;
    // A place before the one that was seen: another profile, or an older state of it.
    const again = welcome.profile === 'open' && this.#seen !== null && place !== null && place >= this.#seen;
    if (!again) this.#seen = place;
    if (!this.#welcomed) {
      this.#welcomed = true;
      this.#listener?.link({ state: 'up' });
    }
    this.#listener?.welcome(welcome, again);
  }

  #answer(id: number, settle: (waiting: Waiting) => void): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (waiting) settle(waiting);
  }

  #refused(error: ErrorBody): void {
    if (error.code !== 'wrong_token') return; // Too slow or too many: it closes, and is tried again.
    forgetToken();
    this.#listener?.link({ state: 'shut', why: 'wrong_token' });
  }

  #closed(socket: WebSocket): void {
    if (socket !== this.#socket || this.#stopped) return;
    this.#inbox.empty();
    this.#socket = undefined;
    this.#welcomed = false;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const each of waiting) each.reject(RuntimeError.cutOff());
    if (token() === null) return; // Refused; the listener knows.
    this.#listener?.link({ state: 'down' });
    this.#timer = setTimeout(() => this.#connect(), this.#backoff.next(Math.random()));
  }

  #hurry = (): void => {
    if (this.#socket !== undefined || document.hidden || token() === null) return;
    this.#backoff.reset();
    this.#connect();
  };
}
