/**
 * What no port leads to: local clients of a writable server over its Unix socket, and active-only services.
 * At the deadline they are ended by systemd, whatever the agent does or does not.
 */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../platform/process.ts';

export interface LocalParts {
  readonly postgresUnit: string;
  readonly dataDir: string;
  /** Active-only services that do not stay warm, in the order in which they stop. */
  readonly units: readonly string[];
}

/**
 * Could a server on this data directory be writable? Only standby.signal says no; what cannot be told counts
 * as yes. A server that is just being promoted removes the file before it accepts the first write.
 */
export function mayWrite(dataDir: string): boolean {
  try {
    lstatSync(join(dataDir, 'standby.signal'));
    return false;
  } catch {
    // No such folder is no standby either: the server may run on one that was removed.
    return true;
  }
}

const systemctl = async (...args: string[]): Promise<string> => {
  const result = await run('systemctl', args, { deadline: 5000, cwd: '/' });
  return result.stdout.trim();
};

/** Stops them; never rejects. `say` is told what did not work. */
export async function endLocal(parts: LocalParts, say: (line: string) => void): Promise<void> {
  const attempt = (what: string, work: Promise<unknown>) =>
    work.catch((thrown) => say(`${what}: ${String(thrown)}`));
  await Promise.all([
    attempt('ending the database server', endServer(parts)),
    ...(parts.units.length === 0
      ? []
      : [attempt('stopping services', systemctl('stop', '--no-block', '--', ...parts.units))]),
  ]);
}

/**
 * Its whole group at once and not to be refused: acknowledged commits are on disk, and a hung server hears
 * nothing milder.
 */
async function endServer({ postgresUnit, dataDir }: LocalParts): Promise<void> {
  if (!mayWrite(dataDir)) return;
  await systemctl('kill', '--kill-who=all', '--signal=SIGKILL', '--', postgresUnit);
}
