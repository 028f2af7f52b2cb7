/** The most a message may have; the program refuses more. */
export const MAX_TEXT_BYTES = 8192;
/** From here on it is shown how much is left. */
export const NEAR_LIMIT_BYTES = 7168;

const encoder = new TextEncoder();

export function byteLength(text: string): number {
  return encoder.encode(text).length;
}

/** For a picture of a person without one: the first signs of the first and last word. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const first = firstSign(words[0] ?? '');
  const last = words.length > 1 ? firstSign(words[words.length - 1] ?? '') : '';
  return (first + last).toUpperCase();
}

const segments = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

function firstSign(word: string): string {
  for (const { segment } of segments.segment(word)) return segment;
  return '';
}

/** As people type when they search: without marks and capitals. */
export function folded(text: string): string {
  return text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
}
