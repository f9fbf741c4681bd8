/** Runs one job and puts down what came of it. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { add, addCosts, loud, nothing, oneFailed } from './account.ts';
import { COSTS, type Cost } from './costs.ts';
import type { Job } from './jobs.ts';
import { type Ended, run } from './process.ts';
import { type Count, failedTests, judge } from './summary.ts';

/** Before a command: a network of its own, with loopback alone. */
const ALONE = ['unshare', '--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'];
/** Before a command: it gives way to whatever is without. */
const NICE = ['nice', '-n', '10'];

/** Does this machine allow them? */
export function networksOfTheirOwn(): boolean {
  const [file = '', ...args] = [...ALONE, 'true'];
  return spawnSync(file, args, { stdio: 'ignore' }).status === 0;
}

function judged(job: Job, { output, code, timedOut }: Ended): Count {
  if (job.files !== undefined) return judge(output, code, timedOut);
  return code === 0 && !timedOut ? { passed: 1, failed: 0, skipped: 0 } : oneFailed;
}

/** What each file of a process took; of one that was killed, the whole. */
function costsOf({ name }: Job, { seconds, cpuSeconds }: Ended, path: string): Cost[] {
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')) as Cost[];
  return [{ name, seconds, cpuSeconds }];
}

function tell({ stage, name, limitSeconds, tidy }: Job, count: Count, ended: Ended): void {
  const title = `${stage}, ${name}`;
  if (ended.timedOut) loud(`${title}: killed after ${limitSeconds} s`);
  else if (count.failed > 0) {
    loud(
      [`${title}: ${count.failed} failed (exit code ${ended.code})`, ...failedTests(ended.output)].join(
        '\n  ',
      ),
    );
  }
  if (count.skipped > 0) loud(`${title}: ${count.skipped} skipped`);
  if (ended.left.length > 0) loud(`${title}: left processes behind, killed:\n  ${ended.left.join('\n  ')}`);
  const left = tidy?.() ?? [];
  if (left.length > 0) loud(`${title}: left behind and taken away: ${left.join(', ')}`);
}

/**
 * `alone`: in a network of its own, if the job asks for one. `beside`: others run too, so its output is shown
 * once it has ended.
 */
export async function work(job: Job, { alone, beside }: { alone: boolean; beside: boolean }): Promise<void> {
  const missing = job.needs.filter((path) => !existsSync(path));
  if (missing.length > 0) {
    loud(`${job.stage}, ${job.name}: cannot run, ${missing.join(', ')} does not exist`);
    return add(job.stage, oneFailed, nothing);
  }
  const folder = mkdtempSync(join(tmpdir(), 'agent-test-costs-'));
  const path = join(folder, 'costs.json');
  const heading = `\n=== ${job.stage}: ${job.name}\n`;
  if (!beside) console.log(heading);
  const ended = await run(
    [...(job.nice ? NICE : []), ...(alone && job.ownNetwork ? ALONE : []), ...job.argv],
    job.limitSeconds,
    { env: { [COSTS]: path }, ...(beside ? { heading } : {}) },
  );
  addCosts(costsOf(job, ended, path));
  rmSync(folder, { recursive: true, force: true });
  const count = judged(job, ended);
  add(job.stage, count, ended);
  tell(job, count, ended);
}
