import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

export default defineConfig(({ mode }) => ({
  plugins: [svelte()],
  resolve: {
    alias: { $lib: new URL('./src/lib', import.meta.url).pathname },
    // The tests are of what runs in a browser, not on a server.
    ...(mode === 'test' && { conditions: ['browser'] }),
  },
  build: {
    // The first that know light-dark().
    target: ['chrome123', 'firefox120', 'safari17.5'],
    // The page's policy allows no data: scripts or fonts, and a file of its own is cached better.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  test: { include: ['test/**/*.test.ts'] },
}));
