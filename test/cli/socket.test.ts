import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeConfig } from '../../agent/config/index.ts';
import { configPath, DEFAULT_CONFIG, DEFAULT_SOCKET, findSocket } from '../../cli/common/socket.ts';

const dir = mkdtempSync(join(tmpdir(), 'agent-socket-'));
afterAll(() => rmSync(dir, { recursive: true }));

function config(name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
}

describe('which socket', () => {
  test('the defaults are those of the configuration', () => {
    const { paths } = makeConfig();
    expect([DEFAULT_CONFIG, DEFAULT_SOCKET]).toEqual([paths.config, paths.socket]);
  });

  test('--socket wins over all, --config over AGENT_SOCKET, that over AGENT_CONFIG', async () => {
    const one = config('one.yaml', 'paths: {run_dir: /one}\n');
    const two = config('two.yaml', 'paths:\n  socket: /two.sock\n');
    const env = { AGENT_SOCKET: '/env.sock', AGENT_CONFIG: two };
    expect(await findSocket({ socket: '/s.sock', config: one }, env)).toBe('/s.sock');
    expect(await findSocket({ config: one }, env)).toBe('/one/agent.sock');
    expect(await findSocket({}, env)).toBe('/env.sock');
    expect(await findSocket({}, { AGENT_SOCKET: '', AGENT_CONFIG: two })).toBe('/two.sock');
    expect(configPath({}, env)).toBe(two);
  });

  test('a configuration that names neither socket nor run_dir is not parsed: the default holds', async () => {
    const plain = config('plain.yaml', 'node_name: m1\n');
    expect(await findSocket({ config: plain }, {})).toBe(DEFAULT_SOCKET);
    const quoted = config('quoted.yaml', '{"paths": {"\\u0073ocket": "/q.sock"}}\n');
    expect(await findSocket({ config: quoted }, {})).toBe('/q.sock');
  });

  test('a configuration that is named and not there is an error', async () => {
    const missing = findSocket({ config: join(dir, 'none.yaml') }, {});
    await expect(missing).rejects.toMatchObject({ code: 'config_unreadable' });
  });
});
