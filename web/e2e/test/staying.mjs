// What outlives what.
import assert from 'node:assert/strict';
import { scenario } from '../lib/scenario.mjs';
import { Page } from '../lib/page.mjs';
import { PASSPHRASE } from '../lib/program.mjs';
import { world } from '../lib/world.mjs';

/** Each once, in the same order, as the program has them. */
async function same(page, person) {
  const { messages } = await person.ask({ command: 'messages', contact: 'منى', limit: 20 });
  const texts = await page.texts();
  assert.deepEqual(texts.slice(-20), messages.map((message) => message.text));
}

scenario('a reload keeps everything where it was', async () => {
  const { page, person } = world.ada;
  // It may be open at a message that was found.
  await page.open('منى');
  await page.message('line 130').waitFor();
  await page.tab.reload();
  await page.composer.waitFor();
  await page.message('line 130').waitFor();
  await same(page, person);
  assert.equal(await page.tab.evaluate(() => location.hash), '');
  // Back in the list one stands where one was.
  await page.tab.keyboard.press('Escape');
  await page.conversation('منى').waitFor();
  await page.tab.waitForFunction(() => document.activeElement?.hasAttribute('data-conversation'));
  await page.tab.keyboard.press('Enter');
  await page.composer.waitFor();
});

scenario('several tabs of one person say the same', async () => {
  const { page, person } = world.ada;
  const other = new Page(await person.window.tab(), 'en');
  // It is let in by what the first one was given.
  await other.tab.goto(new URL(page.tab.url()).origin);
  await other.open('منى');
  await page.say('from the first');
  await other.message('from the first', 'delivered').waitFor();
  await other.say('from the second');
  await page.message('from the second', 'delivered').waitFor();
  for (const each of [page, other]) {
    assert.equal(await each.message('from the first').count(), 1);
    assert.equal(await each.message('from the second').count(), 1);
  }

  // What is read in one is read in the other.
  for (const each of [page, other]) await each.tab.keyboard.press('Escape');
  await page.press('Alt+s');
  await other.press('Alt+s');
  await world.mona.page.say('to both');
  await page.conversation('منى').locator('.unread').waitFor();
  await other.conversation('منى').locator('.unread').waitFor();
  await other.open('منى');
  await page.conversation('منى').locator('.unread').waitFor({ state: 'detached' });

  // What is locked in one is locked in the other.
  await other.press('Control+/');
  await other.button('set.lock.button').click();
  await page.heading('unlock.title').waitFor();
  await page.unlock('not this one');
  await page.text('error.wrong_passphrase').waitFor();
  await page.unlock(PASSPHRASE);
  await page.conversation('منى').waitFor();
  await other.conversation('منى').waitFor();
  await other.tab.close();
  await page.open('منى');
});

scenario('a program that dies and comes back loses nothing and doubles nothing', async () => {
  const { page, person } = world.ada;
  await page.message('to both', 'received').waitFor();
  await person.kill();
  await page.text('link.down.banner').waitFor();
  // Written while it is away, in both places.
  await page.say('are you still there?');
  await page.message('are you still there?', 'pending').waitFor();
  await world.mona.page.say('said meanwhile');
  await person.start();
  // The keys died with it.
  await page.heading('unlock.title').waitFor();
  await page.unlock(PASSPHRASE);
  await page.message('are you still there?', 'delivered').waitFor();
  await page.message('said meanwhile', 'received').waitFor();
  await world.mona.page.message('are you still there?', 'received').waitFor();
  for (const text of ['are you still there?', 'said meanwhile', 'to both']) assert.equal(await page.message(text).count(), 1);
  assert.equal(await world.mona.page.message('are you still there?').count(), 1);
  await same(page, person);
});
