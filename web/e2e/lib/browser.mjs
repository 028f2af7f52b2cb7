// Debian's Chromium, and what its pages ask of the network: written down by the browser's own protocol.
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { PATIENCE_MS } from './program.mjs';

export const OUTPUT = process.env.XCHAT_SHOTS ?? fileURLToPath(new URL('../output', import.meta.url));
export const SIZES = { phone: { width: 390, height: 844 }, desk: { width: 1280, height: 800 } };
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

export async function launch() {
  mkdirSync(OUTPUT, { recursive: true });
  const args = ['--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1', '--disable-background-networking'];
  if (process.getuid() === 0) args.push('--no-sandbox');
  return chromium.launch({ executablePath: CHROMIUM, args });
}

/** One person's browser: pages of one storage, their requests, and their complaints. */
export class Window {
  #context;
  /** Every address that a page of it asked for. */
  requests = [];
  /** What the pages said to their console that they should not have to say. */
  complaints = [];

  static async open(browser, { size = 'desk', language = 'en', theme = 'light' } = {}) {
    const window = new Window();
    window.#context = await browser.newContext({
      viewport: SIZES[size],
      locale: language === 'ar' ? 'ar' : 'en-GB',
      colorScheme: theme,
      reducedMotion: 'reduce',
      // The copy button is one of the things that are tried.
      permissions: ['clipboard-read', 'clipboard-write'],
    });
    window.#context.setDefaultTimeout(PATIENCE_MS);
    return window;
  }

  async tab() {
    const page = await this.#context.newPage();
    const protocol = await this.#context.newCDPSession(page);
    await protocol.send('Network.enable');
    protocol.on('Network.requestWillBeSent', ({ request }) => this.requests.push(request.url));
    protocol.on('Network.webSocketCreated', ({ url }) => this.requests.push(url));
    page.on('console', (message) => {
      // A daemon that is down refuses connections, which the browser itself reports.
      const expected = /ERR_CONNECTION_REFUSED|WebSocket connection to/.test(message.text());
      if (['error', 'warning'].includes(message.type()) && !expected) this.complaints.push(message.text());
    });
    page.on('pageerror', (error) => this.complaints.push(String(error)));
    return page;
  }

  /** Where the pages' requests went, each place once. */
  get hosts() {
    const remote = this.requests.filter((url) => !/^(data|blob):/.test(url));
    return [...new Set(remote.map((url) => new URL(url).host))];
  }

  close() {
    return this.#context.close();
  }
}
