// What people do with the page, in the words that it shows them.
import { words } from './words.mjs';

export class Page {
  tab;
  #t;

  constructor(tab, language) {
    this.tab = tab;
    this.#t = words(language);
  }

  t(key, values) {
    return this.#t(key, values);
  }

  button(key, values) {
    return this.tab.getByRole('button', { name: this.t(key, values), exact: true });
  }

  heading(key, values) {
    return this.tab.getByRole('heading', { name: this.t(key, values), exact: true });
  }

  text(key, values) {
    return this.tab.getByText(this.t(key, values), { exact: true });
  }

  async firstRun(name, passphrase) {
    await this.tab.getByLabel(this.t('start.name.label')).fill(name);
    await this.button('continue').click();
    await this.tab.getByLabel(this.t('start.pass.label'), { exact: true }).fill(passphrase);
    await this.tab.getByLabel(this.t('start.pass.again')).fill(passphrase);
    await this.button('continue').click();
    await this.button('start.create').click();
    await this.heading('list.empty.title').waitFor();
  }

  async unlock(passphrase) {
    await this.tab.getByLabel(this.t('unlock.label')).fill(passphrase);
    await this.button('unlock.button').click();
  }

  /** Presses one of the page's keys, as soon as there is a page that hears it. */
  async press(keys) {
    await this.tab.locator('.shell').waitFor();
    await this.tab.keyboard.press(keys);
  }

  /** Makes an invitation and leaves its page open; the link. */
  async invite() {
    await this.press('Alt+n');
    await this.tab.getByRole('button', { name: this.t('add.invite') }).first().click();
    return this.tab.getByLabel(this.t('invite.label')).inputValue();
  }

  /** Opens the page of acceptance. */
  async toAccept() {
    await this.press('Alt+n');
    await this.tab.locator('main').getByRole('button', { name: this.t('add.accept') }).first().click();
  }

  async accept(link) {
    await this.toAccept();
    await this.tab.getByLabel(this.t('accept.label')).fill(link);
    await this.button('accept.button').click();
  }

  conversation(name) {
    return this.tab.locator('[data-conversation]').filter({ has: this.tab.getByText(name, { exact: true }) });
  }

  async open(name) {
    await this.conversation(name).click();
    await this.composer.waitFor();
  }

  get searchField() {
    return this.tab.locator('#search');
  }

  async search(words) {
    await this.press('Control+k');
    await this.searchField.fill(words);
  }

  /** The messages that were found. */
  get found() {
    return this.tab.locator('[data-found]');
  }

  /** Those, once they are so many. */
  async foundOf(count) {
    await this.tab.waitForFunction((wanted) => document.querySelectorAll('[data-found]').length === wanted, count);
    return this.found.locator('.snippet').allTextContents();
  }

  get composer() {
    return this.tab.locator('form textarea');
  }

  /** By the keyboard, as people do. */
  async say(text) {
    await this.composer.fill(text);
    await this.composer.press('Enter');
  }

  /** What stands in the composer, once it is this. */
  drafted(text) {
    return this.tab.waitForFunction((wanted) => document.getElementById('composer')?.value === wanted, text);
  }

  /** The line that says how things stand with the network, when it says this. */
  network(key) {
    return this.tab.locator('nav .words').last().filter({ hasText: this.t(key) });
  }

  /** A message with this text, in this state if one is given. */
  message(text, state) {
    const row = state ? `[data-state="${state}"]` : '[data-state]';
    return this.tab.locator(row).filter({ has: this.tab.getByText(text, { exact: true }) });
  }

  /** The texts of the open conversation, in order. */
  texts() {
    return this.tab.locator('[data-message] .bubble p').allTextContents();
  }
}
