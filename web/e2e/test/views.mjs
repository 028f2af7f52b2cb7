// Every view, by day and by night, in both languages and both widths: axe finds nothing, and pictures are kept.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SIZES } from '../lib/browser.mjs';
import { Page } from '../lib/page.mjs';
import { Person } from '../lib/person.mjs';
import { PASSPHRASE } from '../lib/program.mjs';
import { look, quiet } from '../lib/scene.mjs';
import { world } from '../lib/world.mjs';

const THEMES = ['light', 'dark'];
const LANGUAGES = ['en', 'ar'];

/** In every language, theme and width, without leaving the view. */
async function everywhere(tab, name) {
  for (const language of LANGUAGES) {
    await tab.evaluate((choice) => {
      localStorage.setItem('xchat.language', choice);
      dispatchEvent(new StorageEvent('storage', { key: 'xchat.language' }));
    }, language);
    await tab.locator(`html[lang=${language}]`).waitFor();
    for (const theme of THEMES) {
      await tab.emulateMedia({ colorScheme: theme });
      for (const [size, viewport] of Object.entries(SIZES)) {
        await tab.setViewportSize(viewport);
        await look(new Page(tab, language), `${name}-${language}-${theme}-${size}`);
      }
    }
  }
  await tab.evaluate(() => {
    localStorage.removeItem('xchat.language');
    dispatchEvent(new StorageEvent('storage', { key: 'xchat.language' }));
  });
  await tab.emulateMedia({ colorScheme: 'light' });
  await tab.setViewportSize(SIZES.desk);
}

test('the first run and the lock', async () => {
  const person = await Person.come(world.browser, world.network, 'Noor');
  const page = await person.page();
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
  await page.tab.keyboard.press('Control+/');
  await page.button('set.lock.button').click();
  await page.tab.getByLabel(page.t('unlock.label')).waitFor();
  await everywhere(page.tab, 'unlock');
  quiet(person);
  await person.leave();
});

test('the conversations and what belongs to them', async () => {
  const { page } = world.ada;
  await page.open('منى');
  await page.message('said meanwhile', 'received').waitFor();
  await everywhere(page.tab, 'talk');
  await page.button('talk.compared').click();
  await page.tab.locator('ol.number li').nth(11).waitFor();
  await everywhere(page.tab, 'compare');
  await page.tab.keyboard.press('Alt+s');
  await page.tab.getByText(page.t('net.crowd.small')).waitFor();
  await page.tab.getByText(page.t('net.details')).click();
  await everywhere(page.tab, 'network');
  await page.tab.keyboard.press('Control+/');
  await page.heading('set.title').waitFor();
  await everywhere(page.tab, 'settings');
  await page.toAccept();
  await page.tab.getByLabel(page.t('accept.label')).waitFor();
  await everywhere(page.tab, 'accept');
  await page.invite();
  await everywhere(page.tab, 'invite');
});

test('everything can be reached by the keyboard', async () => {
  const { page } = world.ada;
  const { tab } = page;
  await tab.keyboard.press('Control+k');
  assert.equal(await tab.evaluate(() => document.activeElement.id), 'search');
  await tab.keyboard.type('nobody');
  await page.text('list.search.none', { query: 'nobody' }).waitFor();
  await tab.keyboard.press('Escape');
  await page.conversation('منى').waitFor();
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

test('the pages have asked nobody but their daemon, and complained of nothing', async () => {
  for (const person of [world.ada.person, world.mona.person, ...world.others]) quiet(person);
  await Promise.all([world.ada.person, world.mona.person, ...world.others].map((person) => person.leave()));
});
