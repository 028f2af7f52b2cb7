// Every view, by day and by night, in both languages and both widths: axe finds nothing, and pictures are kept.
import assert from 'node:assert/strict';
import { tree } from '../lib/hearing.mjs';
import { Network } from '../lib/network.mjs';
import { scenario } from '../lib/scenario.mjs';
import { Page } from '../lib/page.mjs';
import { Person } from '../lib/person.mjs';
import { PASSPHRASE } from '../lib/program.mjs';
import { everywhere, quiet } from '../lib/scene.mjs';
import { world } from '../lib/world.mjs';

scenario('the first run and the lock', async () => {
  const person = await Person.come(world.browser, world.network, 'Noor');
  const page = await person.page();
  world.noor = { person, page };
  await page.heading('start.name.title').waitFor();
  await everywhere(page.tab, 'first-name');
  await page.tab.getByLabel(page.t('start.name.label')).fill('Noor');
  await page.button('continue').click();
  await page.button('continue').click();
  await page.text('start.pass.empty').waitFor();
  await page.tab.getByLabel(page.t('start.pass.label'), { exact: true }).fill('orange bicycle');
  await page.tab.getByLabel(page.t('start.pass.again')).fill('orange bicycles');
  await page.text('start.pass.differ').waitFor();
  await page.text('strength.weak').waitFor();
  await everywhere(page.tab, 'first-passphrase');
  await page.tab.getByLabel(page.t('start.pass.label'), { exact: true }).fill(PASSPHRASE);
  await page.tab.getByLabel(page.t('start.pass.again')).fill(PASSPHRASE);
  await page.text('strength.strong').waitFor();
  await page.button('continue').click();
  await everywhere(page.tab, 'first-pace');
  await page.button('start.create').click();
  await page.heading('list.empty.title').waitFor();
  await everywhere(page.tab, 'list-empty');
  await page.press('Control+/');
  await page.button('set.lock.button').click();
  await page.tab.getByLabel(page.t('unlock.label')).waitFor();
  await everywhere(page.tab, 'unlock');
  await page.unlock(PASSPHRASE);
  await page.heading('list.empty.title').waitFor();
});

scenario('what each pace costs and gives, where one can choose', async () => {
  const network = await Network.up([], []);
  const person = await Person.come(world.browser, network, 'Kim');
  const page = await person.page();
  await page.tab.getByLabel(page.t('start.name.label')).fill('Kim');
  await page.button('continue').click();
  await page.tab.getByLabel(page.t('start.pass.label'), { exact: true }).fill(PASSPHRASE);
  await page.tab.getByLabel(page.t('start.pass.again')).fill(PASSPHRASE);
  await page.button('continue').click();
  await page.heading('start.pace.title').waitFor();
  assert.deepEqual((await tree(page)).focused, { role: 'heading', name: page.t('start.pace.title') });
  const choices = page.tab.getByRole('radio');
  assert.equal(await choices.count(), 4);
  for (const [pace, size, time] of [['fast', '25 gigabytes', '1 second'], ['desk', '6.3 gigabytes', '2.5 seconds']]) {
    const choice = page.tab.locator('label').filter({ has: page.tab.getByText(page.t(`pace.${pace}`), { exact: true }) });
    await choice.getByText(page.t('pace.cost', { size })).waitFor();
    await choice.getByText(page.t('pace.time', { time })).waitFor();
  }
  await everywhere(page.tab, 'first-paces');
  await page.button('start.create').click();
  await page.heading('list.empty.title').waitFor();
  await page.network('net.online').waitFor();
  await page.press('Control+/');
  await page.heading('set.pace').waitFor();
  await everywhere(page.tab, 'settings-paces');
  await page.press('Alt+s');
  // The same as the command line says.
  const { pace } = await person.command('status');
  assert.equal(pace.name, 'desk');
  await page.heading('net.pace', { pace: page.t('pace.desk') }).waitFor();
  const facts = page.tab.locator('main dl').first().locator('dd');
  assert.deepEqual(await facts.allTextContents(), ['6.3 gigabytes', `${pace.message_seconds} seconds`]);
  await page.text('net.pace.away', { time: '16 days' }).waitFor();
  await everywhere(page.tab, 'network-costs');
  quiet(person);
  await person.leave();
  await network.down();
});

