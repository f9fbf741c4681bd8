/** The two Consuls that the contract suite runs on. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConsulClient } from '../../agent/consul/client.ts';
import type { ConsulCatalog, ConsulKv, ConsulWatch } from '../../agent/consul/port.ts';
import { until } from '../../agent/platform/clock.ts';
import { FakeConsul } from '../fakes/consul.ts';
import { startConsul } from '../fixtures/consul.ts';

export interface Client {
  readonly kv: ConsulKv;
  readonly watch: ConsulWatch;
  readonly catalog: ConsulCatalog;
}

export interface Harness {
  readonly name: string;
  /** Two clients of one cluster with one node. */
  start(): Promise<{ a: Client; b: Client; nodeName: string; stop(): Promise<void> }>;
  /** Asks until it is so, letting time pass in between; false when it never was. */
  eventually(condition: () => boolean | Promise<boolean>): Promise<boolean>;
}

let fakeTime = 0;

const fake: Harness = {
  name: 'the fake',
  async start() {
    const consul = new FakeConsul({ nodes: ['node-1'], now: () => fakeTime });
    return { a: consul.client(), b: consul.client(), nodeName: 'node-1', stop: async () => {} };
  },
  async eventually(condition) {
    for (let turn = 0; turn < 200; turn++) {
      if (await condition()) return true;
      fakeTime += 100;
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    return false;
  },
};

const real: Harness = {
  name: 'Consul',
  async start() {
    const dir = mkdtempSync(join(tmpdir(), 'consul-contract-'));
    const server = await startConsul({ ip: '127.0.0.41', dir, bootstrap: true });
    const stop = async (): Promise<void> => {
      await server.stop();
      rmSync(dir, { recursive: true, force: true });
    };
    const client = (): Client => createConsulClient({ servers: [server.url] });
    return { a: client(), b: client(), nodeName: server.nodeName, stop };
  },
  async eventually(condition) {
    return (await until(condition, { timeout: 45_000 })) === true;
  },
};

export const harnesses: readonly Harness[] = [fake, real];
