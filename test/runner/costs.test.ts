import { expect, test } from 'bun:test';
import { slowest, split } from './costs.ts';
import { filesOf, jobsOf } from './jobs.ts';
import { long } from './seconds.ts';
import { groups, stages } from './stages.ts';

const cost = (name: string, seconds: number) => ({ name, seconds, cpuSeconds: seconds / 4 });

test('the slowest are told first, and of how many', () => {
  const lines = slowest([cost('a', 1), cost('b', 80), cost('c', 4)], 2).split('\n');
  expect(lines[0]).toContain('the 2 slowest of 3');
  expect(lines.slice(1)).toEqual(['    80.0     20.0  b', '     4.0      1.0  c']);
});

test('parts are of about equal length, none is empty, and each file is in one', () => {
  const seconds: Record<string, number> = { b: 10, d: 6, e: 5 };
  const of = (file: string) => seconds[file] ?? 1;
  expect(split(['a', 'b', 'c', 'd', 'e'], 2, of)).toEqual([
    ['a', 'b', 'c'],
    ['d', 'e'],
  ]);
  expect(split(['a'], 3, of)).toEqual([['a']]);
  expect(split([], 3, of)).toEqual([]);
});

test('each test file is in one job of the whole run', () => {
  const whole = stages.filter(({ onlyAsked }) => !onlyAsked);
  const files = whole.flatMap((stage) => jobsOf(stage)).flatMap((job) => job.files ?? []);
  const glob = [...new Bun.Glob('**/*.test.ts').scanSync('test')].sort();
  expect(files.sort()).toEqual(glob);
  expect(new Set(files).size).toBe(files.length);
});

test('a group is of stages that there are, and what is only run when asked for is in one', () => {
  const names = stages.map(({ name }) => name);
  const grouped = Object.values(groups).flatMap((group) => group.stages);
  expect(grouped.filter((name) => !names.includes(name))).toEqual([]);
  for (const { name, onlyAsked } of stages) if (onlyAsked) expect(grouped).toContain(name);
});

test('the files of a stage are those of its folders alone', () => {
  for (const stage of stages) {
    if (!('suite' in stage)) continue;
    expect(filesOf(stage.suite).length).toBeGreaterThan(0);
  }
});

test('what is known to be long is there', () => {
  const glob = new Set(new Bun.Glob('**/*.test.ts').scanSync('test'));
  expect(Object.keys(long).filter((file) => !glob.has(file))).toEqual([]);
});
