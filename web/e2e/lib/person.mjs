// One person: a profile's directory, a daemon, and a browser of their own.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Window } from './browser.mjs';
import { Page } from './page.mjs';
import { run, Running } from './program.mjs';

export class Person {
  name;
  language;
  window;
  #dir = mkdtempSync(join(tmpdir(), 'xchat-page-person-'));
  #network;
  #daemon;

  /** Somebody with a daemon that waits for a page, and no profile yet. */
  static async come(browser, network, name, { language = 'en', ...options } = {}) {
    const person = new Person();
    person.name = name;
    person.language = language;
    person.#network = network;
    person.window = await Window.open(browser, { language, ...options });
    await person.start();
    return person;
  }

  async start() {
    this.#daemon = new Running(['--json', '--profile', this.#dir, 'serve', '--locked', '--network', this.#network.file]);
    return this.#daemon.line((event) => event.event === 'ready');
  }

  /** As a power cut does. */
  kill() {
    return this.#daemon.kill();
  }

  /** The program's own command line, beside the page. */
  command(...args) {
    return run(['--profile', this.#dir, ...args]);
  }

  /** A command of the SDK, as other faces on this machine give it: docs/cli.md, "The daemon's interface". */
  async ask(command) {
    const { port, token } = JSON.parse(readFileSync(join(this.#dir, 'daemon.json'), 'utf8'));
    const response = await fetch(`http://127.0.0.1:${port}/v1/command`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(command),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(JSON.stringify(answer));
    return answer;
  }

  /** The address that lets a browser in, once. */
  async address() {
    const { url } = await this.command('open', '--print');
    return url;
  }

  /** A tab that was let in. */
  async page() {
    const tab = await this.window.tab();
    await tab.goto(await this.address());
    return new Page(tab, this.language);
  }

  async leave() {
    await this.window.close();
    await this.#daemon.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
