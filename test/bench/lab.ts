/**
 * `npm run bench -- --lab`: the numbers on three VMs, with broker, worker, certificates and firewall, written
 * from outside. The same table as without it, beside what the peers did on the same VMs.
 *
 * --runs N (5), --rest SECONDS (30), --only
 * switchover,postmaster,unstartable,hung,powercut,cutoff,agent,consul,fast,rest,cli
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { root } from '../demo/setup.ts';
import { say } from '../demo/text.ts';
import { type Cluster, makeCluster } from '../lab/cluster.ts';
import { createLab } from '../lab/lab.ts';
import { missing } from '../lab/probe.ts';
import { account } from '../lab/steps.ts';
import { LAB_EVENTS } from './lab_events.ts';
import { labAtRest, labLatencies } from './lab_rest.ts';
import type { AtRest } from './measure.ts';
import { type Results, report } from './report.ts';
import type { Series } from './series.ts';

const progress = (line: string) => process.stderr.write(`  ${line}\n`);

export interface LabBench {
  readonly runs: number;
  readonly restSeconds: number;
  readonly only: ReadonlySet<string>;
}

interface Load {
  series: Series[];
  acknowledged: number;
  lost: number;
  overlaps: number;
}

async function loaded(
  cluster: Cluster,
  names: readonly string[],
  runs: number,
  suffix: string,
): Promise<Load> {
  const ledger = cluster.ledger();
  try {
    const series: Series[] = [];
    for (const name of names) {
      const event = LAB_EVENTS[name];
      if (event === undefined) throw new Error(`no event ${name}`);
      const downtimes: number[] = [];
      for (let run = 1; run <= runs; run++) {
        const downtime = await event(cluster, ledger);
        downtimes.push(downtime);
        progress(`${name}${suffix}, run ${run} of ${runs}: ${(downtime / 1000).toFixed(3)} s`);
        await cluster.settled(180_000);
      }
      series.push({ name: `${name}${suffix}`, downtimes });
    }
    await cluster.settled(120_000);
    const { acknowledged, lost, phantoms, overlaps } = await account(cluster, ledger);
    if (phantoms.length > 0) progress(`${phantoms.length} rows that nobody was told of`);
    return { series, acknowledged, lost: lost.length, overlaps };
  } catch (cause) {
    process.stderr.write(`${await cluster.lastWords(60)}\n`);
    throw cause;
  } finally {
    await ledger.close();
  }
}

async function withCluster<T>(name: string, yaml: string, use: (cluster: Cluster) => Promise<T>): Promise<T> {
  const lab = await createLab({ name, nodes: 3, say: progress });
  try {
    return await use(await makeCluster(lab, { yaml, say: progress }));
  } finally {
    lab.down();
  }
}

export async function labBench({ runs, restSeconds, only }: LabBench): Promise<number> {
  spawnSync('sh', [join(root, 'test/setup.sh'), 'lab'], { stdio: 'inherit' });
  const reasons = await missing();
  if (reasons.length > 0) {
    for (const reason of reasons) process.stderr.write(`the lab cannot run here: ${reason}\n`);
    return 3;
  }
  const loadBefore = loadavg()[0] ?? 0;
  let rest: AtRest[] = [];
  const cli: Record<string, number[]> = {};
  const loads: Load[] = [];
  await withCluster('bench', '', async (cluster) => {
    if (only.has('rest')) rest = await labAtRest(cluster, restSeconds * 1000);
    if (only.has('cli')) cli['agent cluster nodes list'] = await labLatencies(cluster, 20);
    const events = Object.keys(LAB_EVENTS).filter((name) => only.has(name));
    if (events.length > 0) loads.push(await loaded(cluster, events, runs, ''));
  });
  if (only.has('fast')) {
    const fast = (cluster: Cluster) => loaded(cluster, ['powercut'], runs, '-fast');
    loads.push(await withCluster('bench', 'lease: { preset: fast }\n', fast));
  }
  const sum = (of: (load: Load) => number) => loads.reduce((total, load) => total + of(load), 0);
  const results: Results = {
    when: new Date().toISOString(),
    machine: `three VMs on ${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
    loadBefore,
    runs,
    series: loads.flatMap(({ series }) => series),
    rest,
    cli,
    acknowledged: sum((load) => load.acknowledged),
    lost: sum((load) => load.lost),
    overlaps: sum((load) => load.overlaps),
  };
  mkdirSync(join(root, '.bench'), { recursive: true });
  const file = join(root, '.bench', 'lab.json');
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
  say(report(results));
  say(`\n  ${file}`);
  return results.lost + results.overlaps === 0 ? 0 : 1;
}
