// Invitation links as people hand them over: spec/05-invitation.md.

const DIGITS = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const HEAD = 'xchat:xc1';
/** Version, network id, length of the network's name, secret, bundle hash; 5.1. */
const FIXED_BYTES = 1 + 16 + 1 + 32 + 32;
const CHECKSUM_DIGITS = 6;
/** The length of the network's name is byte 17: bits 136 to 143, in these two digits of five bits each. */
const NAME_LENGTH_AT = 27;

/**
 * The link in a text, or null. Mail programs break long lines, so white space within it is taken out; how long the
 * link is stands in it, so words that follow are left out. Whether it holds, the program says.
 */
export function findLink(text: string): string | null {
  const joined = text.replace(/\s+/g, '');
  const start = joined.toLowerCase().indexOf(HEAD);
  if (start < 0) return null;
  const rest = joined.slice(start);
  const digits = rest.slice(HEAD.length).toLowerCase();
  const high = DIGITS.indexOf(digits.charAt(NAME_LENGTH_AT));
  const low = DIGITS.indexOf(digits.charAt(NAME_LENGTH_AT + 1));
  const found = /^[a-z0-9]*/.exec(digits)?.[0].length ?? 0;
  const nameLength = ((high & 0b1111) << 4) | (low >> 1);
  const expected = high < 0 || low < 0 ? found : Math.ceil(((FIXED_BYTES + nameLength) * 8) / 5) + CHECKSUM_DIGITS;
  return rest.slice(0, HEAD.length + Math.min(found, expected));
}

/** As a QR code carries it: capitals make the code a third smaller, and a reader accepts them. */
export function forQr(link: string): string {
  return link.toUpperCase();
}
