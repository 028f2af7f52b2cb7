// What is written and read.
import assert from 'node:assert/strict';
import { firstInView, loaded, loadedOthers, topOf } from '../lib/reading.mjs';
import { scenario } from '../lib/scenario.mjs';
import { world } from '../lib/world.mjs';

scenario('a message is there at once, and its state moves on as it is', async () => {
  const { page } = world.ada;
  await page.say('Where are you?');
  assert.equal(await page.composer.inputValue(), '');
  await page.message('Where are you?').waitFor();
  await page.message('Where are you?', 'delivered').waitFor();
  await page.message('Where are you?', 'delivered').getByText(page.t('state.delivered'), { exact: true }).waitFor();
  assert.equal(await page.message('Where are you?').count(), 1);
});

scenario('what arrives while the list is open is counted, announced, and read when it is opened', async () => {
  const { page } = world.mona;
  await page.tab.keyboard.press('Escape');
  await world.ada.page.say('One');
  await world.ada.page.say('Two');
  const unread = page.conversation('Ada').locator('.unread');
  await unread.getByText('2', { exact: true }).waitFor();
  await page.tab.waitForFunction(() => document.title.includes('2'));
  const live = page.tab.locator('p.hidden[aria-live=polite]');
  assert.equal(await live.textContent(), page.t('talk.arrived', { name: 'Ada', text: 'Two' }));
  await page.open('Ada');
  await page.message('Two', 'received').waitFor();
  await page.tab.locator('[data-unread]').waitFor();
  await page.tab.waitForFunction(() => document.title === 'xchat');
});

scenario('Enter sends, Shift+Enter begins a line, and a draft stays with its conversation', async () => {
  const { page } = world.ada;
  await page.composer.fill('first');
  const low = await page.composer.evaluate((field) => field.clientHeight);
  await page.composer.press('Shift+Enter');
  await page.composer.pressSequentially('second');
  assert.ok((await page.composer.evaluate((field) => field.clientHeight)) > low, 'it grows');
  await page.press('Alt+s');
  await page.heading('net.title').waitFor();
  await page.tab.keyboard.press('Escape');
  assert.equal(await page.composer.inputValue(), 'first\nsecond');
  await page.composer.press('Enter');
  await page.message('first\nsecond').waitFor();
  await page.composer.fill('   ');
  await page.composer.press('Enter');
  assert.ok(await page.button('talk.send').isDisabled(), 'white space is no message');
  await page.composer.fill('');
});

scenario('the limit of a message is shown when it is near, and holds', async () => {
  const { page } = world.ada;
  const limit = page.tab.locator('form .limit');
  await page.composer.fill('a'.repeat(7000));
  assert.equal(await limit.count(), 0);
  // Bytes, not letters: an Arabic letter has two.
  await page.composer.fill('م'.repeat(4000));
  await limit.filter({ hasText: '192' }).waitFor();
  await page.composer.fill('م'.repeat(4097));
  await limit.filter({ hasText: '2' }).waitFor();
  assert.ok(await page.button('talk.send').isDisabled());
  await page.composer.fill(`${'م'.repeat(4092)} the end`);
  await page.composer.press('Enter');
  await world.mona.page.tab.locator('[data-state=received]').filter({ hasText: 'the end' }).waitFor();
});

scenario('both see one safety number, and remember that they compared it', async () => {
  const numbers = [];
  for (const { page } of [world.ada, world.mona]) {
    await page.button('talk.compare').click();
    const groups = page.tab.locator('ol.number li');
    await groups.nth(11).waitFor();
    numbers.push(await groups.allTextContents());
    await page.button('compare.equal').click();
    await page.button('compare.undo').waitFor();
    await page.tab.keyboard.press('Escape');
    await page.button('talk.compared').waitFor();
    assert.equal(await page.button('talk.compare').count(), 0, 'the banner is gone');
  }
  assert.deepEqual(numbers[0], numbers[1]);
  assert.ok(numbers[0].length === 12 && numbers[0].every((group) => /^\d{5}$/.test(group)));
});

scenario('earlier messages come page by page, and what is read stays where it is', async () => {
  const { page, person } = world.ada;
  const COUNT = 130;
  for (let at = 1; at <= COUNT; at += 1) await person.ask({ command: 'send', contact: 'منى', text: `line ${at}`, wait: 'no' });
  // What has become of a message is told beneath it, which moves what is around it: here only pages do.
  await page.message(`line ${COUNT}`, 'delivered').waitFor();
  await page.tab.reload();
  await page.message(`line ${COUNT}`).waitFor();
  assert.equal(await page.message('line 1').count(), 0, 'only the newest are loaded');

  const pane = page.tab.locator('.pane');
  while ((await page.message('line 1').count()) === 0) {
    const before = await loaded(page);
    // Near to the beginning of what is loaded.
    await pane.evaluate((each) => (each.scrollTop = 300));
    const { id, top } = await pane.evaluate(firstInView);
    await loadedOthers(page, before, 'line 1');
    const moved = (await pane.evaluate(topOf, id)) - top;
    assert.ok(Math.abs(moved) < 2, `message ${id} moved by ${moved} px`);
  }
  const texts = await page.texts();
  const lines = texts.filter((text) => text.startsWith('line '));
  assert.deepEqual(lines, Array.from({ length: COUNT }, (_, at) => `line ${at + 1}`));
});
