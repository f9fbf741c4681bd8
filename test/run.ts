/** Runs the stages of test/runner/stages.ts, several processes at a time, and adds up what passed, what failed and what it took. */
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import process from 'node:process';
import { add, finish, leaveOut, loud, nothing, oneFailed } from './runner/account.ts';
import { type Chosen, choose, list } from './runner/choose.ts';
import { filesOf, folderOf, type Job, jobsOf, preparationOf } from './runner/jobs.ts';
import { killRunning } from './runner/process.ts';
import { groups, type Stage, stages, unitFolders } from './runner/stages.ts';
import { networksOfTheirOwn, work } from './runner/work.ts';

process.chdir(dirname(import.meta.dirname));

async function jobsToDo({ stage, only }: Chosen): Promise<Job[]> {
  if (!('suite' in stage)) return jobsOf(stage);
  const { suite, name } = stage;
  const files = filesOf(suite);
  if (files.length === 0) {
    loud(`stage ${name}: not one test file`);
    add(name, oneFailed, nothing);
  }
  if (suite.folders === '*') {
    const empty = unitFolders.filter((folder) => !files.some((file) => folderOf(file) === folder));
    for (const folder of empty) loud(`test/${folder} has no test`);
  }
  const reasons = (await suite.missing?.()) ?? [];
  if (reasons.length === 0) return jobsOf(stage, only);
  leaveOut(name, reasons);
  return [];
}

/** So many at a time, begun in their order. */
async function drain(jobs: readonly Job[], lanes: number, alone: boolean, beside: boolean): Promise<void> {
  const queue = [...jobs];
  async function lane(): Promise<void> {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) await work(job, { alone, beside });
  }
  await Promise.all(Array.from({ length: lanes }, lane));
}

async function runAll(todo: readonly Chosen[]): Promise<void> {
  const jobs: Record<Stage['uses'], Job[]> = { cores: [], time: [], machine: [] };
  for (const one of todo) {
    const own = await jobsToDo(one);
    if (own.length > 0) jobs.cores.unshift(...preparationOf(one.stage));
    jobs[one.stage.uses].push(...own);
  }
  const beside = jobs.cores.length + jobs.time.length + jobs.machine.length > 1;
  if (!networksOfTheirOwn()) {
    // Servers of two tests would meet on loopback.
    for (const uses of ['cores', 'time', 'machine'] as const) await drain(jobs[uses], 1, false, false);
    return;
  }
  // One more than there are cores: what computes waits too, now and then.
  const lanes = Math.min(availableParallelism() + 1, 5);
  const longestFirst = jobs.time.toSorted((a, b) => b.seconds - a.seconds);
  await Promise.all([drain(jobs.cores, lanes, true, beside), drain(longestFirst, lanes, true, beside)]);
  await drain(jobs.machine, 2, true, beside);
}

const asked = process.argv.slice(2);
if (asked.includes('--list')) {
  console.log(list());
  process.exit(0);
}
const { chosen, unknown } = choose(asked);
const names = chosen.map(({ stage }) => stage.name);
for (const word of unknown) {
  loud(
    `neither a stage nor a test file: ${word}. Stages: ${Object.keys(groups)}, ${stages.map(({ name }) => name).join(', ')}`,
  );
  add('unknown', oneFailed, nothing);
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    killRunning();
    loud(`stopped by ${signal}`);
    add('stopped', oneFailed, nothing);
    finish(names);
  });
}
await runAll(chosen);
finish(names);
