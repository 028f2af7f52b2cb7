// What is wrong with the program, the network or the way into it, in keys of the catalogue.
import type { ErrorBody, Status } from '$lib/api/types';
import type { Key } from '$lib/i18n/catalogue';

export interface Alarm {
  key: Key;
  /** In a few words, for the line that says how things stand. */
  short: Key;
  /** Why, if the program has said it. */
  why?: ErrorBody;
}

/** What everybody has to know at once, whatever they are doing. */
export function alarms(status: Status): Alarm[] {
  const found: Alarm[] = [];
  if (status.halted) found.push({ key: 'net.halted', short: 'net.halted', why: status.halted });
  if (status.clock !== 'right') found.push({ key: `net.clock.${status.clock}`, short: 'net.clock' });
  if (status.losing) found.push({ key: 'net.losing', short: 'net.losing.short' });
  return found;
}

/** Why nothing leaves, if that is more than a moment; what is written meanwhile is kept. */
export function standstill({ online }: Status): Key | null {
  if (online.state === 'offline') return 'net.offline.text';
  return online.state === 'connecting' && online.trouble ? `trouble.${online.trouble}` : null;
}

export interface Fault {
  key: Key;
  count: number;
}

/** What nodes do that they should not, and what is done about it without anybody's help. */
export function faults(status: Status): Fault[] {
  const found: Fault[] = [];
  if (status.avoided_mixes > 0) found.push({ key: 'net.fault.avoided', count: status.avoided_mixes });
  if (status.avoided_stores > 0) found.push({ key: 'net.fault.stores', count: status.avoided_stores });
  // The collector is one of the stores: while nothing is answered at all, it is not to blame.
  if (status.collector === 'silent' && status.online.state === 'online') found.push({ key: 'net.fault.collector', count: 1 });
  return found;
}
