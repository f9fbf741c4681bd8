import { expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { root } from './files.ts';

const top = [
  '.ci',
  '.editorconfig',
  '.github',
  '.gitignore',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'LICENSE',
  'README.md',
  'agent',
  'biome.json',
  'build.ts',
  'bunfig.toml',
  'cli',
  'docs',
  'package-lock.json',
  'package.json',
  'test',
  'tsconfig.json',
];

test('the top level holds what a newcomer is told to find there, and nothing else', () => {
  const git = spawnSync(
    'git',
    ['-c', `safe.directory=${root}`, 'ls-files', '-z', '-co', '--exclude-standard'],
    {
      cwd: root,
      encoding: 'utf8',
    },
  );
  const names = new Set(git.stdout.split('\0').map((path) => path.split('/')[0] ?? ''));
  names.delete('');
  expect([...names].sort()).toEqual([...top].sort());
});
