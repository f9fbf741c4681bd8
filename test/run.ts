/**
 * Runs the stages of test/runner/stages.ts, several processes at a time, and adds up what passed, what failed
 * and what it took.
 */
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import process from 'node:process';
import { add, finish, leaveOut, loud, nothing, oneFailed } from './runner/account.ts';
import { type Chosen, choose, list } from './runner/choose.ts';
import { filesOf, folderOf, type Job, jobsOf, preparationOf } from './runner/jobs.ts';
import { drain } from './runner/lanes.ts';
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

async function runAll(todo: readonly Chosen[]): Promise<void> {
  const jobs: Record<Stage['uses'], Job[]> = { cores: [], spare: [], time: [], clusters: [], machine: [] };
  for (const one of todo) {
    const own = await jobsToDo(one);
    if (own.length > 0) jobs.spare.unshift(...preparationOf(one.stage));
    jobs[one.stage.uses].push(...own);
  }
  for (const queue of [jobs.time, jobs.clusters]) queue.sort((a, b) => b.seconds - a.seconds);
  const { cores, spare, time, clusters, machine } = jobs;
  if (!networksOfTheirOwn()) {
    // Servers of two tests would meet on loopback.
    const inTurn = [...cores, ...spare, ...time, ...clusters, ...machine];
    return drain(inTurn, { always: 1, most: 1 }, (job) => work(job, { alone: false, beside: false }));
  }
  const beside = cores.length + spare.length + time.length + clusters.length + machine.length > 1;
  const run = (job: Job) => work(job, { alone: true, beside });
  const count = Math.min(availableParallelism(), 4);
  const spared = drain(spare, { always: count, most: count }, run);
  // One more than there are cores: what computes waits too, now and then.
  await drain(cores, { always: count + 1, most: count + 1 }, run);
  await drain(time, { always: count, most: count + 1 }, run);
  await spared;
  // A lease that runs out since the machine is busy is a role change that nobody asked for: nothing beside.
  await drain(clusters, { always: count, most: count }, run);
  await drain(machine, { always: 1, most: 1 }, run);
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
