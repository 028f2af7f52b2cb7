// The page's own words, in the language of the test: what is looked for is what people see.
import { readFileSync } from 'node:fs';

const catalogues = Object.fromEntries(
  ['en', 'ar'].map((language) => {
    const file = new URL(`../../app/src/lib/i18n/${language}.json`, import.meta.url);
    return [language, JSON.parse(readFileSync(file, 'utf8'))];
  }),
);

/** The text of a key, with values isolated as the page does it; of several forms the one for `count`. */
export function words(language) {
  const plural = new Intl.PluralRules(language);
  const number = new Intl.NumberFormat(language);
  return (key, values = {}) => {
    const entry = catalogues[language][key];
    const text = typeof entry === 'string' ? entry : (entry?.[plural.select(values.count)] ?? entry?.other);
    if (typeof text !== 'string') throw new Error(`there is no text ${key}`);
    const shown = (value) => (typeof value === 'number' ? number.format(value) : value);
    return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? `\u2068${shown(values[name])}\u2069` : whole));
  };
}
