// What is being written, and whom one waits for: the program keeps it, and the browser nothing.
import assert from 'node:assert/strict';
import { scenario } from '../lib/scenario.mjs';
import { PASSPHRASE } from '../lib/program.mjs';
import { everywhere } from '../lib/scene.mjs';
import { world } from '../lib/world.mjs';

/** In the page: everything that the browser would keep for it. */
async function heldByTheBrowser() {
  const databases = await indexedDB.databases();
  const held = { ...localStorage, ...sessionStorage, cookie: document.cookie, history: history.state };
  return JSON.stringify([held, databases, await caches.keys(), location.href]);
}

async function restarted() {
  const { page, person } = world.ada;
  await person.kill();
  await page.text('link.down.banner').waitFor();
  await person.start();
  await page.heading('unlock.title').waitFor();
  await page.unlock(PASSPHRASE);
}

scenario('a draft is the same in all tabs, and survives a reload and a killed program', async () => {
  const { page, person } = world.ada;
  await page.open('منى');
  const other = await person.tab(page);
  await other.open('منى');
  await page.composer.pressSequentially('half a sen');
  await other.drafted('half a sen');
  await other.composer.press('End');
  await other.composer.pressSequentially('tence');
  await page.drafted('half a sentence');
  assert.doesNotMatch(await page.tab.evaluate(heldByTheBrowser), /half|sentence/);

  // At once when the page goes, not a second later.
  await page.composer.press('End');
  await page.composer.pressSequentially(' more');
  await page.tab.reload();
  await page.drafted('half a sentence more');
  await other.drafted('half a sentence more');

  // Elsewhere the list says that something was begun.
  await page.press('Alt+s');
  await page.conversation('منى').getByText(page.t('list.draft'), { exact: true }).waitFor();
  await everywhere(page.tab, 'draft');

  await page.tab.keyboard.press('Escape');
  await restarted();
  await page.open('منى');
  await page.drafted('half a sentence more');
  await other.open('منى');
  await other.drafted('half a sentence more');

  await other.composer.press('Enter');
  await other.message('half a sentence more', 'delivered').waitFor();
  await page.drafted('');
  await page.message('half a sentence more', 'delivered').waitFor();
  const { conversations } = await person.ask({ command: 'conversations' });
  assert.ok(conversations.every((each) => each.draft === null));
  await page.tab.reload();
  await page.composer.waitFor();
  await page.drafted('');
  await other.tab.close();
});

scenario('an open invitation survives a reload and a killed program, is the same in all tabs, and can be withdrawn', async () => {
  const { page, person } = world.ada;
  const link = await page.invite();
  const shows = (each) => each.tab.waitForFunction((wanted) => document.querySelector('textarea[readonly]')?.value === wanted, link);
  await page.tab.reload();
  await shows(page);
  assert.ok(!(await page.tab.evaluate(heldByTheBrowser)).includes(link));
  await restarted();
  await shows(page);
  const other = await person.tab(page);
  assert.equal(await other.invite(), link, 'no other one is made');

  await page.button('invite.another').click();
  await page.tab.waitForFunction((old) => {
    const field = document.querySelector('textarea[readonly]');
    return field && field.value !== old;
  }, link);
  await page.heading('invite.others').waitFor();
  await everywhere(page.tab, 'invitations');
  await page.tab.locator('section[aria-labelledby=others] button').last().click();
  await shows(page);
  await page.button('invite.withdraw').click();
  await everywhere(page.tab, 'invite-withdraw');
  await page.button('invite.withdraw.yes').click();
  await page.tab.waitForFunction((old) => document.querySelector('textarea[readonly]')?.value !== old, link);
  await other.tab.waitForFunction((old) => document.querySelector('textarea[readonly]')?.value !== old, link);
  const open = await person.ask({ command: 'invitations' });
  assert.ok(open.invitations.length > 0 && open.invitations.every((each) => each.link !== link));
  await other.tab.close();

  await world.mona.page.accept(link);
  await world.mona.page.text('error.expired').waitFor();
  // On a phone the conversation is two steps back.
  await world.mona.page.button('back').click();
  await world.mona.page.button('back').click();
  await world.mona.page.composer.waitFor();
  await page.open('منى');
});
