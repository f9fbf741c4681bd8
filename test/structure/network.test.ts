import { expect, test } from 'bun:test';
import { code, sources } from './files.ts';
import { allImports } from './imports.ts';

const files = [...sources('agent'), ...sources('cli')];
const users = (pattern: RegExp) => files.filter((file) => pattern.test(code(file)));
const importers = (module: string) =>
  [...new Set(allImports('agent', 'cli').filter(({ to, typeOnly }) => to === module && !typeOnly))]
    .map(({ from }) => from)
    .sort();

test('one place fetches, so that no call to a member, Consul or Syncthing goes by a proxy', () => {
  expect(users(/(?<![\w.])fetch\s*\(/)).toEqual(['agent/platform/tls/fetch.ts']);
  expect(users(/globalThis\.fetch|\bnew (WebSocket|EventSource|XMLHttpRequest)\b/)).toEqual([]);
});

test('whoever speaks HTTP otherwise is known: test/cases/proxies.test.ts has each', () => {
  expect(importers('node:http')).toEqual(['agent/http/client.ts']);
  expect(importers('node:https')).toEqual(['agent/http/listen.ts', 'agent/peers/pinned_ca.ts']);
});

test('whoever starts a program is known, and gives it an environment that is not just its own', () => {
  const starters = [
    'agent/lease_helper/ipset_pipe.ts',
    'agent/platform/process.ts',
    'agent/roles/services/spawn.ts',
    'agent/trampoline/root.ts',
    'cli/dev/agents.ts',
  ];
  expect(importers('node:child_process')).toEqual(starters);
  expect(starters.filter((file) => /\.\.\.process\.env/.test(code(file)))).toEqual([]);
});
