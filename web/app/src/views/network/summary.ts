import type { Online } from '$lib/api/types';
import type { Key } from '$lib/i18n/catalogue';
import type { IconName } from '$lib/ui/icons';

export interface Summary {
  title: Key;
  text: Key | null;
  icon: IconName;
  /** Nothing leaves at the moment. */
  paused: boolean;
}

/** The network in a word, a sentence and a sign. */
export function summary(online: Online | undefined): Summary {
  switch (online?.state) {
    case 'online':
      return { title: 'net.online', text: 'net.online.text', icon: 'pulse', paused: false };
    case 'connecting':
      return { title: 'net.connecting', text: 'net.connecting.text', icon: 'clock', paused: true };
    case 'proving':
      return { title: 'net.proving', text: 'net.proving.text', icon: 'clock', paused: true };
    case 'offline':
      return { title: 'net.offline', text: null, icon: 'broken', paused: true };
    default:
      return { title: 'net.unknown', text: null, icon: 'clock', paused: true };
  }
}
