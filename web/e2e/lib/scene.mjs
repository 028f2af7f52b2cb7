// A look at a view: axe finds nothing in it, and a picture of it is kept.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { findings } from './axe.mjs';
import { OUTPUT, SIZES } from './browser.mjs';
import { Page } from './page.mjs';

export async function look(page, name) {
  await page.tab.evaluate(() => document.fonts.ready);
  await page.tab.screenshot({ path: join(OUTPUT, `${name}.png`), animations: 'disabled' });
  assert.deepEqual(await findings(page.tab), [], `axe, in ${name}`);
}

/** Each language with each theme, at each width, and each theme at each width. */
const LOOKS = [
  ['en', 'light', 'desk'],
  ['en', 'dark', 'phone'],
  ['ar', 'dark', 'desk'],
  ['ar', 'light', 'phone'],
];

/** Without leaving the view. */
export async function everywhere(tab, name) {
  const before = tab.viewportSize();
  for (const [language, colorScheme, size] of LOOKS) {
    await tab.evaluate((choice) => {
      localStorage.setItem('xchat.language', choice);
      dispatchEvent(new StorageEvent('storage', { key: 'xchat.language' }));
    }, language);
    await tab.locator(`html[lang=${language}]`).waitFor();
    await tab.emulateMedia({ colorScheme });
    await tab.setViewportSize(SIZES[size]);
    await look(new Page(tab, language), `${name}-${language}-${colorScheme}-${size}`);
  }
  await tab.evaluate(() => {
    localStorage.removeItem('xchat.language');
    dispatchEvent(new StorageEvent('storage', { key: 'xchat.language' }));
  });
  await tab.emulateMedia({ colorScheme: 'light' });
  await tab.setViewportSize(before);
}

/** Nothing was said to a console, and nobody but the daemon was asked for anything; `ports`: at so many of them. */
export function quiet(person, ports = 1) {
  assert.deepEqual(person.window.complaints, [], `what the pages of ${person.name} complained about`);
  const hosts = person.window.hosts;
  assert.equal(hosts.length, ports, `who was asked by the pages of ${person.name}: ${hosts.join(', ')}`);
  for (const host of hosts) assert.match(host, /^127\.0\.0\.1:\d+$/);
}
