// What goes wrong, and how the page says it: real disks, gateways and backups.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { fill, free } from '../lib/disk.mjs';
import { Network } from '../lib/network.mjs';
import { Person } from '../lib/person.mjs';
import { PASSPHRASE } from '../lib/program.mjs';
import { scenario } from '../lib/scenario.mjs';
import { everywhere, quiet } from '../lib/scene.mjs';
import { world } from '../lib/world.mjs';

async function newcomer(network, name, options) {
  const person = await Person.come(world.browser, network, name, options);
  const page = await person.page();
  await page.firstRun(name, PASSPHRASE);
  return { person, page };
}

async function meet(inviter, accepter) {
  const { link } = await inviter.person.ask({ command: 'invite' });
  await accepter.person.ask({ command: 'accept', link });
  await inviter.page.conversation(accepter.person.name).waitFor();
  await accepter.page.conversation(inviter.person.name).waitFor();
}

async function say(from, to, text) {
  await from.person.ask({ command: 'send', contact: to.person.name, text, wait: 'delivered' });
}

scenario('a restored backup comes back, and both sides are told to compare again', async () => {
  const [dana, erik] = await Promise.all([newcomer(world.network, 'Dana'), newcomer(world.network, 'Erik')]);
  await meet(dana, erik);
  await dana.page.open('Erik');
  await dana.page.button('talk.compare').click();
  await dana.page.button('compare.equal').click();
  await dana.page.button('compare.undo').waitFor();
  await say(dana, erik, 'before the copy');
  const copy = await erik.person.backUp();
  await erik.person.start();
  await erik.page.unlock(PASSPHRASE);
  await erik.page.conversation('Dana').waitFor();
  for (const [from, to] of [[erik, dana], [dana, erik], [erik, dana]]) await say(from, to, 'after the copy');
  await erik.person.restore(copy);

  // The copy knows no page and no port: it is opened anew.
  await erik.page.tab.goto(await erik.person.address());
  await erik.page.unlock(PASSPHRASE);
  await erik.page.open('Dana');
  // In the list and in the conversation.
  await erik.page.text('notice.we_rejoined').last().waitFor();
  await dana.page.open('Erik');
  await dana.page.text('notice.they_rejoined', { name: 'Erik' }).last().waitFor();
  for (const [each, name] of [[erik, 'Dana'], [dana, 'Erik']]) {
    await each.page.text('talk.changed.banner', { name }).waitFor();
    await each.page.conversation(name).getByTitle(each.page.t('talk.changed')).waitFor();
  }
  await everywhere(dana.page.tab, 'rejoined');

  // What he lost is his again, and it goes on.
  await dana.page.say('welcome back');
  await erik.page.message('welcome back', 'received').waitFor();
  const numbers = [];
  for (const [each, name] of [[erik, 'Dana'], [dana, 'Erik']]) {
    await each.page.tab.locator('.banner').getByRole('button').click();
    const groups = each.page.tab.locator('ol.number li');
    await groups.nth(11).waitFor();
    numbers.push(await groups.allTextContents());
    await each.page.button('compare.equal').click();
    await each.page.button('compare.undo').waitFor();
    await each.page.tab.keyboard.press('Escape');
    await each.page.text('talk.changed.banner', { name }).waitFor({ state: 'detached' });
  }
  assert.deepEqual(numbers[0], numbers[1]);
  quiet(dana.person);
  quiet(erik.person, 2);
  await Promise.all([dana.person.leave(), erik.person.leave()]);
});

scenario('a full disk is told, refuses what cannot be kept, and everything goes on when there is room', async () => {
  const [finn, gala] = await Promise.all([
    newcomer(world.network, 'Finn', { smallDisk: true }),
    newcomer(world.network, 'Gala'),
  ]);
  await meet(finn, gala);
  await finn.page.open('Gala');
  await finn.page.say('while there is room');
  await finn.page.message('while there is room', 'delivered').waitFor();

  // Some still fits into what the database has already.
  const ballast = join(finn.person.profile, 'ballast');
  const failed = finn.page.tab.locator('[data-state=pending] .failed');
  let texts = 0;
  while ((await failed.count()) === 0) {
    assert.ok(texts < 200, 'a full disk takes no message after message');
    fill(ballast);
    texts += 1;
    const text = `until it is full ${texts}`;
    await finn.page.say(text);
    await finn.page.tab.waitForFunction((wanted) => {
      const rows = [...document.querySelectorAll('[data-state]')].filter((row) => row.textContent.includes(wanted));
      return rows.some((row) => row.dataset.state !== 'pending' || row.querySelector('.failed'));
    }, text);
  }
  const reason = finn.page.t('error.disk_full');
  await failed.getByText(finn.page.t('state.failed', { reason }), { exact: true }).waitFor();
  await finn.page.network('net.halted').waitFor();
  await everywhere(finn.page.tab, 'halted-talk');
  await finn.page.press('Alt+s');
  await finn.page.tab.getByText(`${finn.page.t('net.halted')}: ${reason}`, { exact: true }).waitFor();
  await everywhere(finn.page.tab, 'halted-network');

  free(ballast);
  await finn.page.tab.getByText(`${finn.page.t('net.halted')}: ${reason}`, { exact: true }).waitFor({ state: 'detached' });
  await finn.page.tab.keyboard.press('Escape');
  const refused = `until it is full ${texts}`;
  await finn.page.button('retry').click();
  await finn.page.message(refused, 'delivered').waitFor();
  await gala.page.open('Finn');
  await gala.page.message(refused, 'received').waitFor();
  const received = await gala.page.texts();
  assert.deepEqual(received, ['while there is room', ...Array.from({ length: texts }, (_, at) => `until it is full ${at + 1}`)]);
  for (const each of [finn, gala]) {
    quiet(each.person);
    await each.person.leave();
  }
});

/** In the page: writes down every state of the network that is shown, in their order. */
function recordStates() {
  const words = () => [...document.querySelectorAll('nav button .words')].at(-1)?.lastChild?.textContent.trim();
  window.states = [words()];
  new MutationObserver(() => {
    if (words() !== window.states.at(-1)) window.states.push(words());
  }).observe(document.querySelector('nav'), { subtree: true, childList: true, characterData: true });
}

scenario('a full gateway is told, and who gets in has worked for it', async () => {
  const network = await Network.up(['--gateways', '2', '--max-sessions', '1']);
  const [hana, ivan] = await Promise.all([newcomer(network, 'Hana'), newcomer(network, 'Ivan')]);
  for (const { page } of [hana, ivan]) await page.network('net.online').waitFor();
  const jules = await newcomer(network, 'Jules');
  const { page } = jules;
  await page.press('Alt+s');
  await page.text('trouble.busy').waitFor();
  await everywhere(page.tab, 'network-busy');
  // Those who are there stay.
  await meet(hana, ivan);
  await say(hana, ivan, 'room for two');

  await page.tab.evaluate(recordStates);
  await hana.person.leave();
  await page.network('net.online').waitFor();
  const states = await page.tab.evaluate(() => window.states);
  const [proving, online] = [page.t('net.proving'), page.t('net.online')];
  // Between the two it waits to be welcomed.
  assert.ok(states.includes(proving) && states.at(-1) === online, states.join(', '));
  for (const each of [ivan, jules]) {
    quiet(each.person);
    await each.person.leave();
  }
  await network.down();
});
