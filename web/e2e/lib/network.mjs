// A local network for the whole run, every node its own process.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, Running } from './program.mjs';

/** Fast, so that the run is short, with everything else as in production: testing/e2e/harness.rs. */
const RATE = '50';
const MIX_DELAY = '2';

export class Network {
  #dir = mkdtempSync(join(tmpdir(), 'xchat-page-net-'));
  #running;

  /** `more`: what `net up` is told besides. */
  static async up(more = [], times = ['--rate', RATE, '--mix-delay', MIX_DELAY]) {
    const network = new Network();
    const args = ['--json', 'net', 'up', ...times, '--link-rate', '0', '--dir', network.#dir, '--until-stdin-closes', ...more];
    network.#running = new Running(args);
    await network.#running.line((event) => event.event === 'ready');
    return network;
  }

  get file() {
    return join(this.#dir, 'network.json');
  }

  /** Its nodes of a role, and of a layer if it is a mix. */
  nodes(role, layer = null) {
    const all = JSON.parse(readFileSync(join(this.#dir, 'nodes.json'), 'utf8'));
    return all.filter((node) => node.role === role && node.layer === layer);
  }

  /** As a power cut does. */
  async kill(node) {
    process.kill(node.pid, 'SIGKILL');
    await this.#running.line((event) => event.event === 'node_exited' && event.pid === node.pid);
  }

  /** Starts it again; when it serves. */
  restart({ name }) {
    return run(['net', 'restart', '--dir', this.#dir, '--node', name]);
  }

  async down() {
    await this.#running.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
