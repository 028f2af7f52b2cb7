import type { Entry } from './catalogue';

export type Values = Record<string, string | number>;

/** First strong isolate and its end: what is put in never turns the text around it, whatever its direction. */
const ISOLATE = '\u2068';
const END = '\u2069';

/** Chooses the plural form by `count`, and puts values in, each isolated. */
export function fill(entry: Entry, values: Values, plural: Intl.PluralRules, number: Intl.NumberFormat): string {
  let text: string | undefined;
  if (typeof entry === 'string') text = entry;
  else text = entry[plural.select(Number(values['count']))] ?? entry.other;
  return (text ?? '').replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    return ISOLATE + (typeof value === 'number' ? number.format(value) : value) + END;
  });
}
