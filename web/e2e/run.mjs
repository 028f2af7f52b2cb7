// The page in a real browser, against the real daemon and a real local network: one of each for the whole run.
import { after, before } from 'node:test';
import { launch } from './lib/browser.mjs';
import { Network } from './lib/network.mjs';
import { endAll } from './lib/program.mjs';
import { world } from './lib/world.mjs';

before(async () => {
  [world.network, world.browser] = await Promise.all([Network.up(), launch()]);
});

after(async () => {
  await world.browser?.close();
  await world.network?.down();
  endAll();
});

await import('./test/meeting.mjs');
await import('./test/talking.mjs');
await import('./test/searching.mjs');
await import('./test/staying.mjs');
await import('./test/keeping.mjs');
await import('./test/hearing.mjs');
await import('./test/long.mjs');
await import('./test/admission.mjs');
await import('./test/views.mjs');
await import('./test/troubles.mjs');
