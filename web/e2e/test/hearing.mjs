// The page for somebody who does not see it: by roles and names alone, and by what it says unasked.
import assert from 'node:assert/strict';
import { heard, listen, region, spoken, tree } from '../lib/hearing.mjs';
import { PASSPHRASE } from '../lib/program.mjs';
import { scenario } from '../lib/scenario.mjs';
import { everywhere } from '../lib/scene.mjs';
import { world } from '../lib/world.mjs';

/** Ada hears English at a desk, Mona Arabic on a phone. */
const SIDES = () => [
  { me: world.ada, other: world.mona, name: 'منى', own: 'Ada', wide: true },
  { me: world.mona, other: world.ada, name: 'Ada', own: 'منى', wide: false },
];

/** One heading of the first level, and no level left out. */
function inOrder(headings) {
  const levels = headings.map(([level]) => level);
  assert.equal(levels.filter((level) => level === 1).length, 1, JSON.stringify(headings));
  for (const level of levels) assert.ok(level === 1 || levels.includes(level - 1), JSON.stringify(headings));
}

/** Each of them, one after the other, as words of their own. */
function inThisOrder(text, parts) {
  let at = 0;
  for (const part of parts) {
    const found = text.indexOf(part, at);
    assert.ok(found >= 0, `“${part}” in “${text}”, from ${at}`);
    assert.ok(found === 0 || /[\s\p{P}\u2068\u2069]/u.test(text[found - 1]), `“${part}” is glued to what is before it: ${text}`);
    at = found + part.length;
  }
}

/** Waits until who said this has heard that it is there, which is not to come in the middle of what is listened to next. */
function told(page, text) {
  return page.message(text, 'delivered').waitFor();
}

/** A message that says this, as it is read. */
async function row(page, text) {
  const messages = (await tree(page)).within('group', page.t('talk.messages'));
  const found = messages.of('listitem').map(spoken).filter((each) => each.includes(text));
  assert.equal(found.length, 1, `“${text}”: ${found.join(' | ')}`);
  return found[0];
}

scenario('the list is found by its landmarks, and each conversation tells all about itself', async () => {
  for (const { me, other, name, own, wide } of SIDES()) {
    const { page } = me;
    await page.press('Escape');
    await page.tab.waitForFunction(() => document.activeElement?.hasAttribute('data-conversation'));
    await listen(page);
    await other.page.say(`Can you hear me, ${own}?`);
    await page.conversation(name).locator('.unread').waitFor();
    const arrived = page.t('talk.arrived', { name, text: `Can you hear me, ${own}?` });
    assert.deepEqual(await heard(page, arrived), [arrived], 'told once');
    await told(other.page, `Can you hear me, ${own}?`);

    const list = await tree(page);
    const side = [`navigation ${page.t('list.title')}`, 'search'];
    assert.deepEqual(list.landmarks, wide ? [...side, 'main'] : ['main', ...side]);
    inOrder(list.headings);
    assert.deepEqual(list.headings[0], [1, own]);
    const items = list.of('button').filter((each) => each.name.includes(`Can you hear me, ${own}?`));
    assert.equal(items.length, 1);
    const time = await page.conversation(name).locator('time').textContent();
    inThisOrder(items[0].name, [name, page.t('talk.compared'), time, `Can you hear me, ${own}?`, page.t('list.unread', { count: 1 })]);
    // By the same name it is opened.
    await page.tab.getByRole('button', { name: items[0].name, exact: true }).press('Enter');
    await page.composer.waitFor();
  }
});

scenario('a conversation says who said what, when, and what has become of it', async () => {
  for (const { me, other, name, own } of SIDES()) {
    const { page } = me;
    await page.message(`Can you hear me, ${own}?`).waitFor();
    const open = await tree(page);
    assert.deepEqual(open.focused, { role: 'textbox', name: page.t('talk.label', { name }) }, 'one can write at once');
    inOrder(open.headings);
    assert.ok(open.headings.some(([level, text]) => level === 1 && text === name));
    assert.ok(open.of('region').some((each) => each.name === page.t('talk.with', { name })));
    assert.ok(open.of('group').some((each) => each.name === page.t('talk.messages')));
    const time = (text) => page.message(text).locator('time').textContent();
    const asked = `Can you hear me, ${own}?`;
    inThisOrder(await row(page, asked), [name, asked, await time(asked)]);

    await listen(page);
    const answer = `Yes, ${name}, I can.`;
    await page.say(answer);
    const delivered = page.t('state.delivered.said', { name });
    await heard(page, delivered);
    assert.deepEqual((await tree(page)).focused, { role: 'textbox', name: page.t('talk.label', { name }) }, 'one goes on writing');
    inThisOrder(await row(page, answer), [page.t('talk.mine'), answer, await time(answer), page.t('state.delivered')]);
    await other.page.message(answer, 'received').waitFor();
    await other.page.say(`Good, ${own}.`);
    const arrived = page.t('talk.arrived', { name, text: `Good, ${own}.` });
    assert.deepEqual(await heard(page, arrived), [delivered, arrived], 'each told once, and nothing else');
    await told(other.page, `Good, ${own}.`);
  }
});

