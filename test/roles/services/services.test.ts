import { expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const scenario = join(import.meta.dir, 'scenario.ts');
const deno = join(import.meta.dir, '../../../node_modules/.bin/deno');

const outcome = (command: string, args: string[]) => {
  const { stdout, stderr } = spawnSync(command, [...args, scenario], { encoding: 'utf8', timeout: 60_000 });
  const lines = stdout.trim().split('\n');
  const wrong = stdout.slice(Math.max(0, stdout.indexOf('FAILED')));
  return {
    passed: lines.filter((line) => line.startsWith('ok ')).length,
    wrong: stdout.includes('FAILED') ? wrong : stderr,
  };
};

test('the child driver keeps its promises on real processes under Bun', () => {
  expect(outcome(process.execPath, [])).toEqual({ passed: 12, wrong: '' });
}, 70_000);

test('the child driver keeps its promises on real processes under Deno', () => {
  expect(outcome(deno, ['run', '-A', '--node-modules-dir=manual'])).toEqual({ passed: 12, wrong: '' });
}, 70_000);
