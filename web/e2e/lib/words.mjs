// The page's own words, in the language of the test: what is looked for is what people see.
import { readFileSync } from 'node:fs';

const catalogues = Object.fromEntries(
  ['en', 'ar'].map((language) => {
    const file = new URL(`../../app/src/lib/i18n/${language}.json`, import.meta.url);
    return [language, JSON.parse(readFileSync(file, 'utf8'))];
  }),
);

/** The text of a key, with values isolated as the page does it. */
export function words(language) {
  return (key, values = {}) => {
    const text = catalogues[language][key];
    if (typeof text !== 'string') throw new Error(`${key} is no plain text`);
    return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? `\u2068${values[name]}\u2069` : whole));
  };
}
