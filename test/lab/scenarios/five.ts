/**
 * `npm run lab -- five`: five managers that know each other by IPv6; two of them lose their power at once,
 * the active among them.
 */
import process from 'node:process';
import { makeCluster } from '../cluster.ts';
import { createLab } from '../lab.ts';
import { account, lose } from '../steps.ts';

const say = (line: string) => console.log(`five: ${line}`);
const lab = await createLab({ name: 'five', nodes: 5, say });
try {
  const cluster = await makeCluster(lab, { say, version: 6 });
  const ledger = cluster.ledger();
  await cluster.step('operations done by the worker', () => cluster.work('before', 20));
  const change = await lose(cluster, ledger, async (active) => {
    const other = lab.machines.find(({ id }) => id !== active);
    await Promise.all([lab.node(active).powerCut(), other?.powerCut()]);
  });
  say(`two of five without power, ${change.from} -> ${change.to}: ${change.downtime.toFixed(0)} ms`);
  for (const vm of lab.machines) await vm.boot();
  await cluster.step('all five are back', () => cluster.settled(120_000));
  const told = await account(cluster, ledger);
  say(
    `${told.acknowledged} writes acknowledged, ${told.lost.length} lost, ${told.overlaps} moments with two writable VMs`,
  );
  if (told.lost.length + told.phantoms.length + told.overlaps > 0) process.exitCode = 1;
  await ledger.close();
} finally {
  lab.down();
}
