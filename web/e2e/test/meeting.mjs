// Two people meet by what one gives to the other.
import assert from 'node:assert/strict';
import { scenario } from '../lib/scenario.mjs';
import { Person } from '../lib/person.mjs';
import { PASSPHRASE } from '../lib/program.mjs';
import { look } from '../lib/scene.mjs';
import { world } from '../lib/world.mjs';

/** Somebody who has made a profile by the page. */
async function newcomer(name, options) {
  const person = await Person.come(world.browser, world.network, name, options);
  const page = await person.page();
  await page.firstRun(name, PASSPHRASE);
  return { person, page };
}

async function greet(from, to, text) {
  await from.page.say(text);
  await from.page.message(text, 'delivered').waitFor();
  await to.page.message(text, 'received').waitFor();
}

scenario('two people meet by a link and talk: English on a desk, Arabic on a phone', async () => {
  const [ada, mona] = await Promise.all([
    newcomer('Ada', { language: 'en', size: 'desk' }),
    newcomer('منى', { language: 'ar', size: 'phone' }),
  ]);
  world.ada = ada;
  world.mona = mona;

  const link = await ada.page.invite();
  assert.match(link, /^xchat:xc1/);
  await ada.page.button('invite.copy').click();
  await ada.page.button('copied').waitFor();
  assert.equal(await ada.page.tab.evaluate(() => navigator.clipboard.readText()), link);
  await look(ada.page, 'invite-en-desk');

  // Opening a link is a change of the fragment, in a page that is open or in a new one.
  const origin = new URL(mona.page.tab.url()).origin;
  await mona.page.tab.goto(`${origin}/#invite=${encodeURIComponent(link)}`);
  await mona.page.text('accept.opened').waitFor();
  assert.equal(await mona.page.tab.getByLabel(mona.page.t('accept.label')).inputValue(), link);
  assert.equal(new URL(mona.page.tab.url()).hash, '', 'the link does not stay in the address');
  await mona.page.button('accept.button').click();
  await mona.page.heading('talk.empty.title', { name: 'Ada' }).waitFor();

  await ada.page.heading('invite.met', { name: 'منى' }).waitFor();
  await ada.page.button('invite.say').click();
  await greet(ada, mona, 'Hello منى, here I am.');
  await greet(mona, ada, 'أهلًا Ada!');
});

scenario('two people meet by the picture of a code: Arabic on a desk, English on a phone', async () => {
  const [sami, bea] = await Promise.all([
    newcomer('سامي', { language: 'ar', size: 'desk', theme: 'dark' }),
    newcomer('Bea', { language: 'en', size: 'phone', theme: 'dark' }),
  ]);
  world.sami = sami.person;
  world.bea = bea.person;

  const link = await sami.page.invite();
  const picture = await sami.page.tab.getByRole('img', { name: sami.page.t('invite.qr') }).screenshot();
  await bea.page.toAccept();
  const field = bea.page.tab.getByLabel(bea.page.t('accept.label'));
  const bytes = [...picture];

  // Each way by which a picture gets into the page.
  const ways = {
    chosen: () => bea.page.tab.locator('input[type=file]').setInputFiles({ name: 'code.png', mimeType: 'image/png', buffer: picture }),
    dropped: () => bea.page.tab.evaluate(hand, ['drop', bytes]),
    pasted: () => bea.page.tab.evaluate(hand, ['paste', bytes]),
  };
  for (const [way, give] of Object.entries(ways)) {
    await field.fill('');
    await give();
    await bea.page.text('accept.picture.found').waitFor();
    assert.equal(await field.inputValue(), link, way);
  }
  await field.fill('');
  await bea.page.tab.locator('input[type=file]').setInputFiles({ name: 'no.png', mimeType: 'image/png', buffer: Buffer.from('no') });
  await bea.page.text('accept.picture.bad').waitFor();

  await field.fill(`See you there: ${link}\nBye`);
  await bea.page.button('accept.button').click();
  await bea.page.heading('talk.empty.title', { name: 'سامي' }).waitFor();
  await sami.page.button('invite.say').click();
  await greet(sami, bea, 'وصلت');
  await greet(bea, sami, 'So did I.');
});

/** In the page: a file as the browser hands it over when it is dropped or pasted. */
function hand([type, bytes]) {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], 'code.png', { type: 'image/png' }));
  const event = type === 'drop' ? new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true })
    : new ClipboardEvent(type, { clipboardData: data, bubbles: true, cancelable: true });
  document.querySelector('main').dispatchEvent(event);
}

scenario('what is no invitation, or one’s own, is told so', async () => {
  const { page } = world.ada;
  await page.accept('xchat is nice');
  await page.text('accept.none').waitFor();
  const { link } = await world.ada.person.ask({ command: 'invite' });
  const field = page.tab.getByLabel(page.t('accept.label'));
  await field.fill(link);
  await page.button('accept.button').click();
  await page.text('error.own_invitation').waitFor();
  await field.fill(link.slice(0, -9));
  await page.button('accept.button').click();
  await page.text('error.invalid_link').waitFor();
  await page.open('منى');
});
