/** Is this machine going down, or is only the agent told to stop (PROTOCOL H.3)? */
import { existsSync } from 'node:fs';
import { type RunOptions, type RunResult, run } from './process.ts';

type Start = (command: string, args: readonly string[], options: RunOptions) => Promise<RunResult>;

/** systemd answers from memory. */
const DEADLINE = 1000;
/** Nobody may log in any more: systemd puts it there when it begins to go down. */
const NO_LOGIN = '/run/nologin';

/**
 * True when systemd says that the machine is stopping. Where it cannot be asked any more (D-Bus stops early),
 * what it leaves behind says so. False where there is no systemd. Never throws.
 */
export async function machineStops(start: Start = run, exists = existsSync): Promise<boolean> {
  try {
    // Its exit code is not 0 in any state but 'running': the word is what counts.
    const { stdout } = await start('systemctl', ['is-system-running'], { deadline: DEADLINE });
    const word = stdout.trim();
    if (word !== '' && word !== 'unknown') return word === 'stopping';
  } catch {
    // No systemctl, or no answer.
  }
  return exists(NO_LOGIN);
}
