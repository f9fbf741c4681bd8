/**
 * Processor time and memory of the check-runner at rest, against real PostgreSQL and Consul:
 * `bun test/checks/cost.ts [SECONDS [WARM-UP SECONDS]]`. Prints milliseconds of CPU per second; 1 ms/s is 0.1
 * % of a core. Compiling the code costs about 1 ms/s in the first minute.
 */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createChecks } from '../../agent/checks/create.ts';
import { makeConfig, requireNode } from '../../agent/config/index.ts';
import { createConsulClient } from '../../agent/consul/client.ts';
import { sleep } from '../../agent/platform/clock.ts';
import { startConsul } from '../fixtures/consul.ts';
import { testLog } from '../fixtures/log.ts';
import { primaryFacts } from './build.ts';
import { plainServer } from './server.ts';

const seconds = Number(process.argv[2] ?? 30);
const warmUp = Number(process.argv[3] ?? 60);
const dir = mkdtempSync(join(tmpdir(), 'agent-cost-'));
const server = await plainServer('127.0.0.71');
await server.start();
const consul = await startConsul({ ip: '127.0.0.73', dir, nodeName: 'cost', bootstrap: true });

/** User and system time of a process and its ended children, ms. */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return [11, 12, 13, 14].reduce((sum, field) => sum + Number(fields[field]) * 10, 0);
}
const used = () => ({ agent: process.cpuUsage(), postgres: cpuOf(server.pid()), consul: cpuOf(consul.pid) });

async function measure(what: string, ms: number): Promise<void> {
  const before = used();
  await sleep(ms);
  const after = used();
  const own = (after.agent.user - before.agent.user + after.agent.system - before.agent.system) / 1000;
  const perSecond = (value: number) => ((value / ms) * 1000).toFixed(2);
  console.log(
    `${what}: agent ${perSecond(own)} ms/s, postgres ${perSecond(after.postgres - before.postgres)} ms/s, consul ${perSecond(after.consul - before.consul)} ms/s`,
  );
}

const config = requireNode(
  makeConfig({
    node_name: 'cost',
    host_ip: server.target.host,
    paths: { state_dir: dir },
    postgres: { data_dir: server.dataDir, port: server.target.port, socket_dir: server.target.socketDir },
  }),
);
const log = testLog();
const checks = createChecks({
  config,
  log: log.for('check-runner'),
  catalog: createConsulClient({ servers: [consul.url] }).catalog,
  readers: {
    role: () => 'active',
    pgFacts: () => ({ facts: primaryFacts, at: performance.now() }),
    activeHost: () => null,
    fence: () => 'open',
    services: () => ({ running: ['worker'], missing: [], missingAlways: [] }),
    lastBeat: () => performance.now(),
  },
});
try {
  await sleep(2000);
  await measure('without checks', 5000);
  checks.start();
  await sleep(warmUp * 1000);
  await measure('with checks   ', seconds * 1000);
  console.log(`resident: ${Math.round(process.memoryUsage().rss / 1e6)} MB`);
  console.log(checks.summary().all, log.messages());
} finally {
  checks.stop();
  await consul.kill();
  await server.end();
  rmSync(dir, { recursive: true, force: true });
}
process.exit(0);
