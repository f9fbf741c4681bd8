/** Is this machine going down, or is only the agent told to stop (PROTOCOL H)? */
import { type RunOptions, type RunResult, run } from './process.ts';

type Start = (command: string, args: readonly string[], options: RunOptions) => Promise<RunResult>;

/** systemd answers from memory; when it does not, nothing is assumed. */
const DEADLINE = 1000;

/** True when systemd says that the machine is stopping. False where there is no systemd, or no answer. Never throws. */
export async function machineStops(start: Start = run): Promise<boolean> {
  try {
    // Its exit code is not 0 in any state but 'running': the word is what counts.
    const { stdout } = await start('systemctl', ['is-system-running'], { deadline: DEADLINE });
    return stdout.trim() === 'stopping';
  } catch {
    return false;
  }
}
