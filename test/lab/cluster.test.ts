/**
 * Three managers on VMs, made into a cluster as an operator does it, then everything that can befall the
 * active, under load from outside. One boot; the events follow each other, and one ledger keeps the account
 * of all.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { Ledger } from '../ledger/ledger.ts';
import { type Cluster, makeCluster } from './cluster.ts';
import { createLab, type Lab } from './lab.ts';
import { missing } from './probe.ts';
import { account, cutOffActive, freezeActive, powerCutActive, switchover, underLoad } from './steps.ts';

const reasons = await missing();
const say = (line: string) => console.log(`cluster: ${line}`);

describe.skipIf(reasons.length > 0)('a cluster on VMs', () => {
  let lab: Lab;
  let cluster: Cluster;
  let ledger: Ledger;

  beforeAll(async () => {
    lab = await createLab({ name: 't-cluster', nodes: 3, say });
    cluster = await makeCluster(lab, { say });
    ledger = cluster.ledger();
  }, 420_000);

  afterAll(async () => {
    await ledger?.close();
    lab?.down();
  });

  /** A failed event leaves its reasons in the VMs' journals. */
  const event = (title: string, run: () => Promise<void>, limit = 120_000) =>
    test(
      title,
      async () => {
        try {
          await run();
        } catch (cause) {
          console.log(await cluster.lastWords());
          throw cause;
        } finally {
          // What one event broke is not to fail the next.
          await lab.heal();
          for (const vm of lab.machines) {
            vm.thaw();
            await vm.boot();
          }
        }
      },
      limit,
    );
  const isStandby = async (id: string) =>
    (
      await lab.node(id).must(['psql', '-XtAc', 'SELECT pg_is_in_recovery()'], { user: 'postgres' })
    ).trim() === 't';
  const running = async (id: string, unit: string) =>
    (await lab.node(id).exec(['systemctl', 'is-active', unit])).stdout.trim() === 'active';

  event('the worker of the active does what comes to its broker, and no other worker runs', async () => {
    await cluster.work('first', 20);
    for (const id of ['n2', 'n3']) {
      expect(await running(id, 'mgmtworker.service')).toBe(false);
      expect(await running(id, 'rabbitmq-server.service')).toBe(false);
    }
  });

  event('a switchover moves database, broker and worker to the named manager', async () => {
    const { from, to, downtime } = await switchover(cluster, ledger, 'n2');
    say(`switchover: ${downtime.toFixed(0)} ms`);
    expect([from, to]).toEqual(['n1', 'n2']);
    await cluster.work('second', 20);
    expect(await running('n1', 'mgmtworker.service')).toBe(false);
    expect(await isStandby('n1')).toBe(true);
  });

  event('an active without power is succeeded, and is a standby once it has power again', async () => {
    const { from, to, downtime } = await powerCutActive(cluster, ledger);
    say(`power cut: ${downtime.toFixed(0)} ms`);
    console.log(`downtime: ${(downtime).toFixed(0)} ms`);
    await cluster.work('third', 20);
    await lab.node(from).boot();
    expect(await cluster.settled(90_000)).toBe(to);
    expect(await isStandby(from)).toBe(true);
  });

  event(
    'an active without network is succeeded, and follows its successor once it is reached again',
    async () => {
      const { from, to, downtime } = await cutOffActive(cluster, ledger);
      say(`cut off: ${downtime.toFixed(0)} ms`);
      console.log(`downtime: ${(downtime).toFixed(0)} ms`);
      await lab.heal();
      expect(await cluster.settled(90_000)).toBe(to);
      expect(await isStandby(from)).toBe(true);
    },
  );

  event('an active whose VM is frozen is succeeded, and accepts nothing when it thaws', async () => {
    // Who waited on a VM without power, or behind a cut network, could not be told.
    const untold = (await ledger.hung(0)).map(({ began }) => began);
    const { from, to, downtime } = await freezeActive(cluster, ledger);
    say(`frozen: ${downtime.toFixed(0)} ms`);
    console.log(`downtime: ${(downtime).toFixed(0)} ms`);
    lab.node(from).thaw();
    expect(await cluster.settled(90_000)).toBe(to);
    expect(await isStandby(from)).toBe(true);
    expect((await ledger.hung()).filter(({ began }) => !untold.includes(began))).toEqual([]);
  });

  event('the loss of a standby changes no role', async () => {
    const active = await cluster.settled();
    const standby = lab.machines.find(({ id }) => id !== active);
    const epoch = (await cluster.status())?.epoch;
    const since = await underLoad(ledger, active);
    await standby?.powerCut();
    await Bun.sleep(3000);
    const again = await ledger.acknowledgedAfter(await ledger.mark(), 20_000, active);
    say(`standby lost: ${(await ledger.downtime(since, again)).ms.toFixed(0)} ms`);
    await standby?.boot();
    expect(await cluster.settled(90_000)).toBe(active);
    expect((await cluster.status())?.epoch).toBe(epoch as number);
  });

  event(
    'after all that no acknowledged write is lost, and no two managers ever accepted writes at once',
    async () => {
      // A Consul server that comes back may cost its leader, and the active its lease: then another one is
      // read.
      await cluster.settled(90_000);
      const { acknowledged, lost, phantoms, overlaps } = await account(cluster, ledger);
      expect({ lost, phantoms, overlaps }).toEqual({ lost: [], phantoms: [], overlaps: 0 });
      expect(acknowledged).toBeGreaterThan(100);
    },
  );
});

if (reasons.length > 0) console.log(`!!! the lab cannot run here: ${reasons.join('; ')}`);
