import { describe, expect, it } from 'vitest';
import { findLink, forQr } from '$lib/model/link';
import { strength } from '$lib/model/strength';
import { byteLength, folded, initials } from '$lib/model/text';
import { Backoff } from '$lib/runtime/backoff';
import { qrShape } from '$lib/qr/path';

/** The example of spec/05-invitation.md. */
const LINK =
  'xchat:xc1qyqszqgpqyqszqgpqyqszqgpqyqsger9d4hsyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqsrqvpsxqcrqvpsxqcrqvpsxqcrqvpsxqcrqvpsxqcrqvpsxqcrqv25decw';

describe('a link in a text', () => {
  it('is found among words, and ends where it says', () => {
    expect(findLink(`Come: ${LINK}, it works once`)).toBe(LINK);
    expect(findLink(`${LINK}\nRegards`)).toBe(LINK);
    expect(findLink(`http://127.0.0.1:1234/#invite=${LINK}`)).toBe(LINK);
  });

  it('may be broken into lines', () => {
    expect(findLink(`${LINK.slice(0, 70)}\r\n  ${LINK.slice(70)}\nRegards`)).toBe(LINK);
  });

  it('may be of capitals, as a code has it', () => {
    expect(findLink(forQr(LINK))).toBe(LINK.toUpperCase());
  });

  it('is handed on as it is if it was cut short', () => {
    expect(findLink(LINK.slice(0, 60))).toBe(LINK.slice(0, 60));
    expect(findLink('xchat:xc1')).toBe('xchat:xc1');
  });

  it('is not made up', () => {
    expect(findLink('xchat is nice')).toBeNull();
    expect(findLink('')).toBeNull();
  });
});

describe('the strength of a passphrase', () => {
  it('is told honestly', () => {
    expect(strength('')).toBe('weak');
    expect(strength('password123')).toBe('weak');
    expect(strength('aaaaaaaaaaaaaaaaaaaaaaaa')).toBe('weak');
    expect(strength('abcdefghijklmnop')).toBe('weak');
    expect(strength('orange bicycle')).toBe('weak');
    expect(strength('orange bicycle window')).toBe('fair');
    expect(strength('orange bicycle window carrot')).toBe('good');
    expect(strength('orange bicycle window carrot thunder')).toBe('strong');
    expect(strength('قمر نافذة جزر دراجة رعد')).toBe('strong');
  });

  it('does not count a word twice', () => {
    expect(strength('orange orange orange orange orange')).toBe('weak');
  });
});

describe('texts', () => {
  it('are measured in bytes', () => {
    expect(byteLength('añ😀')).toBe(1 + 2 + 4);
  });

  it('give initials in any script', () => {
    expect(initials('Ada King Lovelace')).toBe('AL');
    expect(initials('منى')).toBe('م');
    expect(initials('👩‍🚀 x')).toBe('👩‍🚀X');
    expect(initials('  ')).toBe('');
  });

  it('are found without marks and capitals', () => {
    expect(folded('Zoë')).toBe('zoe');
    expect(folded('مُنى')).toBe('منى');
  });
});

describe('waiting for the next attempt', () => {
  it('grows, and not for ever', () => {
    const backoff = new Backoff();
    const waits = Array.from({ length: 12 }, () => backoff.next(0.5));
    expect(waits[0]).toBe(Backoff.FIRST_MS);
    expect(Math.max(...waits)).toBe(Backoff.LONGEST_MS);
    backoff.reset();
    expect(backoff.next(0.5)).toBe(Backoff.FIRST_MS);
  });
});

describe('a QR code', () => {
  it('of capitals is smaller', () => {
    expect(qrShape(forQr(LINK)).size).toBeLessThan(qrShape(LINK).size);
  });
});
