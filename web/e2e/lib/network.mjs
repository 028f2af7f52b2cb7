// A local network for the whole run, every node its own process.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Running } from './program.mjs';

/** Fast, so that the run is short, with everything else as in production: testing/e2e/harness.rs. */
const RATE = '50';
const MIX_DELAY = '2';

export class Network {
  #dir = mkdtempSync(join(tmpdir(), 'xchat-page-net-'));
  #running;

  /** `more`: what `net up` is told besides. */
  static async up(more = []) {
    const network = new Network();
    const args = ['--json', 'net', 'up', '--rate', RATE, '--mix-delay', MIX_DELAY, '--link-rate', '0', '--dir', network.#dir, '--until-stdin-closes', ...more];
    network.#running = new Running(args);
    await network.#running.line((event) => event.event === 'ready');
    return network;
  }

  get file() {
    return join(this.#dir, 'network.json');
  }

  async down() {
    await this.#running.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
