/**
 * `npm run demo`: three managers on this machine, each with a real Consul and a real PostgreSQL, through a
 * switchover, a killed postmaster, a killed manager and its return, with writers on every manager all the
 * while. Ends by itself and leaves nothing behind; exits 1 if an acknowledged write was lost or two managers
 * ever accepted writes at once.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { openCluster } from '../../cli/dev/cluster.ts';
import { down } from '../../cli/dev/down.ts';
import { CLIENT } from '../../cli/dev/layout.ts';
import { up } from '../../cli/dev/up.ts';
import { freeAddress } from '../dev/addresses.ts';
import { TestCluster } from '../dev/harness.ts';
import { LEDGER_TABLE } from '../ledger/ledger.ts';
import { buildExecutable, executable } from './setup.ts';
import { Story } from './story.ts';
import { heading, say } from './text.ts';

const ROWS = 20_000;
const preset = process.argv.includes('--fast') ? 'fast' : 'default';
const dir = mkdtempSync(join(tmpdir(), 'agent-demo-'));

async function bringUp(): Promise<TestCluster> {
  heading('1. Build');
  const began = performance.now();
  await buildExecutable();
  say(
    `  dist/agent: one executable, agent and command line in one. ${((performance.now() - began) / 1000).toFixed(1)} s.`,
  );

  heading('2. Three managers become a cluster');
  say('  n1 is a manager with a database of its own. n2 and n3 are empty managers.');
  say('  Each gets a real Consul and a real PostgreSQL, run by its own agent.\n');
  const first = await freeAddress(11);
  const upBegan = performance.now();
  const cluster = await up({ dir, first, preset, executable }, (line) => {
    say(`  ${((performance.now() - upBegan) / 1000).toFixed(1).padStart(5)} s  ${line}`);
  });
  return new TestCluster(cluster);
}

async function fill(t: TestCluster): Promise<void> {
  await t.settled(90_000);
  await t.clientSql(LEDGER_TABLE);
  await t.clientSql(
    'CREATE TABLE executions (id serial PRIMARY KEY, workflow text, created_at timestamptz DEFAULT now())',
  );
  await t.clientSql(`INSERT INTO executions (workflow) SELECT 'install' FROM generate_series(1, ${ROWS})`);
  say(`\n  The database is filled: ${ROWS} executions beside the 500 deployments it had before.`);
}

async function play(): Promise<boolean> {
  const t = await bringUp();
  await fill(t);
  const story = new Story(t);
  try {
    await story.begin();
    await story.switchover();
    await story.postmasterKilled();
    const killed = await story.managerKilled();
    await story.returns(killed);
    return await story.end({ table: 'executions', rows: ROWS });
  } finally {
    await story.close();
  }
}

async function cleanUp(): Promise<void> {
  try {
    await down(openCluster(dir), { purge: true }, () => {});
    say('\nEverything is stopped, and its folder is removed.');
  } catch (cause) {
    say(`\nNot cleaned up: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    await cleanUp();
    process.exit(130);
  });
}

say(`Three managers, one active. Clients (user ${CLIENT.user}) write to all of them, all the time.`);
let good = false;
try {
  good = await play();
} catch (cause) {
  say(`\nThe demo failed: ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`);
} finally {
  await cleanUp();
}
process.exit(good ? 0 : 1);
