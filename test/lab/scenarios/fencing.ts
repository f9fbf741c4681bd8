/**
 * `npm run lab -- fencing`: the active's agent is killed and kept down, or frozen: clients are refused before
 * another VM accepts.
 */
import process from 'node:process';
import { makeCluster } from '../cluster.ts';
import { createLab } from '../lab.ts';
import { account, lose } from '../steps.ts';

const say = (line: string) => console.log(`fencing: ${line}`);
const lab = await createLab({ name: process.env.LAB_NAME ?? 'fencing', nodes: 3, say });
const UNIT = 'cloudify-agent.service';
const DROP_IN = `/run/systemd/system/${UNIT}.d`;
const FAULTS = [
  {
    name: 'agent killed and kept down',
    harm: `mkdir -p ${DROP_IN}; printf '[Service]\\nRestart=no\\n' >${DROP_IN}/down.conf; systemctl daemon-reload; systemctl kill -s KILL ${UNIT}`,
    mend: `rm -r ${DROP_IN}; systemctl daemon-reload; systemctl start ${UNIT}`,
  },
  {
    name: 'agent and its watchdog frozen',
    harm: `systemctl kill -s STOP ${UNIT}`,
    mend: `systemctl kill -s CONT ${UNIT}`,
  },
  {
    name: 'agent, lease helper and PostgreSQL helper frozen',
    harm: `systemctl kill -s STOP ${UNIT} cloudify-lease.service cloudify-postgres-helper.service`,
    mend: `systemctl kill -s CONT cloudify-lease.service cloudify-postgres-helper.service ${UNIT}`,
  },
];
try {
  const cluster = await makeCluster(lab, { say });
  const ledger = cluster.ledger();
  for (const { name, harm, mend } of FAULTS) {
    const change = await lose(cluster, ledger, async (active) => {
      await lab.node(active).must(harm);
    });
    say(
      `${name}: ${change.from} -> ${change.to}, ${change.downtime.toFixed(0)} ms without an acknowledged write`,
    );
    // Nobody but systemd's watchdog mends anything up to here: the wait for it is in the time that hung
    // clients have.
    const waiting = await ledger.hung();
    say(
      `${name}: hung clients: ${waiting.length === 0 ? 'none' : waiting.map(({ node }) => node).join(', ')}`,
    );
    if (waiting.length > 0) process.exitCode = 1;
    await lab.node(change.from).exec(mend);
    await cluster.step(`${change.from} is back as a standby`, () => cluster.settled(120_000));
  }
  const left = await ledger.hung();
  say(`hung clients: ${left.length === 0 ? 'none' : left.map(({ node }) => node).join(', ')}`);
  if (left.length > 0) process.exitCode = 1;
  const told = await account(cluster, ledger);
  say(
    `${told.acknowledged} writes, ${told.lost.length} lost, ${told.overlaps} moments with two writable VMs`,
  );
  if (told.lost.length + told.phantoms.length + told.overlaps > 0) process.exitCode = 1;
  await ledger.close();
} catch (thrown) {
  say(String(thrown));
  process.exitCode = 1;
} finally {
  lab.down();
}
