import { expect, test } from 'bun:test';
import type {
  Absent,
  ConsulFailure,
  ConsulKv,
  Present,
  ReadOptions,
  Unknown,
} from '../../agent/consul/port.ts';
import { backoffMs, KvWatch } from '../../agent/consul/watch.ts';
import { FakeConsul } from '../fakes/consul.ts';
import { unknown } from '../fakes/consul_faults.ts';

type Answer = Present | Absent | Unknown;

const present = (value: string, modifyIndex: number, index = modifyIndex): Present => ({
  kind: 'ok',
  entry: { key: 'k', value, createIndex: 1, modifyIndex },
  meta: { index, knownLeader: true, lastContactMs: 0, server: 'a' },
});

/** Runs a watch over the given answers; ends it with the last one. */
async function watched(answers: Answer[], random = 0) {
  const end = new AbortController();
  const told: string[] = [];
  const asked: (number | undefined)[] = [];
  const slept: number[] = [];
  const failed: ConsulFailure[] = [];
  const get = async (_key: string, options: ReadOptions = {}): Promise<Answer> => {
    asked.push(options.index);
    const answer = answers.shift();
    if (answers.length === 0) end.abort();
    return answer ?? unknown('cancelled', false);
  };
  const sleep = async (ms: number): Promise<void> => {
    slept.push(ms);
  };
  const watch = new KvWatch({ get } as unknown as ConsulKv, { sleep, random: () => random });
  const onValue = (value: Present | Absent): void => {
    told.push(value.kind === 'ok' ? value.entry.value : 'absent');
  };
  await watch.key('k', onValue, { signal: end.signal, onFailure: (cause) => failed.push(cause) });
  return { told, asked, slept, failed };
}

const END = unknown('cancelled', false);

test('each query waits on the index of the answer before', async () => {
  const { told, asked, slept } = await watched([present('1', 5), present('2', 8), present('3', 9), END]);
  expect({ told, asked, slept }).toEqual({ told: ['1', '2', '3'], asked: [0, 5, 8, 9], slept: [] });
});

test('an index that goes back starts from 0 again, and the value is told', async () => {
  const { told, asked } = await watched([present('new', 900), present('old', 7), present('old', 7), END]);
  expect(asked).toEqual([0, 900, 0, 7]);
  expect(told).toEqual(['new', 'old', 'old']);
});

test('an answer with nothing new tells nobody, and a server that does not wait is not asked in a busy loop', async () => {
  const { told, slept } = await watched([present('1', 5), present('1', 5), present('1', 5), END], 0.99);
  expect(told).toEqual(['1']);
  expect(slept).toEqual([99.5, 99.5]);
});

test('another key that moved the index tells nobody', async () => {
  const { told, asked } = await watched([present('1', 5), present('1', 5, 6), END]);
  expect({ told, asked }).toEqual({ told: ['1'], asked: [0, 5, 6] });
});

test('after failures it waits longer each time, asks without an index, and tells the value again', async () => {
  const down = unknown('unreachable', false);
  const { told, asked, slept, failed } = await watched([
    present('1', 5),
    down,
    down,
    down,
    present('1', 5),
    down,
    END,
  ]);
  expect(told).toEqual(['1', '1']);
  expect(asked).toEqual([0, 5, 0, 0, 0, 5, 0]);
  expect(slept).toEqual([50, 100, 200, 50]);
  expect(failed.map((cause) => cause.code)).toEqual(Array(4).fill('unreachable'));
});

test('the back-off lies between half and the whole of a doubling that ends at 5 s', () => {
  expect([1, 2, 5, 6, 7, 50].map((n) => backoffMs(n, () => 0))).toEqual([50, 100, 800, 1_600, 2_500, 2_500]);
  expect([1, 7, 50].map((n) => Math.round(backoffMs(n, () => 0.999999)))).toEqual([100, 5_000, 5_000]);
});

test('an unavailable Consul breaks a standing watch, which goes on by itself and leaves nothing behind', async () => {
  const consul = new FakeConsul();
  const { kv, watch, faults } = consul.client();
  await kv.put('k', '1');
  const end = new AbortController();
  const told: string[] = [];
  let failures = 0;
  let wake = (): void => {};
  const next = (): Promise<void> => new Promise((resolve) => (wake = resolve));
  const heard = next();
  const done = watch.key(
    'k',
    (value) => {
      told.push(value.kind === 'ok' ? value.entry.value : 'absent');
      wake();
    },
    { signal: end.signal, onFailure: () => (failures += 1) },
  );
  await heard;
  while (consul.store.standing === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  expect(consul.store.standing).toBe(1);
  faults.setUnavailable(true);
  const again = next();
  await consul.client().kv.put('k', '2');
  faults.setUnavailable(false);
  await again;
  end.abort();
  await done;
  expect(told).toEqual(['1', '2']);
  expect(failures).toBeGreaterThan(0);
  expect(consul.store.standing).toBe(0);
});
