import type { IconName } from '$lib/ui/icons';

/** The states of an outgoing message, as drawn. The words for them are in the catalogue, `state.*`. */
export const STATE_ICON = { waiting: 'clock', stored: 'check', delivered: 'checks' } as const satisfies Record<string, IconName>;
