import { beforeEach, expect, test } from 'bun:test';
import { makeConfig, requireNode } from '../../agent/config/index.ts';
import { stopOnceOut } from '../../agent/node/removed.ts';

const config = requireNode(makeConfig({ node_name: 'm3', host_ip: '10.0.0.13' }));
const server = (address: string) => ({ id: address, node: address, address, leader: false, voter: true });
const unknown = (code: 'denied' | 'timeout') =>
  ({ kind: 'unknown', cause: { code, maybeApplied: false, server: '', message: code } }) as const;

let now = 0;
let stopped = 0;
let answer: unknown;
const make = () =>
  stopOnceOut(
    { config, consul: { stop: async () => void stopped++ } as never },
    { raftConfiguration: async () => answer as never },
    () => now,
  );

beforeEach(() => {
  now = 0;
  stopped = 0;
});

test('a removed server goes on while Raft lists it: its vote may be what the others need', async () => {
  answer = { kind: 'ok', value: [server('10.0.0.11:8300'), server('10.0.0.13:8300')] };
  await expect(make()()).rejects.toThrow('still a Raft peer');
  answer = unknown('timeout');
  await expect(make()()).rejects.toThrow('not known');
  expect(stopped).toBe(0);
});

test('and stops once Raft lists it no more', async () => {
  answer = { kind: 'ok', value: [server('10.0.0.11:8300')] };
  await make()();
  expect(stopped).toBe(1);
});

test('or once its token is refused for a while, but not at the first refusal', async () => {
  const stop = make();
  answer = unknown('denied');
  await expect(stop()).rejects.toThrow();
  now = 4999;
  await expect(stop()).rejects.toThrow();
  answer = unknown('timeout');
  await expect(stop()).rejects.toThrow();
  answer = unknown('denied');
  now = 6000;
  await expect(stop()).rejects.toThrow();
  now = 11_000;
  await stop();
  expect(stopped).toBe(1);
});
