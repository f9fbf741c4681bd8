/**
 * Input: rules for clients with a password in them (`ldapbindpasswd`), and `agent doctor` as root.
 * Right: they are tried, the wrong line is named, and meanwhile nobody but root and the server's group can
 *        look into the folder.
 * Source: reports on tools that leave secrets in /tmp for a moment.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { chownSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { pgDefaults } from '../../agent/roles/postgres/options.ts';
import { tryRules } from '../../agent/roles/postgres/rules_check.ts';
import { findBinDir } from '../fixtures/postgres.ts';

const id = (what: string): number => Number(spawnSync('id', [what, 'postgres'], { encoding: 'utf8' }).stdout);
const dir = mkdtempSync(join(tmpdir(), 'rules-'));
const before = process.env.TMPDIR;

beforeAll(() => {
  process.env.TMPDIR = dir;
});
afterAll(() => {
  if (before === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = before;
  rmSync(dir, { recursive: true, force: true });
});

test.skipIf(process.getuid?.() !== 0)('rules are tried as root where nobody else can read them', async () => {
  const dataDir = mkdtempSync(join(dir, 'data-'));
  writeFileSync(join(dataDir, 'PG_VERSION'), '15\n');
  chownSync(dataDir, id('-u'), id('-g'));
  spawnSync('chmod', ['755', dir]);
  const modes = new Set<number>();
  const look = setInterval(() => {
    for (const name of readdirSync(dir).filter((one) => one.startsWith('agent-rules-')))
      modes.add(statSync(join(dir, name)).mode & 0o777);
  }, 5);
  try {
    const said = await tryRules({
      ...pgDefaults,
      node: 'm1',
      binDir: findBinDir(),
      dataDir,
      confDir: join(dir, 'conf'),
      socketDir: dir,
      host: '127.0.0.1',
      port: 5432,
      superuser: 'postgres',
      replicationUser: 'cloudify_replication',
      divergedDir: join(dir, 'diverged'),
      clientHba: [
        'host all all 127.0.0.1/32 ldap ldapserver=l ldapbasedn="dc=x" ldapbinddn="cn=x" ldapbindpasswd=secret',
        'host all all 0.0.0.0/0 mdfive',
      ],
    });
    expect(said).toEqual([expect.stringMatching(/^postgres\.client_hba, line 2: .*mdfive/)]);
  } finally {
    clearInterval(look);
  }
  expect(modes.size).toBeGreaterThan(0);
  expect([...modes].filter((mode) => (mode & 0o007) !== 0)).toEqual([]);
  expect(readdirSync(dir).filter((name) => name.startsWith('agent-rules-'))).toEqual([]);
});
