import { expect, test } from 'bun:test';
import { code, sources } from './files.ts';

/**
 * Who makes files and folders with node's own calls, where a mode is cut by the umask; each sets it
 * afterwards, or makes what is its owner's alone (0600, 0700), or is for copies that keep the modes they had.
 */
const MAKERS = [
  'agent/install/real_hand.ts',
  'agent/lease_helper/marker.ts',
  'agent/log/file.ts',
  'agent/platform/files.ts',
  'agent/roles/files/archive.ts',
  'agent/roles/files/home.ts',
  'agent/roles/postgres/divergence.ts',
  'agent/roles/postgres/exchange.ts',
  'agent/roles/postgres/rehearse.ts',
  'agent/roles/postgres/rules_check.ts',
  'agent/trampoline/log.ts',
  'agent/trampoline/state.ts',
  'cli/dev/postgres.ts',
  'cli/dev/program.ts',
];
const MAKES =
  /\b(mkdir|mkdirSync|mkdtemp|mkdtempSync|writeFile|writeFileSync|appendFileSync|copyFile|copyFileSync|cpSync|createWriteStream)\b|\bopen(Sync)?\([^)]*'(a|ax|w|wx)[+]?'/;

test('files and folders are made in few places, so that no mode depends on the umask (test/cases/umask.test.ts)', () => {
  const found = [...sources('agent'), ...sources('cli')].filter((file) => MAKES.test(code(file)));
  expect(found.sort()).toEqual(MAKERS);
});
