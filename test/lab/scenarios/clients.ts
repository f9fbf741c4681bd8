/**
 * `npm run lab -- clients`: no client is left waiting when its VM is no longer the active, however that came;
 * and a restart of all three own units at once, on a busy VM, costs no connection.
 */
import process from 'node:process';
import type { Ledger } from '../../ledger/ledger.ts';
import { type Cluster, makeCluster } from '../cluster.ts';
import { until } from '../host.ts';
import { createLab } from '../lab.ts';
import { account, freezeActive, switchover, underLoad } from '../steps.ts';

const say = (line: string) => console.log(`clients: ${line}`);
const FROZEN = 15_000;
const BUSY = 10;
const OWN_UNITS = 'cloudify-agent.service cloudify-lease.service cloudify-postgres-helper.service';
const bad: string[] = [];

async function noneHung(ledger: Ledger, when: string): Promise<void> {
  const left = await ledger.hung();
  say(`${when}: hung clients: ${left.length === 0 ? 'none' : left.map(({ node }) => node).join(', ')}`);
  if (left.length > 0) bad.push(`${when}: clients hang`);
}

/** A client waits on `node`, which is the active. */
const waiting = (ledger: Ledger, node: string) =>
  until(`a client waits on ${node}`, 30_000, async () =>
    (await ledger.waits()).find((wait) => wait.node === node && wait.ended === null),
  );

/** What the restart ended on `active`: its waiting client, and writes without an answer. */
async function restartAll(cluster: Cluster, ledger: Ledger, active: string): Promise<string[]> {
  const before = await waiting(ledger, active);
  const since = await underLoad(ledger, active);
  await cluster.lab.node(active).must(`systemctl restart ${OWN_UNITS}`, { timeout: 120_000 });
  await until('the active serves', 60_000, async () => (await cluster.status())?.active === active);
  await ledger.acknowledgedAfter(await ledger.mark(), 60_000, active);
  // Whatever ends at a deadline has ended by then.
  await Bun.sleep(6000);
  const again = await ledger.acknowledgedAfter(await ledger.mark(), 60_000, active);
  say(
    `restart of all units under load: ${(await ledger.downtime(since, again)).ms.toFixed(0)} ms without an acknowledged write`,
  );
  const after = (await ledger.waits()).find((wait) => wait.node === active && wait.began === before.began);
  const broken = (await ledger.attempts()).filter(
    ({ node, sent, outcome }) => node === active && sent > since && outcome === 'unknown',
  );
  return [
    ...(after?.ended === null ? [] : ['the waiting client ended']),
    ...broken.map(({ why }) => `a write without an answer: ${why}`),
  ];
}

const lab = await createLab({ name: process.env.LAB_NAME ?? 'clients', nodes: 3, say });
try {
  const cluster = await makeCluster(lab, { say });
  const ledger = cluster.ledger();

  await waiting(ledger, await cluster.settled());
  const change = await freezeActive(cluster, ledger);
  await Bun.sleep(FROZEN);
  lab.node(change.from).thaw();
  await noneHung(ledger, `${change.from} frozen and thawed, ${change.to} took over`);
  await cluster.step(`${change.from} is back as a standby`, () => cluster.settled(120_000));

  await waiting(ledger, change.to);
  const planned = await switchover(cluster, ledger, change.from);
  await noneHung(ledger, `switchover ${planned.from} -> ${planned.to}`);

  const active = await cluster.settled();
  const vm = lab.node(active);
  for (let i = 0; i < BUSY; i++)
    await vm.must(['systemd-run', '-q', `--unit=busy-${i}`, 'sh', '-c', 'while :; do :; done']);
  const busy = await underLoad(ledger, active);
  await Bun.sleep(8000);
  say(
    `busy, and nothing done to it: ${(await ledger.downtime(busy)).ms.toFixed(0)} ms without an acknowledged write`,
  );
  for (let i = 0; i < 3; i++) bad.push(...(await restartAll(cluster, ledger, active)));
  await vm.must("systemctl stop 'busy-*'");

  const told = await account(cluster, ledger);
  say(
    `${told.acknowledged} writes, ${told.lost.length} lost, ${told.overlaps} moments with two writable VMs`,
  );
  if (told.lost.length + told.phantoms.length + told.overlaps > 0) bad.push('the account does not balance');
  await ledger.close();
} catch (thrown) {
  bad.push(String(thrown));
} finally {
  lab.down();
}
say(bad.length === 0 ? 'all as it must be' : bad.join('\n'));
process.exitCode = bad.length === 0 ? 0 : 1;
