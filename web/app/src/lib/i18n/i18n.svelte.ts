import { CATALOGUES, DIRECTION, isKey, pick, type Key, type Language } from './catalogue';
import { fill, type Values } from './fill';
import { Format } from './format';

const KEY = 'xchat.language';

function chosen(): Language | 'auto' {
  const stored = localStorage.getItem(KEY);
  return stored === 'en' || stored === 'ar' ? stored : 'auto';
}

/** The language of the page. There is one page, so there is one of these. */
class I18n {
  choice = $state<Language | 'auto'>(chosen());
  browser = $state<readonly string[]>(navigator.languages);
  language = $derived(this.choice === 'auto' ? pick(this.browser) : this.choice);
  direction = $derived(DIRECTION[this.language]);
  format = $derived(new Format(this.language));

  choose(choice: Language | 'auto'): void {
    this.choice = choice;
    if (choice === 'auto') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, choice);
  }

  /** Another tab chose. */
  reload(): void {
    this.choice = chosen();
    this.browser = navigator.languages;
  }
}

export const i18n = new I18n();

export function t(key: Key, values: Values = {}): string {
  return fill(CATALOGUES[i18n.language][key], values, i18n.format.plural, i18n.format.number);
}

/** An error in words for people; what there are no words for is shown as it came. */
export function errorText(error: { code: string; message: string }): string {
  const key = `error.${error.code}`;
  return t(isKey(key) ? key : 'error.generic', { message: error.message });
}