scenario('a view begins at its title, and what fails is told once, where it failed', async () => {
  for (const { me } of SIDES()) {
    const { page } = me;
    await page.toAccept();
    await page.heading('accept.title').waitFor();
    const accept = await tree(page);
    assert.deepEqual(accept.focused, { role: 'heading', name: page.t('accept.title') });
    inOrder(accept.headings);
    await listen(page);
    await page.tab.getByRole('textbox', { name: page.t('accept.label') }).fill('xchat:xc1nothing');
    await page.tab.getByRole('button', { name: page.t('accept.button'), exact: true }).click();
    const wrong = page.t('error.invalid_link');
    assert.deepEqual(await heard(page, wrong), [wrong]);
    await region(page, 'alert', wrong).waitFor();
    await everywhere(page.tab, `accept-failed-${page === world.ada.page ? 'ada' : 'mona'}`);
    await page.tab.getByRole('textbox', { name: page.t('accept.label') }).fill('');
  }
});

scenario('a question takes the focus, and gives it back', async () => {
  const { page } = world.ada;
  await page.invite();
  assert.deepEqual((await tree(page)).focused, { role: 'heading', name: page.t('invite.title') });
  await page.button('invite.withdraw').press('Enter');
  await page.tab.getByRole('alertdialog').waitFor();
  assert.deepEqual((await tree(page)).focused, { role: 'alertdialog', name: page.t('invite.withdraw.ask') });
  await page.tab.keyboard.press('Escape');
  await page.tab.getByRole('alertdialog').waitFor({ state: 'detached' });
  assert.deepEqual((await tree(page)).focused, { role: 'button', name: page.t('invite.withdraw') });
  await page.open('منى');

  await page.button('talk.compared').click();
  await page.heading('compare.title').waitFor();
  await page.button('compare.undo').press('Enter');
  await page.button('compare.equal').waitFor();
  await listen(page);
  await page.button('compare.equal').press('Enter');
  const done = page.t('compare.done', { name: 'منى' });
  assert.deepEqual(await heard(page, done), [done]);
  await page.button('compare.undo').waitFor();
  await page.tab.waitForFunction(() => document.activeElement?.contains(document.querySelector('.next button')));
  await page.tab.keyboard.press('Escape');
  await page.composer.waitFor();
});

scenario('a search tells what it found, and can be cleared by name and by key', async () => {
  for (const { me, name, wide } of SIDES()) {
    const { page } = me;
    await page.press('Control+k');
    const field = { role: 'searchbox', name: page.t('search.label') };
    assert.deepEqual((await tree(page)).focused, field);
    await listen(page);
    await page.searchField.fill('xyzzy');
    const none = page.t('search.none', { query: 'xyzzy' });
    assert.deepEqual(await heard(page, none), [none]);
    await page.button('search.clear').click();
    assert.equal(await page.searchField.inputValue(), '');
    assert.deepEqual((await tree(page)).focused, field);
    assert.equal(await page.button('search.clear').count(), 0);

    await listen(page);
    await page.searchField.fill('Good,');
    const found = page.t('search.count', { count: 2 });
    assert.deepEqual(await heard(page, found), [found]);
    // Each line runs as what it says does, whatever the page's own direction is.
    const snippet = page.found.filter({ hasText: 'منى.' }).locator('.snippet');
    assert.equal(await snippet.evaluate((each) => getComputedStyle(each).direction), 'ltr');
    await page.searchField.fill('اهلا');
    await page.tab.waitForFunction(() => document.querySelectorAll('[data-found]').length === 1);
    const arabic = page.found.locator('.snippet');
    assert.equal(await arabic.evaluate((each) => getComputedStyle(each).direction), 'rtl');
    assert.equal(await arabic.evaluate((each) => getComputedStyle(each).textAlign), 'start');
    await everywhere(page.tab, `search-arabic-${wide ? 'ada' : 'mona'}`);
    await page.searchField.press('Escape');
    assert.equal(await page.searchField.inputValue(), '');
    await page.open(name);
  }
});

scenario('a locked profile says so, and one begins at its top when it is open again', async () => {
  const { page } = world.ada;
  await page.press('Control+/');
  await page.button('set.lock.button').press('Enter');
  await page.heading('unlock.title').or(page.heading('unlock.named', { name: 'Ada' })).waitFor();
  await region(page, 'status', page.t('unlock.text')).waitFor();
  assert.deepEqual((await tree(page)).focused, { role: 'textbox', name: page.t('unlock.label') });
  await listen(page);
  await page.unlock('not this one');
  const wrong = page.t('error.wrong_passphrase');
  assert.deepEqual(await heard(page, wrong), [wrong]);
  await everywhere(page.tab, 'unlock-failed');
  await page.unlock(PASSPHRASE);
  await page.conversation('منى').waitFor();
  assert.deepEqual((await tree(page)).focused, { role: 'heading', name: 'Ada' });
  await page.open('منى');
});
