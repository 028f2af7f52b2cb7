// What was said is found again.
import assert from 'node:assert/strict';
import { loaded, loadedOthers } from '../lib/reading.mjs';
import { scenario } from '../lib/scenario.mjs';
import { everywhere, look } from '../lib/scene.mjs';
import { world } from '../lib/world.mjs';

/** The lines of which a conversation has many: their numbers, in the order of the page. */
async function lines(page) {
  const texts = await page.texts();
  return texts.filter((text) => text.startsWith('line ')).map((text) => Number(text.slice(5)));
}

const from = (first, last) => Array.from({ length: last - first + 1 }, (_, at) => first + at);

scenario('a word is found in all that was said, and a click goes there', async () => {
  const { page } = world.ada;
  // Only the newest are loaded then.
  await page.tab.reload();
  await page.message('line 130').waitFor();
  await page.search('line 7');
  const wanted = [...from(70, 79).reverse(), 7].map((number) => `line ${number}`);
  assert.deepEqual(await page.foundOf(11), wanted, 'newest first, the last word as a beginning');
  const first = page.found.first();
  assert.deepEqual(await first.locator('mark').allTextContents(), ['line', '79']);
  await first.getByText(page.t('search.mine', { name: 'منى' }), { exact: true }).waitFor();
  assert.match(await first.locator('time').getAttribute('datetime'), /^\d{4}-/);
  await everywhere(page.tab, 'search');

  await page.found.last().click();
  const sought = page.tab.locator('.sought');
  await sought.getByText('line 7', { exact: true }).waitFor();
  await page.tab.waitForFunction(() => document.activeElement?.classList.contains('sought'));
  assert.ok(await sought.evaluate(inView), 'it is in view');
  assert.equal(await page.message('line 130').count(), 0, 'what lies between is not loaded');
  await page.button('talk.latest').waitFor();
  await everywhere(page.tab, 'search-gone-to');
  assert.equal(await page.found.count(), 11, 'what was found stays beside it');

  // What came meanwhile does not stand where it does not belong; and one reads on without a gap.
  await world.mona.page.say('while you were away');
  const pane = page.tab.locator('.pane');
  while ((await page.message('while you were away').count()) === 0) {
    const before = await loaded(page);
    await pane.evaluate((each) => (each.scrollTop = each.scrollHeight));
    await loadedOthers(page, before, 'while you were away');
  }
  // It may have come after the last of these steps: it is read when one is at the end.
  await pane.evaluate((each) => (each.scrollTop = each.scrollHeight));
  for (const [key, values] of [['talk.new', { count: 1 }], ['talk.latest']]) await page.button(key, values).waitFor({ state: 'detached' });
  const read = await lines(page);
  assert.deepEqual(read, from(read[0], 130));
  assert.ok(read[0] <= 7);

  // To another one, and straight back to the newest.
  await page.found.nth(3).click();
  await sought.getByText('line 76', { exact: true }).waitFor();
  await page.button('talk.latest').click();
  await page.tab.waitForFunction(() => !document.querySelector('.sought'));
  assert.ok(await page.message('while you were away').evaluate(inView));
});

scenario('an old message opens with what is around it, and what one says then stands at the end', async () => {
  const { page } = world.ada;
  await page.tab.reload();
  await page.message('while you were away').waitFor();
  await page.search('line 20');
  await page.foundOf(1);
  await page.tab.keyboard.press('Enter');
  await page.tab.locator('.sought').getByText('line 20', { exact: true }).waitFor();
  assert.equal(await page.message('while you were away').count(), 0);
  await page.say('I am back');
  await page.message('I am back', 'delivered').waitFor();
  assert.deepEqual((await page.texts()).slice(-2), ['while you were away', 'I am back']);
  await page.press('Control+k');
  await page.tab.keyboard.press('Escape');
  await page.conversation('منى').waitFor();
});

scenario('who has come back to the newest is there again after a reload', async () => {
  const { page } = world.ada;
  const sought = page.tab.locator('.sought');
  const goTo = async (text) => {
    await page.search(text);
    await page.foundOf(1);
    await page.tab.keyboard.press('Enter');
    await sought.getByText(text, { exact: true }).waitFor();
  };
  const isAtTheNewest = async (text) => {
    await sought.waitFor({ state: 'detached' });
    await page.tab.reload();
    await page.message(text).waitFor();
    assert.equal(await sought.count(), 0);
    await page.tab.waitForFunction(() => {
      const pane = document.querySelector('.pane');
      return pane.scrollHeight - pane.scrollTop - pane.clientHeight < 48;
    });
  };
  await goTo('line 21');
  // As long as one only looks, one is there.
  await page.tab.reload();
  await sought.getByText('line 21', { exact: true }).waitFor();
  await page.say('and back again');
  await page.message('and back again', 'delivered').waitFor();
  await isAtTheNewest('and back again');

  await goTo('line 101');
  const pane = page.tab.locator('.pane');
  while ((await sought.count()) > 0) {
    await pane.evaluate((each) => {
      each.scrollTop = each.scrollHeight;
      return new Promise(requestAnimationFrame);
    });
  }
  await isAtTheNewest('and back again');
});

scenario('one conversation is searched by itself, in Arabic on a phone', async () => {
  const { page } = world.mona;
  await page.button('talk.search', { name: 'Ada' }).click();
  await page.tab.waitForFunction(() => document.activeElement?.id === 'search');
  await page.text('search.only', { name: 'Ada' }).waitFor();
  // Without its marks, as people type.
  await page.searchField.fill('اهلا');
  assert.deepEqual(await page.foundOf(1), ['أهلًا Ada!']);
  assert.deepEqual(await page.found.locator('mark').allTextContents(), ['أهلًا']);
  await look(page, 'search-within-ar-light-phone');
  await page.found.first().click();
  await page.tab.locator('.sought').getByText('أهلًا Ada!', { exact: true }).waitFor();
  await page.button('back').click();
  assert.deepEqual(await page.foundOf(1), ['أهلًا Ada!'], 'one comes back to what was found');
  await page.tab.getByRole('button', { name: page.t('search.everywhere') }).click();
  await page.tab.waitForFunction(() => !document.querySelector('.scope'));
  await page.searchField.fill('');
  await page.open('Ada');
});

scenario('what is not there is said not to be, whatever was typed', async () => {
  const { page } = world.ada;
  for (const nothing of ['xyzzy', '"line* OR (', '👍👍', '-- ; DROP TABLE messages']) {
    await page.search(nothing);
    await page.text('search.none', { query: nothing }).waitFor();
  }
  await page.search('xyzzy');
  await page.text('search.none', { query: 'xyzzy' }).waitFor();
  await look(page, 'search-none-en-light-desk');
  await page.searchField.press('Escape');
  await page.conversation('منى').waitFor();
  // The other key, where it is not a letter of what is being written.
  await page.composer.focus();
  await page.tab.keyboard.press('/');
  await page.drafted('/');
  await page.composer.fill('');
  await page.tab.locator('.pane').focus();
  await page.tab.keyboard.press('/');
  await page.tab.waitForFunction(() => document.activeElement?.id === 'search');
  assert.equal(await page.searchField.inputValue(), '');
});

/** In the page: whether all of it is seen. */
function inView(row) {
  const pane = row.closest('.pane').getBoundingClientRect();
  const { top, bottom } = row.getBoundingClientRect();
  return top >= pane.top && bottom <= pane.bottom;
}
