// What is being written, and whom one waits for: the program keeps it, and the browser nothing.
import assert from 'node:assert/strict';
import { region } from '../lib/hearing.mjs';
import { scenario } from '../lib/scenario.mjs';
import { PASSPHRASE, PATIENCE_MS } from '../lib/program.mjs';
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

/** What the program has as the draft, once it is this. */
async function kept(person, text) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const { conversations } = await person.ask({ command: 'conversations' });
    const drafts = conversations.map((each) => each.draft).filter((draft) => draft !== null);
    if (drafts.includes(text)) return;
    assert.ok(Date.now() < deadline, `“${text}” was not kept, but ${drafts}`);
  }
}

/** In the page: from the moment it goes, nothing leaves by its socket any more. A browser may do that. */
function cutSocketOff() {
  addEventListener('pagehide', () => (WebSocket.prototype.send = () => undefined), { capture: true });
}

scenario('what was written at last is kept, however the page goes', async () => {
  const { page, person } = world.ada;
  const ways = {
    'is loaded again': (tab) => tab.reload(),
    'makes room for another': (tab) => tab.goto('about:blank'),
    'is closed': (tab) => tab.close(),
  };
  for (const [way, go] of Object.entries(ways)) {
    const tab = await person.tab(page);
    await tab.open('منى');
    await tab.tab.evaluate(cutSocketOff);
    await tab.composer.fill(`the page ${way}`);
    await go(tab.tab);
    await kept(person, `the page ${way}`);
    await page.drafted(`the page ${way}`);
    if (!tab.tab.isClosed()) await tab.tab.close();
  }
  await page.composer.fill('');
  await page.composer.blur();
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
  await region(world.mona.page, 'alert', world.mona.page.t('error.expired')).waitFor();
  await everywhere(world.mona.page.tab, 'accept-expired');
  // On a phone the conversation is two steps back.
  await world.mona.page.button('back').click();
  await world.mona.page.button('back').click();
  await world.mona.page.composer.waitFor();
  await page.open('منى');
});
