/** Runs the stages of test/runner/stages.ts one after the other and adds up what passed and failed. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import process from 'node:process';
import { killRunning, run } from './runner/process.ts';
import { type Command, notUnit, type Stage, type Suite, stages, unitFolders } from './runner/stages.ts';
import { type Count, judge } from './runner/summary.ts';

const root = dirname(import.meta.dirname);
process.chdir(root);
const bun = 'node_modules/.bin/bun';
const total: Count = { passed: 0, failed: 0, skipped: 0 };
const notes: string[] = [];

function loud(message: string): void {
  notes.push(message);
  console.log(`\n!!! ${message}\n`);
}

function add(count: Count): void {
  total.passed += count.passed;
  total.failed += count.failed;
  total.skipped += count.skipped;
}

async function runCommand(command: Command): Promise<void> {
  const missing = command.needs.filter((path) => !existsSync(path));
  if (missing.length > 0) {
    loud(`${command.name}: cannot run, ${missing.join(', ')} does not exist`);
    return add({ passed: 0, failed: 1, skipped: 0 });
  }
  console.log(`--- ${command.name}: ${command.argv.join(' ')}`);
  const ended = await run(command.argv, command.limitSeconds);
  const passed = ended.code === 0 && !ended.timedOut;
  if (ended.timedOut) loud(`${command.name}: killed after ${command.limitSeconds} s`);
  else if (!passed) loud(`${command.name}: failed (exit code ${ended.code})`);
  add({ passed: passed ? 1 : 0, failed: passed ? 0 : 1, skipped: 0 });
}

const allFiles = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts'))
  .sort();

function filesOf(suite: Suite): string[] {
  const folderOf = (file: string) => file.split('/')[0] ?? '';
  if (suite.folders !== '*') return allFiles.filter((file) => suite.folders.includes(folderOf(file)));
  const others = stages.flatMap((stage) =>
    'suite' in stage && stage.suite.folders !== '*' ? stage.suite.folders : [],
  );
  const files = allFiles.filter((file) => ![...others, ...notUnit].includes(folderOf(file)));
  for (const folder of unitFolders) {
    if (!files.some((file) => folderOf(file) === folder)) loud(`test/${folder} has no test`);
  }
  return files;
}

/** Before a command: a network of its own, with loopback alone. */
const ALONE = ['unshare', '--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'];

function networksOfTheirOwn(): boolean {
  const [file = '', ...args] = [...ALONE, 'true'];
  return spawnSync(file, args, { stdio: 'ignore' }).status === 0;
}

async function runTests(name: string, files: string[], suite: Suite, alone = false): Promise<void> {
  const paths = files.map((file) => `./test/${file}`);
  const test = [bun, 'test', '--timeout', String(suite.testLimitMs), ...paths];
  const ended = await run(alone ? [...ALONE, ...test] : test, suite.limitSeconds, alone);
  const count = judge(ended.output, ended.code, ended.timedOut);
  if (ended.timedOut) loud(`${name}: killed after ${suite.limitSeconds} s`);
  else if (count.failed > 0) loud(`${name}: ${count.failed} failed`);
  if (count.skipped > 0) loud(`${name}: ${count.skipped} skipped`);
  if (ended.left.length > 0) loud(`${name}: left processes behind, killed:\n  ${ended.left.join('\n  ')}`);
  add(count);
}

async function runSuite(name: string, suite: Suite): Promise<void> {
  const files = filesOf(suite);
  if (files.length === 0) {
    loud(`stage ${name}: not one test file`);
    return add({ passed: 0, failed: 1, skipped: 0 });
  }
  const reasons = (await suite.missing?.()) ?? [];
  if (reasons.length > 0) {
    loud(`stage ${name}: LEFT OUT, nothing in it was tested. It cannot run here:\n  ${reasons.join('\n  ')}`);
    skippedStages.push(name);
    return;
  }
  if (!suite.apart) return runTests(name, files, suite);
  const lanes = suite.lanes !== undefined && networksOfTheirOwn() ? suite.lanes : 1;
  // Those with the longest waits are named last: begun first, they end with the others.
  const queue = lanes > 1 ? files.toReversed() : [...files];
  async function lane(): Promise<void> {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      await runTests(`test/${file}`, [file], suite, lanes > 1);
      const left = suite.tidy?.() ?? [];
      if (left.length > 0) loud(`test/${file}: left behind and taken away: ${left.join(', ')}`);
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane));
}

async function runStage(stage: Stage): Promise<void> {
  const started = performance.now();
  const before = { ...total };
  console.log(`\n=== ${stage.name}`);
  if ('suite' in stage) await runSuite(stage.name, stage.suite);
  else for (const command of stage.commands) await runCommand(command);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const passed = total.passed - before.passed;
  const failed = total.failed - before.failed;
  if (skippedStages.includes(stage.name)) summary.push(`${stage.name.padEnd(12)} left out: see below`);
  else summary.push(`${stage.name.padEnd(12)} ${passed} passed, ${failed} failed, ${seconds} s`);
}

function finish(): never {
  console.log(`\n=== stages\n${summary.join('\n')}`);
  for (const note of notes) console.log(`!!! ${note}`);
  if (total.passed + total.failed === 0) console.log('!!! nothing ran');
  console.log(`${total.passed} passed, ${total.failed} failed`);
  process.exit(total.failed === 0 && total.passed > 0 ? 0 : 1);
}

const summary: string[] = [];
const skippedStages: string[] = [];
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    killRunning();
    loud(`stopped by ${signal}`);
    add({ passed: 0, failed: 1, skipped: 0 });
    finish();
  });
}

const asked = process.argv.slice(2);
if (asked.includes('--list')) {
  console.log(stages.map((stage) => stage.name).join('\n'));
  process.exit(0);
}
for (const name of asked) {
  if (!stages.some((stage) => stage.name === name)) {
    loud(`no stage ${name}: one of ${stages.map((stage) => stage.name).join(', ')}`);
    add({ passed: 0, failed: 1, skipped: 0 });
  }
}
for (const stage of stages) {
  if (asked.length === 0 || asked.includes(stage.name)) await runStage(stage);
}
finish();
