// The keys of the page. By the place of a key, not by its letter: with an Arabic layout they are where they were.
import type { Key } from '$lib/i18n/catalogue';

export type Shortcut = 'search' | 'add' | 'up' | 'down' | 'network' | 'settings' | 'escape';

/** For the list in the settings. */
export const SHORTCUTS: { keys: string[]; label: Key }[] = [
  { keys: ['Ctrl', 'K'], label: 'key.search' },
  { keys: ['/'], label: 'key.slash' },
  { keys: ['Alt', 'N'], label: 'key.add' },
  { keys: ['Alt', '↑'], label: 'key.up' },
  { keys: ['Alt', '↓'], label: 'key.down' },
  { keys: ['Alt', 'S'], label: 'key.network' },
  { keys: ['Ctrl', '/'], label: 'key.settings' },
  { keys: ['Esc'], label: 'key.escape' },
  { keys: ['Enter'], label: 'key.send' },
  { keys: ['Shift', 'Enter'], label: 'key.line' },
];

export function shortcut(event: KeyboardEvent): Shortcut | null {
  const { code, altKey, shiftKey } = event;
  const control = event.ctrlKey || event.metaKey;
  if (shiftKey) return null;
  if (control && !altKey) return code === 'KeyK' ? 'search' : code === 'Slash' ? 'settings' : null;
  if (altKey && !control) {
    const names: Partial<Record<string, Shortcut>> = { KeyN: 'add', KeyS: 'network', ArrowUp: 'up', ArrowDown: 'down' };
    return names[code] ?? null;
  }
  if (control || altKey) return null;
  if (code === 'Slash' && !writes(event.target)) return 'search';
  return code === 'Escape' ? 'escape' : null;
}

/** Where a key is a letter, and nothing else. */
function writes(target: EventTarget | null): boolean {
  return target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement;
}
