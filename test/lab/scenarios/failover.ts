/**
 * `npm run lab -- failover`: three managers become a cluster; the active loses its power; it comes back as a
 * standby.
 */
import process from 'node:process';
import { makeCluster } from '../cluster.ts';
import { createLab } from '../lab.ts';
import { account, powerCutActive, switchover } from '../steps.ts';

const say = (line: string) => console.log(`failover: ${line}`);
const lab = await createLab({ name: 'failover', nodes: 3, say });
try {
  const cluster = await makeCluster(lab, { say });
  const ledger = cluster.ledger();
  await cluster.step('operations done by the worker', () => cluster.work('before', 20));
  const planned = await switchover(cluster, ledger, 'n2');
  say(
    `switchover ${planned.from} -> ${planned.to}: ${planned.downtime.toFixed(0)} ms without an acknowledged write`,
  );
  const change = await powerCutActive(cluster, ledger);
  say(
    `power cut ${change.from} -> ${change.to}: ${change.downtime.toFixed(0)} ms without an acknowledged write`,
  );
  await cluster.step('operations done by the new worker', () => cluster.work('after', 20));
  await lab.node(change.from).boot();
  await cluster.step(`${change.from} is back as a standby`, () => cluster.settled(120_000));
  const told = await account(cluster, ledger);
  say(
    `${told.acknowledged} writes acknowledged, ${told.lost.length} lost, ${told.overlaps} moments with two writable VMs`,
  );
  if (told.lost.length + told.phantoms.length + told.overlaps > 0) process.exitCode = 1;
  await ledger.close();
} finally {
  lab.down();
}
