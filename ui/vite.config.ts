import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

const fixtureServer = 'http://127.0.0.1:5174';

export default defineConfig({
  plugins: [svelte()],
  // The client serves the built files under a strict policy: nothing inline, nothing from elsewhere.
  base: './',
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    host: '127.0.0.1',
    port: 5173,
    proxy: { '/api': fixtureServer, '/fixture': fixtureServer },
  },
  test: {
    include: ['src/**/*.test.ts'],
    environment: 'node',
  },
});
