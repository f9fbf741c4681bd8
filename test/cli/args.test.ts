import { describe, expect, test } from 'bun:test';
import { runAlone } from './harness.ts';

const refused = async (line: string) => {
  const { code, out, err } = await runAlone(line === '' ? [] : line.split(' '));
  return { code, out, err: err.split('\n').slice(0, 2).join(' / ') };
};

describe('bad usage ends with exit code 2 and says what would be right', () => {
  const cases: [line: string, message: string][] = [
    ['cluster nods', "agent: 'agent cluster' has no command 'nods' /   did you mean 'agent cluster nodes'?"],
    [
      'frobnicate',
      "agent: 'agent' has no command 'frobnicate' /   it has: run, status, logs, cluster, doctor, hash-password, install, uninstall, teardown, dev, completion",
    ],
    [
      'cluster nodes list --wach',
      'agent cluster nodes list: unknown option --wach /   did you mean --watch?',
    ],
    [
      'cluster resume --force',
      'agent cluster resume: unknown option --force /   options here: --config --socket --json --verbose --help -h',
    ],
    ['cluster set-active', 'agent cluster set-active: NAME is missing /   the node to become the active'],
    ['cluster set-active m1 m2', "agent cluster set-active: 'm2' is one argument too many / "],
    [
      'cluster set-active m1 --timeout',
      'agent cluster set-active: --timeout needs a value /   write --timeout=SECONDS',
    ],
    ['cluster set-active m1 --timeout --verbose', 'agent cluster set-active: --timeout needs a value'],
    [
      'cluster set-active m1 --timeout soon',
      'agent cluster set-active: --timeout=soon is not a duration /   write seconds, or a time like --timeout=10min',
    ],
    ['cluster start --json=yes', 'agent cluster start: --json takes no value'],
    ['cluster start --options x', "agent cluster start: 'x' is neither NAME=VALUE, nor JSON, nor a file"],
    ['cluster join', 'agent cluster join: ADDRESS is missing'],
    ['logs --lines few', 'agent logs: --lines=few is not a number of lines'],
    ['completion tcsh', "agent completion: no completion for 'tcsh' /   write bash, zsh or fish"],
    ['dev up --nodez 3', 'agent dev up: unknown option --nodez /   did you mean --nodes?'],
  ];
  for (const [line, message] of cases) {
    test(line, async () => {
      const { code, out, err } = await refused(line);
      expect([code, out]).toEqual([2, '']);
      expect(err).toStartWith(message);
    });
  }

  test('a group without a command shows its help on standard error', async () => {
    for (const line of ['', 'cluster', 'cluster nodes', 'dev']) {
      const { code, out, err } = await refused(line);
      expect([code, out]).toEqual([2, '']);
      expect(err).not.toBe('');
    }
  });

  test('with --json the error is JSON', async () => {
    const { code, err } = await runAlone(['cluster', 'resume', '--json', '--force']);
    expect(code).toBe(2);
    expect(JSON.parse(err)).toEqual({
      message: 'unknown option --force',
      error_code: 'bad_usage',
      hint: 'options here: --config --socket --json --verbose --help -h',
    });
  });
});

test('--version says the release and the commit', async () => {
  const { code, out } = await runAlone(['--version']);
  expect([code, out]).toEqual([0, expect.stringMatching(/^agent \d+\.\d+\.\d+ \(\w+\)\n$/)]);
});
