// A look at a view: axe finds nothing in it, and a picture of it is kept.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { findings } from './axe.mjs';
import { OUTPUT } from './browser.mjs';

export async function look(page, name) {
  await page.tab.evaluate(() => document.fonts.ready);
  await page.tab.screenshot({ path: join(OUTPUT, `${name}.png`), animations: 'disabled' });
  assert.deepEqual(await findings(page.tab), [], `axe, in ${name}`);
}

/** Nothing was said to a console, and nobody but the daemon was asked for anything. */
export function quiet(person) {
  assert.deepEqual(person.window.complaints, [], `what the pages of ${person.name} complained about`);
  const hosts = person.window.hosts;
  assert.equal(hosts.length, 1, `who was asked by the pages of ${person.name}: ${hosts.join(', ')}`);
  assert.match(hosts[0], /^127\.0\.0\.1:\d+$/);
}
