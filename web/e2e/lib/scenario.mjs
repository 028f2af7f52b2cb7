// A test that leaves pictures of all open pages behind if it fails.
import { join } from 'node:path';
import { test } from 'node:test';
import { OUTPUT } from './browser.mjs';
import { world } from './world.mjs';

/** Longer than any of them takes with all its waiting; then something hangs. */
const TIMEOUT_MS = 900_000;

function hung() {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`not over after ${TIMEOUT_MS / 1000} s`)), TIMEOUT_MS).unref();
  });
}

export function scenario(name, act) {
  test(name, async () => {
    try {
      await Promise.race([act(), hung()]);
    } catch (error) {
      const pages = world.browser.contexts().flatMap((context) => context.pages());
      const place = (at) => join(OUTPUT, `failed-${name.replace(/\W+/g, '-').slice(0, 40)}-${at}.png`);
      await Promise.allSettled(pages.map((page, at) => page.screenshot({ path: place(at), timeout: 5000 })));
      throw error;
    }
  });
}
