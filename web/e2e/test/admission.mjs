// Who gets in.
import assert from 'node:assert/strict';
import { scenario } from '../lib/scenario.mjs';
import { Window } from '../lib/browser.mjs';
import { Page } from '../lib/page.mjs';
import { look } from '../lib/scene.mjs';
import { world } from '../lib/world.mjs';

scenario('without a token, with a wrong one, and with a code that was used, the page says what to do', async () => {
  const { page: own, person } = world.ada;
  const { origin } = new URL(own.tab.url());
  const stranger = await Window.open(world.browser);
  const page = new Page(await stranger.tab(), 'en');
  await page.tab.goto(origin);
  await page.heading('door.title').waitFor();
  await look(page, 'door-en-desk');

  await page.tab.evaluate(() => localStorage.setItem('xchat.token', '0'.repeat(64)));
  await page.tab.reload();
  await page.text('door.wrong_token').waitFor();
  assert.equal(await page.tab.evaluate(() => localStorage.getItem('xchat.token')), null, 'it is forgotten');

  const address = await person.address();
  await page.tab.goto(address);
  await page.conversation('منى').waitFor();
  assert.equal(page.tab.url(), `${origin}/`, 'no code stays in the address');
  await page.tab.evaluate(() => localStorage.clear());
  await page.tab.goto('about:blank');
  await page.tab.goto(address);
  await page.text('door.wrong_code').waitFor();
  assert.deepEqual(stranger.hosts, [new URL(origin).host]);
  await stranger.close();
});
