import { describe, expect, it } from 'vitest';
import { CATALOGUES, LANGUAGES, pick, type Entry, type Key } from '$lib/i18n/catalogue';
import { fill } from '$lib/i18n/fill';

const keys = Object.keys(CATALOGUES.en) as Key[];

function forms(entry: Entry): string[] {
  return typeof entry === 'string' ? [entry] : Object.values(entry);
}

function placeholders(text: string): string[] {
  return [...text.matchAll(/\{(\w+)\}/g)].map((found) => found[1] ?? '').sort();
}

describe.each(LANGUAGES)('the catalogue of %s', (language) => {
  const catalogue = CATALOGUES[language];

  it('has the same keys as English, in the same order', () => {
    expect(Object.keys(catalogue)).toEqual(keys);
  });

  it('has the same placeholders in every form', () => {
    for (const key of keys) {
      const wanted = placeholders(forms(CATALOGUES.en[key])[0] ?? '');
      for (const form of forms(catalogue[key])) {
        // A language may leave the number out of "one" or a name out of what needs none, but may not make one up.
        expect(wanted, `${key}: ${form}`).toEqual(expect.arrayContaining(placeholders(form)));
      }
      const plain = catalogue[key];
      if (typeof plain === 'string') expect(placeholders(plain), key).toEqual(wanted);
    }
  });

  it('has the forms its plural rules ask for', () => {
    const categories = new Intl.PluralRules(language).resolvedOptions().pluralCategories.sort();
    for (const key of keys) {
      const entry = catalogue[key];
      expect(typeof entry, key).toBe(typeof CATALOGUES.en[key]);
      if (typeof entry !== 'string') expect(Object.keys(entry).sort(), key).toEqual(categories);
    }
  });

  it('leaves nothing empty', () => {
    for (const key of keys) for (const form of forms(catalogue[key])) expect(form.trim(), key).not.toBe('');
  });
});

describe('filling', () => {
  const number = new Intl.NumberFormat('en');
  const plural = new Intl.PluralRules('en');

  it('isolates what it puts in', () => {
    expect(fill('to {name}.', { name: 'منى' }, plural, number)).toBe('to \u2068منى\u2069.');
  });

  it('chooses by the plural rules of the language', () => {
    const entry = CATALOGUES.ar['list.unread'];
    const arabic = new Intl.PluralRules('ar');
    const texts = [1, 2, 3, 11].map((count) => fill(entry, { count }, arabic, number));
    expect(new Set(texts.map((text) => text.replace(/\d+/, ''))).size).toBe(4);
  });

  it('leaves a placeholder without a value as it is', () => {
    expect(fill('{a} {b}', { a: 1 }, plural, number)).toBe('\u20681\u2069 {b}');
  });
});

describe('the language', () => {
  it('is the first of the browser’s that there is', () => {
    expect(pick(['fr-FR', 'ar-EG', 'en'])).toBe('ar');
    expect(pick(['fr'])).toBe('en');
  });
});
