import { expect, test } from 'bun:test';
import type { ConfigurationReport } from '../../agent/api/settings.ts';
import { watchSettings } from '../../agent/daemon/server_settings.ts';
import type { Rehearsed } from '../../agent/roles/postgres/port.ts';

const plain: ConfigurationReport = {
  file: '/etc/cloudify/agent.yaml',
  hash: 'a',
  fileHash: 'a',
  problems: [],
};

test('what the server does not take is in the status until it does; what could not be tried changes nothing', async () => {
  const words: Rehearsed[] = [
    { kind: 'done' },
    { kind: 'failed', why: 'agent.yaml: postgres.parameters.work_mem: no', refused: true },
    { kind: 'failed', why: 'no helper' },
    { kind: 'done' },
    { kind: 'failed', why: 'no helper' },
  ];
  const said: string[] = [];
  const log = {
    warn: (line: unknown) => said.push(`warn ${line}`),
    info: (line: unknown) => said.push(`info ${line}`),
  };
  const asked: (() => void)[] = [];
  const pg = {
    rehearse: () =>
      new Promise<Rehearsed>((resolve) =>
        asked.push(() => resolve(words[asked.length - 1] ?? { kind: 'done' })),
      ),
  };
  const watch = watchSettings(pg, log as never, { first: 1, well: 1, wrong: 1 });
  const problems: number[] = [];
  for (let round = 0; round < words.length; round++) {
    while (asked.length <= round) await new Promise((done) => setTimeout(done, 1));
    problems.push(watch.report(plain).problems.length);
    asked[round]?.();
  }
  while (asked.length <= words.length) await new Promise((done) => setTimeout(done, 1));
  // As seen before each word: nothing known, taken, refused, refused still, taken again.
  expect(problems).toEqual([0, 0, 1, 1, 0]);
  expect(watch.report(plain).problems).toEqual([]);
  expect(said).toEqual([
    'warn PostgreSQL would not start with its settings: agent.yaml: postgres.parameters.work_mem: no',
    'info PostgreSQL accepts its settings again',
  ]);
  watch.stop();
});

test('it names the problem and the next step, and ends with the membership', async () => {
  const pg = {
    rehearse: async (): Promise<Rehearsed> => ({ kind: 'failed', why: 'work_mem: no', refused: true }),
  };
  const watch = watchSettings(pg, { warn() {}, info() {} } as never, { first: 1, well: 1, wrong: 600_000 });
  while (watch.report(plain).problems.length === 0) await new Promise((done) => setTimeout(done, 1));
  expect(watch.report(plain).problems).toEqual([
    {
      what: 'PostgreSQL would not start with its settings, nor accept a change to them: work_mem: no',
      next: "correct it there; 'agent doctor' checks it again",
    },
  ]);
  watch.stop();
  expect(watch.report(plain)).toBe(plain);
});
