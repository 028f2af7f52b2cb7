import { describe, expect, it } from 'vitest';
import type { Status } from '$lib/api/types';
import { CATALOGUES, LANGUAGES } from '$lib/i18n/catalogue';
import { alarms, faults, standstill } from '$lib/model/faults';

/** A status in which nothing is wrong, but for this. */
function status(wrong: Partial<Status> = {}): Status {
  const quiet = { online: { state: 'online', since: 0 }, clock: 'right', losing: false, avoided_mixes: 0, avoided_stores: 0, collector: 'answering' };
  return { ...quiet, ...wrong } as Status;
}

const WHY = { code: 'disk_full', message: 'full', hint: '' };

describe('what is wrong', () => {
  it('is nothing, most of the time', () => {
    expect([alarms(status()), faults(status()), standstill(status())]).toEqual([[], [], null]);
  });

  it('is said at once where somebody has to do something, or be warned', () => {
    const keys = (wrong: Partial<Status>): string[] => alarms(status(wrong)).map((each) => each.key);
    expect(keys({ clock: 'behind' })).toEqual(['net.clock.behind']);
    expect(keys({ losing: true })).toEqual(['net.losing']);
    expect(keys({ halted: WHY, losing: true })).toEqual(['net.halted', 'net.losing']);
    expect(alarms(status({ halted: WHY }))[0]?.why).toBe(WHY);
  });

  it('is told with its number where nodes fail and the program goes round them', () => {
    const found = faults(status({ avoided_mixes: 2, avoided_stores: 1, collector: 'silent' }));
    expect(found.map(({ key, count }) => [key, count])).toEqual([
      ['net.fault.avoided', 2],
      ['net.fault.stores', 1],
      ['net.fault.collector', 1],
    ]);
  });

  it('is not a standstill before an attempt has failed', () => {
    expect(standstill(status({ online: { state: 'connecting', failed: 0 } }))).toBeNull();
    expect(standstill(status({ online: { state: 'connecting', failed: 1, trouble: 'busy' } }))).toBe('trouble.busy');
    expect(faults(status({ online: { state: 'connecting', failed: 1 }, collector: 'silent' }))).toEqual([]);
  });

  it('has words in every language', () => {
    const all = status({ halted: WHY, clock: 'unsure', losing: true, avoided_mixes: 1, avoided_stores: 1, collector: 'silent' });
    for (const language of LANGUAGES) {
      for (const { key, short } of alarms(all)) expect([CATALOGUES[language][key], CATALOGUES[language][short]]).not.toContain(undefined);
      for (const { key } of faults(all)) expect(CATALOGUES[language][key]).toBeDefined();
    }
  });
});
