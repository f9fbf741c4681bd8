/** Which parameters are written, while the server's program has not said its word, and after. */
import { expect, test } from 'bun:test';
import type { Outcome } from '../../../agent/core/postgres.ts';
import { initialSettings, renderClusterConf, type Settings } from '../../../agent/roles/postgres/conf.ts';
import { type PgOptions, pgDefaults } from '../../../agent/roles/postgres/options.ts';
import { createParameters } from '../../../agent/roles/postgres/parameters.ts';

const options: PgOptions = {
  ...pgDefaults,
  ...{ node: 'a', binDir: '/b', dataDir: '/d', confDir: '/c', socketDir: '/s', host: '127.0.0.1', port: 1 },
  divergedDir: '/v',
  starter: {} as never,
};

const old = { work_mem: '4MB' };
const fresh = { work_mem: '8MB' };
const settings = (parameters?: Record<string, string>) =>
  ({ fenced: true, generation: 'g', ...(parameters && { parameters }) }) as Settings;

function bench() {
  const asked: ((outcome: Outcome) => void)[] = [];
  const said: string[] = [];
  let now = 0;
  const o = { parameters: fresh, say: (line: string) => said.push(line) } as unknown as PgOptions;
  const made = createParameters(
    o,
    () => new Promise((resolve) => asked.push(resolve)),
    () => now,
  );
  return {
    made,
    asked,
    said,
    pass: (ms: number) => {
      now += ms;
    },
  };
}
const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

test('the first ones, and those in force, are written without asking', async () => {
  const { made, asked } = bench();
  expect(made.toWrite(settings())).toEqual(fresh);
  expect(made.toWrite(settings({ ...fresh }))).toEqual(fresh);
  await made.settle(settings());
  expect(asked).toEqual([]);
});

test('changed ones are asked about once; until then, and for a fence always at once, the old ones are written', async () => {
  const { made, asked } = bench();
  expect(made.toWrite(settings(old))).toEqual(old);
  expect(made.toWrite(settings(old))).toEqual(old);
  expect(asked.length).toBe(1);
  const start = made.settle(settings(old));
  asked[0]?.({ kind: 'done' });
  await start;
  expect(made.toWrite(settings(old))).toEqual(fresh);
  expect(asked.length).toBe(1);
});

test('refused ones are not written and said once; a minute later they are asked about again', async () => {
  const { made, asked, said, pass } = bench();
  const start = made.settle(settings(old));
  asked[0]?.({ kind: 'failed', why: 'work_mem: no' });
  await start;
  expect(made.toWrite(settings(old))).toEqual(old);
  pass(59_999);
  await made.settle(settings(old));
  expect([asked.length, said]).toEqual([1, ['the former parameters stay in force: work_mem: no']]);
  pass(1);
  expect(made.toWrite(settings(old))).toEqual(old);
  asked[1]?.({ kind: 'done' });
  await settled();
  expect(made.toWrite(settings(old))).toEqual(fresh);
});

test('a parameter is not below what the manager’s own slots need', () => {
  const o = {
    ...options,
    parameters: { Max_Replication_Slots: '30', max_wal_senders: '60', work_mem: '1MB' },
  };
  const kept = { max_replication_slots: '50', max_wal_senders: '40' };
  const lines = renderClusterConf(o, { ...initialSettings(o), kept }).split('\n');
  for (const line of ["Max_Replication_Slots = '50'", "max_wal_senders = '60'", "work_mem = '1MB'"])
    expect(lines).toContain(line);
});
