// The program under test, run as a person runs it.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const XCHAT = process.env.XCHAT ?? fileURLToPath(new URL('../../../target/debug/xchat', import.meta.url));
export const PASSPHRASE = 'orange bicycle window carrot thunder';

/** Nothing on the slowest machine takes longer; then something is lost. */
export const PATIENCE_MS = Number(process.env.XCHAT_PATIENCE_MS ?? 60_000);

/** What is started here ends here, however the run ends. */
const children = new Set();
process.on('exit', endAll);

/** Ends what a test that failed has left behind: a child that lives keeps the run from its end. */
export function endAll() {
  for (const child of children) child.kill('SIGKILL');
}

/** A program that stays: its lines are objects, waited for by what they hold. */
export class Running {
  #child;
  #lines = [];
  #waiting = new Set();
  ended;

  /** `runner`: what starts the program, if it is not started by itself. */
  constructor(args, env = {}, runner = []) {
    const [program, ...rest] = [...runner, XCHAT, ...args];
    this.#child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...env } });
    children.add(this.#child);
    this.ended = new Promise((resolve) => {
      this.#child.on('close', (code, signal) => {
        children.delete(this.#child);
        for (const waiting of this.#waiting) waiting.fail(new Error(`${args.join(' ')} ended: ${code ?? signal}`));
        resolve(code);
      });
    });
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const event = JSON.parse(line);
      this.#lines.push(event);
      for (const waiting of this.#waiting) waiting.look(event);
    });
  }

  get pid() {
    return this.#child.pid;
  }

  /** The first line that `matches`, of those that came and those that come. */
  line(matches) {
    const found = this.#lines.find(matches);
    if (found) return Promise.resolve(found);
    return new Promise((resolve, reject) => {
      const done = (settle, value) => {
        clearTimeout(timer);
        this.#waiting.delete(waiting);
        settle(value);
      };
      const waiting = {
        look: (event) => matches(event) && done(resolve, event),
        fail: (error) => done(reject, error),
      };
      const timer = setTimeout(() => waiting.fail(new Error('the line did not come')), PATIENCE_MS);
      this.#waiting.add(waiting);
    });
  }

  /** SIGTERM, and its end. */
  async stop() {
    this.#child.kill('SIGTERM');
    await this.ended; // At once, if it has ended before.
  }

  /** SIGKILL, and its end. */
  async kill() {
    this.#child.kill('SIGKILL');
    await this.ended;
  }
}

/** A program that ends: what it prints, as an object. */
export function run(args, env = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(XCHAT, ['--json', ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    children.add(child);
    let out = '';
    let problem = '';
    child.stdout.on('data', (data) => (out += data));
    child.stderr.on('data', (data) => (problem += data));
    child.on('close', (code) => {
      children.delete(child);
      if (code === 0) resolve(out.trim() === '' ? {} : JSON.parse(out.trim().split('\n').at(-1)));
      else reject(new Error(`xchat ${args.join(' ')}: ${code}: ${problem}${out}`));
    });
  });
}
