import type { Message } from '$lib/api/types';
import { t } from './i18n.svelte';

/** What a notice says. One of a later version has no words here. */
export function noticeText(message: Message, name: string): string {
  switch (message.notice) {
    case 'they_rejoined':
    case 'we_rejoined':
      return t(`notice.${message.notice}`, { name });
    case 'missing':
      return t('notice.missing', { name, count: message.count });
    default:
      return t('talk.newer');
  }
}
