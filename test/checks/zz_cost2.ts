/**
 * Processor time and memory of the check-runner at rest, against real PostgreSQL and Consul:
 * `bun test/checks/cost.ts [SECONDS]`. Prints milliseconds of CPU per second; 1 ms/s is 0.1 % of a core.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createChecks } from '/work/main/agent/checks/create.ts';
import { makeConfig, requireNode } from '/work/main/agent/config.ts';
import { createConsulClient } from '/work/main/agent/consul/client.ts';
import { testLog } from '/work/main/agent/log.ts';
import { sleep } from '/work/main/agent/platform/clock.ts';
import { primaryFacts } from '/work/main/test/checks/build.ts';
import { plainServer } from '/work/main/test/checks/server.ts';
import { startConsul } from '/work/main/test/fixtures/consul.ts';

const seconds = Number(process.argv[2] ?? 30);
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

import { readdirSync } from 'node:fs';

const threads = () =>
  Object.fromEntries(
    readdirSync('/proc/self/task').map((t) => [
      t,
      [
        readFileSync(`/proc/self/task/${t}/comm`, 'utf8').trim(),
        Number(readFileSync(`/proc/self/task/${t}/schedstat`, 'utf8').split(' ')[0]) / 1e6,
      ],
    ]),
  );
async function measure(what: string, ms: number): Promise<void> {
  const bu = used();
  const b = threads() as any;
  await sleep(ms);
  const a = threads();
  const au = used();
  const d = Object.entries(a).map(([t, [c, v]]: any) => [c, ((v - (b[t]?.[1] ?? 0)) / ms) * 1000] as const);
  console.log(
    what.slice(-60),
    'sum',
    d.reduce((s, x) => s + x[1], 0).toFixed(2),
    'pg',
    (((au.postgres - bu.postgres) / ms) * 1000).toFixed(1),
    'consul',
    (((au.consul - bu.consul) / ms) * 1000).toFixed(1),
    d
      .filter((x) => x[1] > 0.01)
      .map(([c, v]) => `${c}:${v.toFixed(2)}`)
      .join(' '),
  );
}
const names = [
  'postgres_port',
  'postgres_select',
  'postgres_following',
  'postgres_write',
  'services',
  'consul',
  'heartbeat',
  'filesync',
  'disk',
  'certificates',
];
const mk = (only: string[]) =>
  requireNode(
    makeConfig({
      node_name: 'cost',
      host_ip: server.target.host,
      paths: { state_dir: dir },
      checks: {
        each: Object.fromEntries(
          names.filter((n) => !only.includes(n)).map((n) => [n, { every: '3600s', ttl: '36000s' }]),
        ),
      },
      postgres: { data_dir: server.dataDir, port: server.target.port, socket_dir: server.target.socketDir },
    } as any),
  );
const log = testLog();
const mkChecks = (only: string[], cat: boolean) =>
  createChecks({
    config: mk(only),
    log: log.for('check-runner'),
    catalog: cat ? createConsulClient({ servers: [consul.url] }).catalog : null,
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
  await sleep(1000);
  for (const [only, cat] of [
    [[], false],
    [['postgres_port', 'postgres_select'], false],
    [names, true],
  ] as any) {
    const checks = mkChecks(only, cat);
    checks.start();
    await sleep(1500);
    await measure(only.join() + ' ' + cat, seconds * 1000);
    checks.stop();
  }
} finally {
  await consul.kill();
  await server.end();
  rmSync(dir, { recursive: true, force: true });
}
process.exit(0);
