/**
 * `npm run bench`: the numbers of one machine. Downtime is the longest gap between two acknowledged writes
 * anywhere, with one client per manager writing a row every 20 ms. Prints a table, and writes
 * .bench/results.json.
 *
 * --lab: on three VMs instead (lab.ts). --runs N (5), --rest SECONDS (30), --only
 * switchover,postmaster,manager,manager-fast,rest,cli
 */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { buildExecutable, executable, root } from '../demo/setup.ts';
import { say } from '../demo/text.ts';
import { freeAddress } from '../dev/addresses.ts';
import { TestCluster } from '../dev/harness.ts';
import { type AtRest, atRest, latencies } from './measure.ts';
import { type Results, report } from './report.ts';
import { type EventName, measure, type Series } from './series.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    rest: { type: 'string', default: '30' },
    only: { type: 'string' },
    lab: { type: 'boolean', default: false },
  },
});
const runs = Number(values.runs);
const HERE = 'switchover,postmaster,manager,manager-fast,rest,cli';
const LAB = 'rest,cli,switchover,postmaster,unstartable,hung,powercut,cutoff,agent,consul,fast';
const wanted = new Set((values.only ?? (values.lab ? LAB : HERE)).split(','));
if (values.lab) {
  const { labBench } = await import('./lab.ts');
  process.exit(await labBench({ runs, restSeconds: Number(values.rest), only: wanted }));
}

const progress = (line: string) => process.stderr.write(`  ${line}\n`);

async function withCluster<T>(preset: 'default' | 'fast', use: (t: TestCluster) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), 'agent-bench-'));
  const t = await TestCluster.up({ dir, first: await freeAddress(11), preset, executable });
  try {
    return await use(t);
  } finally {
    await t.down();
  }
}

interface UnderLoad {
  series: Series[];
  lost: number;
  overlaps: number;
  acknowledged: number;
}

async function loaded(t: TestCluster, names: readonly (readonly [string, EventName])[]): Promise<UnderLoad> {
  // At the full pace the clients' own attempts at fenced standbys would take a fifth of this machine's two
  // cores.
  const ledger = t.ledger({ refusedEvery: 100 });
  try {
    const series: Series[] = [];
    for (const [name, event] of names) series.push(await measure(t, ledger, name, event, runs, progress));
    await ledger.stopWriting();
    const balance = await ledger.balance(await t.settled());
    const overlaps = await ledger.overlaps();
    return {
      series,
      lost: balance.lost.length,
      overlaps: overlaps.length,
      acknowledged: balance.acknowledged,
    };
  } finally {
    await ledger.close();
  }
}

const asked = (...names: EventName[]) =>
  names.filter((name) => wanted.has(name)).map((name) => [name, name] as const);

const loadBefore = loadavg()[0] ?? 0;
progress('building');
await buildExecutable();
let rest: AtRest[] = [];
const cli: Record<string, number[]> = {};
const loads: UnderLoad[] = [];

await withCluster('default', async (t) => {
  if (wanted.has('rest')) {
    progress(`at rest for ${values.rest} s`);
    rest = await atRest(t.nodes, Number(values.rest) * 1000);
  }
  if (wanted.has('cli')) {
    const socket = t.node('n1').socket;
    cli['agent --version'] = await latencies([executable, '--version'], 20);
    cli['agent cluster nodes list'] = await latencies(
      [executable, 'cluster', 'nodes', 'list', '--socket', socket],
      20,
    );
  }
  const events = asked('switchover', 'postmaster', 'manager');
  if (events.length > 0) loads.push(await loaded(t, events));
});
if (wanted.has('manager-fast')) {
  loads.push(await withCluster('fast', (t) => loaded(t, [['manager-fast', 'manager']])));
}

const results: Results = {
  when: new Date().toISOString(),
  machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
  loadBefore,
  runs,
  series: loads.flatMap(({ series }) => series),
  rest,
  cli,
  acknowledged: loads.reduce((sum, load) => sum + load.acknowledged, 0),
  lost: loads.reduce((sum, load) => sum + load.lost, 0),
  overlaps: loads.reduce((sum, load) => sum + load.overlaps, 0),
};
mkdirSync(join(root, '.bench'), { recursive: true });
const file = join(root, '.bench', 'results.json');
writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
say(report(results));
say(`\n  ${file}`);
process.exit(results.lost + results.overlaps === 0 ? 0 : 1);
