/**
 * What the benchmark does to the lab's VMs. Each leaves a settled cluster behind and gives the downtime in
 * ms.
 */
import type { Cluster } from '../lab/cluster.ts';
import { until } from '../lab/host.ts';
import { cutOffActive, lose, powerCutActive, switchover, underLoad } from '../lab/steps.ts';
import type { Ledger } from '../ledger/ledger.ts';

type Event = (cluster: Cluster, ledger: Ledger) => Promise<number>;

const SETTLED = 120_000;

const other = (cluster: Cluster, than: string): string =>
  cluster.lab.machines.map(({ id }) => id).find((id) => id !== than) ?? than;

/** Something that must not change who is active: its downtime, and an error when it did. */
async function unmoved(cluster: Cluster, ledger: Ledger, run: (active: string) => Promise<void>) {
  const active = await cluster.settled(SETTLED);
  const epoch = (await cluster.status())?.epoch;
  const since = await underLoad(ledger, active);
  await run(active);
  const again = await ledger.acknowledgedAfter(await ledger.mark(), 30_000, active);
  const { ms } = await ledger.downtime(since, again);
  const after = await cluster.status();
  if (after?.epoch !== epoch) throw new Error(`the active changed: epoch ${epoch} to ${after?.epoch}`);
  return ms;
}

const postmasterPid = 'head -n1 /var/lib/postgresql/15/main/postmaster.pid';

export const LAB_EVENTS: Readonly<Record<string, Event>> = {
  async switchover(cluster, ledger) {
    const from = await cluster.settled(SETTLED);
    return (await switchover(cluster, ledger, other(cluster, from))).downtime;
  },

  /** A second death within a minute is a failover by design; a restarted agent has forgotten the first. */
  async postmaster(cluster, ledger) {
    const active = await cluster.settled(SETTLED);
    await cluster.lab.node(active).must('systemctl restart cloudify-agent');
    return unmoved(cluster, ledger, async (id) => {
      await cluster.lab.node(id).must(`kill -9 $(${postmasterPid})`);
    });
  },

  /** The server's executable is gone: it is given up after primary_start_timeout, 5 s. */
  async unstartable(cluster, ledger) {
    const binary = '/usr/lib/postgresql/15/bin/postgres';
    const change = await lose(cluster, ledger, async (id) => {
      await cluster.lab.node(id).must(`pid=$(${postmasterPid}); mv ${binary} ${binary}.away; kill -9 $pid`);
    });
    await cluster.lab.node(change.from).must(`mv ${binary}.away ${binary}`);
    return change.downtime;
  },

  /** Stopped, not dead: connections hang. Two failures of a check count. */
  async hung(cluster, ledger) {
    let stopped = '';
    const change = await lose(cluster, ledger, async (id) => {
      stopped = (await cluster.lab.node(id).must(postmasterPid)).trim();
      await cluster.lab.node(id).must(`pkill -STOP -u postgres -x postgres`);
    });
    await cluster.lab.node(change.from).exec(`kill -CONT ${stopped}`);
    return change.downtime;
  },

  async powercut(cluster, ledger) {
    const change = await powerCutActive(cluster, ledger);
    await cluster.lab.node(change.from).boot();
    return change.downtime;
  },

  async cutoff(cluster, ledger) {
    const change = await cutOffActive(cluster, ledger);
    await cluster.lab.heal();
    return change.downtime;
  },

  agent: (cluster, ledger) =>
    unmoved(cluster, ledger, async (id) => {
      await cluster.lab.node(id).must('systemctl restart cloudify-agent');
    }),

  consul: (cluster, ledger) =>
    unmoved(cluster, ledger, async () => {
      for (const vm of cluster.lab.machines) {
        await vm.must('systemctl restart cloudify-consul');
        await until(`Consul on ${vm.id} is well`, 30_000, async () => {
          const nodes = (await cluster.status())?.nodes ?? [];
          return nodes.length > 0 && nodes.every(({ checks }) => checks.consul);
        });
      }
    }),
};
