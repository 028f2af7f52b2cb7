// What goes wrong, and how the page says it: real disks, gateways and backups.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Dial } from '../lib/dial.mjs';
import { fill, free } from '../lib/disk.mjs';
import { heard, listen, region } from '../lib/hearing.mjs';
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

/** A network in which nodes have failed, and somebody who looks on. */
const failing = {};

/** What is measured of many packets passes only with many more. */
const LONG_MS = 200_000;

const noAlert = (page, text) => region(page, 'alert', text).waitFor({ state: 'detached', timeout: LONG_MS });

scenario('nodes that fail are seen, in every view if much is lost, and named if they are gone round', async () => {
  failing.network = await Network.up(['--mixes-per-layer', '2', '--gateways', '2']);
  const { network } = failing;
  Object.assign(failing, await newcomer(network, 'Kira'));
  const { page } = failing;
  await page.network('net.online').waitFor();

  // One mix of two: there are other ways.
  await page.press('Alt+s');
  await listen(page);
  const [mix] = network.nodes('mix', 1);
  await network.kill(mix);
  const avoided = page.t('net.fault.avoided', { count: 1 });
  await region(page, 'status', avoided).waitFor();
  await heard(page, avoided);
  assert.equal((await failing.person.command('status')).avoided_mixes, 1, 'the command line says the same');
  await page.network('net.online.fault').waitFor();
  await everywhere(page.tab, 'network-fault');
  await network.restart(mix);

  // One store of four, which is asked for something as soon as somebody does something.
  const [store] = network.nodes('store');
  await network.kill(store);
  const silent = page.t('net.fault.stores', { count: 1 });
  const seen = region(page, 'status', silent).waitFor().then(() => true);
  for (let n = 0; n < 8; n++) await Promise.race([seen, failing.person.ask({ command: 'invite' })]);
  await seen;
  await heard(page, silent);
  await network.restart(store);

  // A layer is gone: nothing comes through, and no single mix is to blame. What the first mix has lost may be told still.
  const losing = page.t('net.losing');
  await noAlert(page, losing);
  await page.press('Control+/');
  await listen(page);
  const layer = network.nodes('mix', 2);
  for (const each of layer) await network.kill(each);
  const said = await heard(page, losing);
  assert.equal(said.filter((each) => each.includes(losing)).length, 1, said.join(' | '));
  await region(page, 'alert', losing).waitFor();
  await page.network('net.losing.short').waitFor();
  await everywhere(page.tab, 'losing');
  for (const each of layer) await network.restart(each);
  await page.press('Alt+s');
});

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
    await region(each.page, 'alert', each.page.t('talk.changed.banner', { name })).waitFor();
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
  await region(finn.page, 'alert', finn.page.t('state.failed', { reason })).waitFor();
  await region(finn.page, 'alert', `${finn.page.t('net.halted')}: ${reason}`).waitFor();
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
  await region(page, 'status', page.t('trouble.busy')).waitFor();
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

  // And then there is no network at all.
  await listen(page);
  await network.down();
  const away = page.t('trouble.unreachable');
  await heard(page, away);
  const tries = async () => (await jules.person.ask({ command: 'status' })).online.failed;
  while ((await tries()) < 2);
  assert.equal((await heard(page, away)).filter((each) => each === away).length, 1, 'told once, however often it is tried');
  await everywhere(page.tab, 'network-away');
  await page.press('Control+/');
  await region(page, 'status', away).waitFor();
  for (const each of [ivan, jules]) {
    quiet(each.person);
    await each.person.leave();
  }
});

scenario('a wrong clock is told at once in every view, and forgotten when it is right', async () => {
  const dial = new Dial();
  const lina = await newcomer(world.network, 'Lina', { dial });
  const { page } = lina;
  await page.network('net.online').waitFor();
  await page.press('Control+/');
  for (const [turn, state] of [['+365d', 'unsure'], ['-365d', 'behind']]) {
    await listen(page);
    dial.turn(turn);
    const wrong = page.t(`net.clock.${state}`);
    await heard(page, wrong);
    await region(page, 'alert', wrong).waitFor();
    await page.network('net.clock').waitFor();
    await everywhere(page.tab, `clock-${state}`);
    dial.turn('+0');
    await region(page, 'alert', wrong).waitFor({ state: 'detached' });
    await page.network('net.online').waitFor();
  }
  quiet(lina.person);
  await lina.person.leave();
  dial.remove();
});

scenario('the ends of what nodes had done are seen too', async () => {
  const { network, page, person } = failing;
  await noAlert(page, page.t('net.losing'));
  await page.heading('net.fault.title').waitFor({ state: 'detached', timeout: LONG_MS });
  await page.network('net.online').waitFor();
  assert.equal(await page.tab.getByRole('alert').filter({ hasText: /./ }).count(), 0);
  const { losing, avoided_mixes, avoided_stores } = await person.command('status');
  assert.deepEqual({ losing, avoided_mixes, avoided_stores }, { losing: false, avoided_mixes: 0, avoided_stores: 0 });
  await everywhere(page.tab, 'network-mended');
  quiet(person);
  await person.leave();
  await network.down();
});
