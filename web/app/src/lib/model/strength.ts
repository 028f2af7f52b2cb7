// How hard a passphrase is to guess, in four words. An estimate of what people choose, not of what a generator gives: it errs low.

export type Strength = 'weak' | 'fair' | 'good' | 'strong';

/** What a common word adds if somebody chose it; a generator's list would add 11 to 13. */
const BITS_PER_WORD = 10;
const BITS_PER_LETTER = 2.8;
const BITS_PER_DIGIT = 2;
const BITS_PER_SIGN = 4.5;

const COMMON = ['password', 'passwort', 'qwerty', 'qwertz', 'letmein', 'iloveyou', '123456', 'abc123', 'admin', 'welcome', 'xchat'];

export function bits(passphrase: string): number {
  // What is said twice is no harder to guess than what is said once.
  const parts = [...new Set(passphrase.normalize('NFKC').toLowerCase().split(/[\s\-_.]+/))];
  const text = parts.join(' ');
  const words = new Set(parts.filter((word) => /^\p{L}{3,}$/u.test(word)));
  let left = text;
  for (const common of COMMON) left = left.replaceAll(common, '');
  let sum = 0;
  let before = '';
  for (const sign of left) {
    // Repetitions, and steps as in "abcd" or "4321", are what a guesser tries first.
    const step = Math.abs((sign.codePointAt(0) ?? 0) - (before.codePointAt(0) ?? 0));
    const factor = before !== '' && step <= 1 ? 0.2 : 1;
    sum += factor * (/\p{L}/u.test(sign) ? BITS_PER_LETTER : /\p{N}/u.test(sign) ? BITS_PER_DIGIT : /\s/u.test(sign) ? 1 : BITS_PER_SIGN);
    before = sign;
  }
  if (words.size < 2) return sum;
  return Math.min(sum, words.size * BITS_PER_WORD + (text.match(/\p{N}|[^\p{L}\p{N}\s]/gu)?.length ?? 0));
}

export function strength(passphrase: string): Strength {
  const found = bits(passphrase);
  // Against Argon2id at the profile's cost: a rented machine tries some thousand a second.
  if (found < 25) return 'weak';
  if (found < 38) return 'fair';
  if (found < 48) return 'good';
  return 'strong';
}
