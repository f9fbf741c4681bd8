/**
 * Input: `umask 077; agent dev up` as root, and `umask 000`.
 * Right: both work, and every file and folder that the agent makes has the same mode in both, none of them
 *        writable by everybody.
 * Source: reports on tools that could not read their own configuration on machines hardened with another
 *        umask.
 */
import { expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { freeAddress } from '../dev/addresses.ts';

const root = dirname(dirname(import.meta.dirname));
const agent = [process.execPath, join(root, 'cli/main.ts')];
/** What other programs make as they see fit, and what a test is not to wait for. */
const FOREIGN = /\/(pgdata|consul\/data)\/|\/source(\/|$)|\/(\.s\.PGSQL|\.bun|deno)/;

/** Path and mode of all that is made, names that no two runs share left out. */
function modesBelow(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((path) => !FOREIGN.test(`/${path}`))
    .flatMap((path) => {
      const stat = lstatSync(join(dir, path), { throwIfNoEntry: false });
      if (stat === undefined || stat.isSymbolicLink()) return [];
      return [`${path.replaceAll(/\d{3,}/g, 'N')} ${(stat.mode & 0o7777).toString(8)}`];
    })
    .sort();
}

async function upUnder(umask: string): Promise<string[]> {
  const dir = mkdtempSync(join(tmpdir(), 'agent-umask-'));
  const dev = (what: string, ...args: string[]) =>
    spawnSync('sh', ['-c', `umask ${umask}; exec "$@"`, 'sh', ...agent, 'dev', what, '--dir', dir, ...args], {
      encoding: 'utf8',
      cwd: root,
      timeout: 170_000,
    });
  try {
    const up = dev('up', '--nodes', '1', '--fast', '--first', await freeAddress(), '--from-source', 'bun');
    if (up.status !== 0) throw new Error(`umask ${umask}: ${up.stdout}${up.stderr}`);
    return modesBelow(dir);
  } finally {
    dev('down', '--purge');
    rmSync(dir, { recursive: true, force: true });
  }
}

test('under umask 077 and 000 a cluster comes up, with the same modes', async () => {
  const [closed, open] = [await upUnder('077'), await upUnder('000')];
  expect(closed.length).toBeGreaterThan(20);
  expect(open.filter((line) => (Number.parseInt(line.split(' ').at(-1) ?? '', 8) & 0o002) !== 0)).toEqual([]);
  expect(closed).toEqual(open);
}, 400_000);
