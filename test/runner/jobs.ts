/** The stages as jobs: one process each, in the order in which they are best begun. */
import { readdirSync } from 'node:fs';
import { split } from './costs.ts';
import { secondsOf } from './seconds.ts';
import { type Command, notUnit, type Stage, type Suite, stages } from './stages.ts';

const bun = 'node_modules/.bin/bun';

export type Job = {
  stage: string;
  name: string;
  argv: string[];
  limitSeconds: number;
  /** Files that must be there for it to mean anything. */
  needs: string[];
  /** `bun test` and its files, under test/. Without: it counts as one test. */
  files?: string[];
  ownNetwork: boolean;
  /** What has no such mark gets the processor first. */
  nice: boolean;
  /** That it is known to take. */
  seconds: number;
  tidy?: () => string[];
};

const allFiles = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts'))
  .sort();

export const folderOf = (file: string): string => file.split('/')[0] ?? '';

export function filesOf({ folders }: Suite): string[] {
  if (folders !== '*') return allFiles.filter((file) => folders.includes(folderOf(file)));
  const others = stages.flatMap((stage) =>
    'suite' in stage && stage.suite.folders !== '*' ? stage.suite.folders : [],
  );
  return allFiles.filter((file) => ![...others, ...notUnit].includes(folderOf(file)));
}

function testsOf(suite: Suite, only?: ReadonlySet<string>): { name: string; files: string[] }[] {
  const files = filesOf(suite).filter((file) => only?.has(file) ?? true);
  if (suite.processes === 'each') return files.map((file) => ({ name: `test/${file}`, files: [file] }));
  return split(files, suite.processes, secondsOf).map((part, index, { length }) => ({
    name: `part ${index + 1} of ${length}`,
    files: part,
  }));
}

const commandJob = ({ name, uses }: Stage, command: Command): Job => ({
  ...command,
  stage: name,
  nice: uses !== 'cores',
  ownNetwork: false,
  seconds: 0,
});

/** What is to be done beforehand. */
export function preparationOf(stage: Stage): Job[] {
  return 'suite' in stage && stage.suite.prepare ? [commandJob(stage, stage.suite.prepare)] : [];
}

/**
 * Empty for a suite without a file. Those known to take longest come first: begun last, they would end alone.
 * `only`: these files of it.
 */
export function jobsOf(stage: Stage, only?: ReadonlySet<string>): Job[] {
  if ('commands' in stage) return stage.commands.map((command) => commandJob(stage, command));
  const { suite } = stage;
  const { limitSeconds, ownNetwork, tidy } = suite;
  const test = [bun, 'test', '--timeout', String(suite.testLimitMs)];
  return testsOf(suite, only)
    .map(({ name, files }) => ({
      stage: stage.name,
      name,
      files,
      nice: stage.uses === 'spare',
      argv: [
        ...test,
        ...(suite.processes === 'each' ? [] : ['--preload', './test/runner/file_costs.ts']),
        ...files.map((file) => `./test/${file}`),
      ],
      needs: [],
      limitSeconds,
      ownNetwork,
      seconds: files.reduce((sum, file) => sum + secondsOf(file), 0),
      ...(tidy === undefined ? {} : { tidy }),
    }))
    .sort((a, b) => b.seconds - a.seconds);
}
