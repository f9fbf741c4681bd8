/**
 * Is this machine's clock right? For people and their logs alone: nothing that the agent decides hangs on it,
 * so it never fails.
 */
import { deadline, Timeout, within } from '../platform/clock.ts';
import { run } from '../platform/process.ts';
import { readOffset, readShown, readTracking, type Tracking } from './clock_answers.ts';
import { type Check, type CheckResult, pass, warn } from './port.ts';

/** Bytes of an answer that are kept: a page at most. */
const MOST = 16_000;
/**
 * chrony goes on by its last measurement for ever; after this time, or four of its intervals, that says
 * nothing any more.
 */
const OLD = 3 * 3_600_000;
const OLD_INTERVALS = 4;
/** Of the time limit of a run. What ignores its end is ended by force later, and not waited for. */
const SHARE = 0.7;
const SLACK = 100;

/** missing: there is no such program. refused: it cannot tell, as where its service does not run. */
type Answer = { readonly text: string } | 'missing' | 'refused' | 'late';
type Ask = (program: string, ...args: string[]) => Promise<Answer>;

async function ask(program: string, args: string[], ms: number, signal: AbortSignal): Promise<Answer> {
  const options = { deadline: ms, signal, maxOutput: MOST, env: { LC_ALL: 'C' } };
  try {
    const { code, ended, stdout } = await within(ms + SLACK, program, run(program, args, options));
    if (ended !== undefined) return 'late';
    return code === 0 ? { text: stdout } : 'refused';
  } catch (error) {
    if (error instanceof Timeout) return 'late';
    const cause = error instanceof Error ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
    return cause?.code === 'ENOENT' ? 'missing' : 'refused';
  }
}

const unknown = (why: string): CheckResult => warn(`not known: ${why}`);
const nothing = (why: string): CheckResult => warn(`nothing synchronises this clock: ${why}`);

/** Both texts name the limit and not the offset, which is another one each time. */
const judged = (offset: number, max: number, by: string, look: string): CheckResult =>
  offset <= max
    ? pass(`at most ${max} ms off, by ${by}`)
    : warn(`this clock is more than ${max} ms off, by ${by}; see '${look}'`);

function ofChrony(tracking: Tracking | null, max: number, now: number): CheckResult {
  if (tracking === null)
    return unknown("chronyc says what this agent cannot read; see 'chronyc -c tracking'");
  if (tracking.follows !== 'servers')
    return nothing(
      tracking.follows === 'nothing'
        ? "chrony has no server to follow; see 'chronyc sources'"
        : "chrony follows the clock of this machine itself; see 'server' and 'local' in chrony.conf",
    );
  const age = Math.abs(now - tracking.heardAt);
  if (age > Math.max(OLD, OLD_INTERVALS * tracking.interval))
    return unknown("chrony has heard no server for hours; see 'chronyc sources'");
  return judged(tracking.offset, max, 'chrony', 'chronyc tracking');
}

/** `chrony`: why chronyc did not tell. */
async function ofSystemd(
  to: Ask,
  timedatectl: string,
  chrony: 'missing' | 'refused',
  max: number,
): Promise<CheckResult> {
  const shown = await to(timedatectl, 'show', '--no-pager');
  if (shown === 'late') return unknown('timedatectl does not answer; see whether D-Bus runs');
  if (shown === 'missing' || shown === 'refused')
    return unknown(
      chrony === 'missing'
        ? 'neither chronyc nor timedatectl tells here; install chrony, or run systemd-timesyncd'
        : "chronyc reaches no chronyd, and timedatectl does not tell; see 'chronyc tracking'",
    );
  const { synchronized, service } = readShown(shown.text);
  if (synchronized === null)
    return unknown("timedatectl says what this agent cannot read; see 'timedatectl show'");
  if (!synchronized)
    return service
      ? nothing("its service runs and has reached no server; see 'timedatectl timesync-status'")
      : nothing("turn it on with 'timedatectl set-ntp true', or install chrony");
  // Asked only of a service that runs: the question would start one that somebody stopped.
  const status = service ? await to(timedatectl, 'timesync-status', '--no-pager') : 'refused';
  if (status === 'late') return unknown('systemd-timesyncd does not answer; see its journal');
  const offset = typeof status === 'string' ? null : readOffset(status.text);
  if (offset === null)
    return unknown('something keeps this clock, but does not tell how far it is off; see its own status');
  return judged(offset, max, 'systemd-timesyncd', 'timedatectl timesync-status');
}

/** `max` in ms. `wall`: the time of day. Programs by name or path. */
export function clockCheck(
  max: number,
  wall: () => number,
  { chronyc = 'chronyc', timedatectl = 'timedatectl' } = {},
): Check {
  return {
    name: 'clock',
    async run({ ms, signal }): Promise<CheckResult> {
      // Of all programs together: whichever hangs, the run ends within its limit, and so is never counted as
      // failed.
      const left = deadline(ms * SHARE);
      const to: Ask = (program, ...args) => ask(program, args, left.left(), signal);
      const tracking = await to(chronyc, '-n', '-c', 'tracking');
      if (tracking === 'late') return unknown('chronyc does not answer; see whether chronyd hangs');
      return typeof tracking === 'string'
        ? await ofSystemd(to, timedatectl, tracking, max)
        : ofChrony(readTracking(tracking.text), max, wall());
    },
  };
}
