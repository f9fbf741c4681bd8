/**
 * Rules into the kernel, as root: one transaction a family, in our own chains. Names come from names.ts
 * alone.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../platform/process.ts';
import type { FirewallRole } from '../../trampoline/names.ts';
import { FAMILIES, type Family, HOOKS, roleFile } from './names.ts';

const DEADLINE = 3000;
const ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };
const program = (family: Family, name: string): string => (family === 'v4' ? `ip${name}` : `ip6${name}`);

/** The kernel has no IPv6 at all: then there is nothing to shut. */
export const families = (): Family[] =>
  FAMILIES.filter((family) => family === 'v4' || existsSync('/proc/net/if_inet6'));

async function command(name: string, args: readonly string[], input?: string): Promise<string> {
  const result = await run(name, args, {
    deadline: DEADLINE,
    env: ENVIRONMENT,
    cwd: '/',
    ...(input === undefined ? {} : { input }),
  });
  if (result.code === 0 && result.ended === undefined) return result.stdout;
  const said = result.stderr.trim().split('\n').slice(-2).join('; ').slice(0, 300);
  throw new Error(`${name} failed: ${said || (result.ended ?? result.code ?? result.signal)}`);
}

/** Both families at once. Rejects when one of them is not in force. `dir` is root's own. */
export async function applyRole(dir: string, role: FirewallRole): Promise<void> {
  await Promise.all(
    families().map((family) =>
      command(program(family, 'tables-restore'), [
        '--noflush',
        '--wait',
        '2',
        join(dir, roleFile(role, family)),
      ]),
    ),
  );
}

/**
 * What brings the hooks of one family into order, as iptables-restore reads it: each exactly once, and before
 * every other rule, so that nobody's ACCEPT comes first. Undefined: they are. `listed` is what `iptables -S`
 * says. Pure.
 */
export function hookLines(listed: string): string | undefined {
  const rules = listed.split('\n');
  const lines = HOOKS.flatMap(([builtin, chain]) => {
    const all = rules.filter((rule) => rule.startsWith(`-A ${builtin} `));
    const jump = `-A ${builtin} -j ${chain}`;
    const count = all.filter((rule) => rule === jump).length;
    if (count === 1 && all[0] === jump) return [];
    return [...new Array<string>(count).fill(`-D ${builtin} -j ${chain}`), `-I ${builtin} 1 -j ${chain}`];
  });
  return lines.length === 0 ? undefined : ['*filter', ...lines, 'COMMIT', ''].join('\n');
}

/** Resolves to the families whose hooks were missing, and are there now. The chains must exist. */
export async function ensureHooks(): Promise<Family[]> {
  const mended = await Promise.all(
    families().map(async (family) => {
      const lines = hookLines(await command(program(family, 'tables'), ['-w', '2', '-S']));
      if (lines === undefined) return [];
      await command(program(family, 'tables-restore'), ['--noflush', '--wait', '2'], lines);
      return [family];
    }),
  );
  return mended.flat();
}

/**
 * Makes the sets that are not there, and fills in the client ports. Entries of the lease stay as they are.
 */
export async function applySets(dir: string, file: string): Promise<void> {
  await command('ipset', ['restore', '-exist', '-file', join(dir, file)]);
}
