/**
 * What the agent's processes cost on the lab's VMs while nothing happens, and how long commands take there.
 */
import type { Cluster } from '../lab/cluster.ts';
import type { AtRest } from './measure.ts';

/**
 * Of each unit's main process: user and system time in ticks, resident and private memory in kB, and its
 * share of what is shared.
 */
const LOOK = `for unit in cloudify-agent cloudify-postgres-helper cloudify-lease; do
  pid=$(systemctl show -p MainPID --value $unit)
  cut -d')' -f2 /proc/$pid/stat | awk '{printf "%d ", $12+$13+$14+$15}'
  awk '/^Rss:/{r=$2} /^Pss:/{p=$2} /^Private_(Clean|Dirty):/{s+=$2} END{print r, p, s}' /proc/$pid/smaps_rollup
done`;
const TICK_MS = 10;

interface Sum {
  cpu: number;
  rss: number;
  pss: number;
  own: number;
}

async function look(cluster: Cluster, id: string): Promise<Sum> {
  const lines = (await cluster.lab.node(id).must(LOOK)).trim().split('\n');
  const rows = lines.map((line) => line.trim().split(/\s+/).map(Number));
  const sum = (at: number) => rows.reduce((total, row) => total + (row[at] ?? 0), 0);
  return { cpu: sum(0) * TICK_MS, rss: sum(1) / 1024, pss: sum(2) / 1024, own: sum(3) / 1024 };
}

/** `memory` counts pages that several of its processes share once (PSS): they run the same executable. */
export async function labAtRest(cluster: Cluster, ms: number): Promise<AtRest[]> {
  const ids = cluster.lab.machines.map(({ id }) => id);
  await cluster.settled();
  const before = await Promise.all(ids.map((id) => look(cluster, id)));
  const began = performance.now();
  await new Promise((resolve) => setTimeout(resolve, ms));
  const elapsed = performance.now() - began;
  const after = await Promise.all(ids.map((id) => look(cluster, id)));
  return ids.flatMap((node, index) => {
    const [was, is] = [before[index], after[index]];
    if (was === undefined || is === undefined) return [];
    return [{ node, cpu: ((is.cpu - was.cpu) / elapsed) * 100, memory: is.pss, own: is.own, processes: 3 }];
  });
}

/** Milliseconds of `agent cluster nodes list` as a user of the VM sees them, without the way into the VM. */
export async function labLatencies(cluster: Cluster, runs: number): Promise<number[]> {
  const [first] = cluster.lab.machines;
  if (first === undefined) return [];
  const times = `for i in $(seq ${runs}); do s=$(date +%s%N); /opt/cloudify/agent cluster nodes list >/dev/null; e=$(date +%s%N); echo $(((e-s)/1000)); done`;
  const text = await first.must(times, { timeout: 60_000 });
  return text
    .trim()
    .split('\n')
    .map((line) => Number(line) / 1000);
}
