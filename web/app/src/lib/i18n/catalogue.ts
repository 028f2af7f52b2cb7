// The strings of each language. English decides which there are; a test holds the others to it.
import ar from './ar.json';
import en from './en.json';

export type Key = keyof typeof en;
/** One text, or one for each plural category the language has. */
export type Entry = string | Partial<Record<Intl.LDMLPluralRule, string>>;
export type Language = 'en' | 'ar';

export const CATALOGUES: Record<Language, Record<Key, Entry>> = { en, ar };
export const LANGUAGES: Language[] = ['en', 'ar'];
export const DIRECTION: Record<Language, 'ltr' | 'rtl'> = { en: 'ltr', ar: 'rtl' };

export function isKey(key: string): key is Key {
  return Object.hasOwn(en, key);
}

/** The first of the browser's languages that there is. */
export function pick(wanted: readonly string[]): Language {
  for (const tag of wanted) {
    const language = LANGUAGES.find((known) => tag.toLowerCase().split('-')[0] === known);
    if (language) return language;
  }
  return 'en';
}