/** Noor meets somebody by their programs' other door, as the pages' own ways have been tried. */
async function meet(other) {
  const { link } = await world.noor.person.ask({ command: 'invite' });
  await other.ask({ command: 'accept', link });
}

/** What was said, one after the other, so that it stands in this order at both. */
async function converse(other, lines) {
  for (const [mine, text] of lines) {
    const [from, contact] = mine ? [world.noor.person, other.name] : [other, 'Noor'];
    await from.ask({ command: 'send', contact, text, wait: 'delivered' });
  }
}

scenario('the conversations and what belongs to them', async () => {
  const { page } = world.noor;
  const { bea, sami } = world;
  await Promise.all([meet(bea), meet(sami), meet(world.ada.person)]);
  await Promise.all([page.conversation('Bea'), page.conversation('سامي'), page.conversation('Ada')].map((each) => each.waitFor()));
  await Promise.all([
    converse(sami, [
      [true, 'مساء الخير سامي، وصلت الدعوة بسلام.'],
      [false, 'مساء النور! هل نقارن رقم الأمان غدًا على القهوة؟'],
      [true, 'فكرة جميلة. See you at 10.'],
      [false, 'اتفقنا 👍'],
    ]),
    converse(bea, [
      [false, 'The invitation arrived in one piece.'],
      [true, 'Lovely. Compare the number tomorrow, over coffee?'],
      [false, 'Yes. Did you see the note from the lawyer? She says the appointment moved to Thursday at ten, and that we should bring the originals, not the copies.'],
      [true, 'Saw it. I have them here.'],
      [true, 'I’ll be the one with too many folders.'],
    ]),
  ]);
  // Nobody comes by for this one: it stays where it is, and its state says so.
  await bea.kill();
  await page.open('Bea');
  await page.say('See you there');
  await page.message('See you there', 'stored').waitFor();
  await everywhere(page.tab, 'talk');
  await page.open('سامي');
  await page.message('اتفقنا 👍', 'received').waitFor();
  await everywhere(page.tab, 'talk-mixed');
  await page.open('Bea');
  await page.button('talk.compare').click();
  await page.tab.locator('ol.number li').nth(11).waitFor();
  await everywhere(page.tab, 'compare');
  await page.press('Alt+s');
  await page.heading('net.crowd.trial').waitFor();
  await everywhere(page.tab, 'network');
  await page.press('Control+/');
  await page.heading('set.title').waitFor();
  await everywhere(page.tab, 'settings');
  await page.toAccept();
  await page.tab.getByLabel(page.t('accept.label')).waitFor();
  await everywhere(page.tab, 'accept');
  await page.invite();
  await everywhere(page.tab, 'invite');
  const fresh = new Page(await world.noor.person.window.tab(), 'en');
  await fresh.tab.goto(new URL(page.tab.url()).origin);
  await fresh.conversation('Bea').waitFor();
  await everywhere(fresh.tab, 'list');
});

scenario('everything can be reached by the keyboard', async () => {
  const { page } = world.ada;
  const { tab } = page;
  await tab.keyboard.press('Control+k');
  assert.equal(await tab.evaluate(() => document.activeElement.id), 'search');
  await tab.keyboard.type('nobody');
  await page.text('search.none', { query: 'nobody' }).waitFor();
  await tab.keyboard.press('Escape');
  await page.conversation('Noor').waitFor();
  await tab.keyboard.type('منى');
  await page.conversation('Noor').waitFor({ state: 'detached' });
  await tab.keyboard.press('ArrowDown');
  assert.ok(await page.conversation('منى').evaluate((item) => item === document.activeElement));
  await tab.keyboard.press('ArrowUp');
  assert.equal(await tab.evaluate(() => document.activeElement.id), 'search');
  await tab.keyboard.press('ArrowDown');
  await tab.keyboard.press('Enter');
  await page.composer.waitFor();
  assert.ok(await page.composer.evaluate((field) => field === document.activeElement), 'one can write at once');
  const outline = await page.conversation('منى').evaluate((item) => {
    item.focus({ focusVisible: true });
    return getComputedStyle(item).outlineStyle;
  });
  assert.equal(outline, 'solid', 'the focus is seen');
});

scenario('the pages have asked nobody but their daemon, and complained of nothing', async () => {
  const everybody = [world.ada.person, world.mona.person, world.noor.person, world.bea, world.sami];
  for (const person of everybody) quiet(person);
  await Promise.all(everybody.map((person) => person.leave()));
});
