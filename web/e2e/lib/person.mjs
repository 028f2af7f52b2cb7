// One person: a profile's directory, a daemon, and a browser of their own.
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Window } from './browser.mjs';
import { onSmallDisk } from './disk.mjs';
import { Page } from './page.mjs';
import { PASSPHRASE, run, Running } from './program.mjs';

export class Person {
  name;
  language;
  window;
  #dir = mkdtempSync(join(tmpdir(), 'xchat-page-person-'));
  #network;
  #daemon;
  #smallDisk;
  #dial;

  /** Somebody with a daemon that waits for a page, and no profile yet. */
  static async come(browser, network, name, { language = 'en', smallDisk = false, dial, ...options } = {}) {
    const person = new Person();
    person.name = name;
    person.language = language;
    person.#network = network;
    person.#smallDisk = smallDisk;
    person.#dial = dial;
    person.window = await Window.open(browser, { language, ...options });
    await person.start();
    return person;
  }

  async start() {
    const args = ['--json', '--profile', this.#dir, 'serve', '--locked', '--network', this.#network.file];
    const runner = this.#smallDisk ? onSmallDisk(this.#dir) : (this.#dial?.runner ?? []);
    this.#daemon = new Running(args, {}, runner);
    return this.#daemon.line((event) => event.event === 'ready');
  }

  /** The profile, as it is seen from outside of its daemon. */
  get profile() {
    return this.#smallDisk ? join('/proc', String(this.#daemon.pid), 'root', this.#dir) : this.#dir;
  }

  /** As a power cut does. */
  kill() {
    return this.#daemon.kill();
  }

  /** Ends the daemon and copies the profile; the copy. */
  async backUp() {
    await this.#daemon.stop();
    const place = mkdtempSync(join(tmpdir(), 'xchat-page-backup-'));
    const copy = join(place, 'copy');
    await run(['--profile', this.profile, 'backup', copy], { XCHAT_PASSPHRASE: PASSPHRASE });
    return copy;
  }

  /** The profile is lost, and the copy is put in its place. */
  async restore(copy) {
    await this.#daemon.stop();
    rmSync(this.#dir, { recursive: true });
    renameSync(copy, this.#dir);
    await this.start();
  }

  /** The program's own command line, beside the page. */
  command(...args) {
    return run(['--profile', this.profile, ...args]);
  }

  /** A command of the SDK, as other faces on this machine give it: docs/cli.md, "The daemon's interface". */
  async ask(command) {
    const { port, token } = JSON.parse(readFileSync(join(this.profile, 'daemon.json'), 'utf8'));
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

  /** Another tab of the same browser: it is let in by what the first one was given. */
  async tab(page) {
    const tab = await this.window.tab();
    await tab.goto(new URL(page.tab.url()).origin);
    return new Page(tab, this.language);
  }

  async leave() {
    await this.window.close();
    await this.#daemon.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
