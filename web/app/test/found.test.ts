import { describe, expect, it } from 'vitest';
import { isSearch, MAX_SEARCH_LENGTH, pieces } from '$lib/model/found';
import { byteLength } from '$lib/model/text';

describe('what was found', () => {
  it('is cut at its marks, which count characters', () => {
    const shown = pieces({ snippet: '…👍 قال مُحَمَّد 👍 so', marks: [[7, 15], [18, 20]] });
    expect(shown).toEqual([
      { text: '…👍 قال ', marked: false },
      { text: 'مُحَمَّد', marked: true },
      { text: ' 👍 ', marked: false },
      { text: 'so', marked: true },
    ]);
    expect(pieces({ snippet: 'plain', marks: [] })).toEqual([{ text: 'plain', marked: false }]);
  });

  it('needs a word to be found', () => {
    expect(['a', '٣', '語', ' "b'].every(isSearch)).toBe(true);
    expect(['', ' ', '"*', '👍'].some(isSearch)).toBe(false);
    expect(byteLength('語'.repeat(MAX_SEARCH_LENGTH))).toBeLessThanOrEqual(256);
  });
});
