// A conversation of which more is said than a page should hold at once.
import assert from 'node:assert/strict';
import { firstInView, loaded, loadedOthers, topOf } from '../lib/reading.mjs';
import { scenario } from '../lib/scenario.mjs';
import { world } from '../lib/world.mjs';

/** `MOST_LOADED` of the page. */
const MOST = 500;
const COUNT = MOST + 100;

scenario('of a long conversation a part is held, and one reads through all of it without a jump', async () => {
  const { page, person } = world.ada;
  await page.tab.reload();
  await page.open('منى');
  for (let at = 1; at <= COUNT; at += 1) await person.ask({ command: 'send', contact: 'منى', text: `row ${at}`, wait: 'no' });
  await page.message(`row ${COUNT}`, 'delivered').waitFor();
  // It was open all the time, at its end.
  assert.ok((await rows(page)).length <= MOST);

  const upwards = (pane) => (pane.scrollTop = 300);
  await read(page, upwards, 'row 1');
  assert.equal(await page.message(`row ${COUNT}`).count(), 0, 'the end was let go');
  // Whoever comes back comes to the end, and finds nothing new there.
  await page.tab.keyboard.press('Escape');
  await page.open('منى');
  await page.message(`row ${COUNT}`).waitFor();
  assert.equal(await page.tab.locator('[data-unread]').count(), 0);
  await read(page, upwards, 'row 1');
  const downwards = (pane) => (pane.scrollTop = pane.scrollHeight - pane.clientHeight - 300);
  await read(page, downwards, `row ${COUNT}`);
  assert.equal(await page.message('row 1').count(), 0, 'the beginning was let go');

  await page.button('talk.latest').click();
  await page.button('talk.latest').waitFor({ state: 'detached' });
  await page.say('and on it goes');
  await page.message('and on it goes', 'delivered').waitFor();
});

/** Scrolls until a message is loaded; what was read stays in its place, and no page has a gap. */
async function read(page, scroll, until) {
  const pane = page.tab.locator('.pane');
  while ((await page.message(until).count()) === 0) {
    const before = await loaded(page);
    await pane.evaluate(scroll);
    const { id, top } = await pane.evaluate(firstInView);
    await loadedOthers(page, before, until);
    const moved = (await pane.evaluate(topOf, id)) - top;
    assert.ok(Math.abs(moved) < 2, `message ${id} moved by ${moved} px`);
    const numbers = await rows(page);
    assert.ok(numbers.length <= MOST, `${numbers.length} are held`);
    assert.deepEqual(numbers, numbers.map((_, at) => numbers[0] + at));
  }
}

async function rows(page) {
  const texts = await page.texts();
  return texts.filter((text) => text.startsWith('row ')).map((text) => Number(text.slice(4)));
}
