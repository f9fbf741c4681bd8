import { afterAll, beforeAll, expect, test } from 'bun:test';
import { readdirSync } from 'node:fs';
import {
  divergedWrites,
  expectNothingLost,
  managerKilled,
  postmasterKilled,
  takenOver,
  underLoad,
} from './failover.scenario.ts';
import { eventually, TestCluster } from './harness.ts';

let t: TestCluster;

beforeAll(async () => {
  t = await TestCluster.up({ preset: 'fast' });
}, 180_000);

afterAll(async () => {
  await t?.down();
}, 60_000);

test('a killed postmaster is started again in place, without a role change or a lost write', async () => {
  const ledger = t.ledger();
  try {
    console.log(`downtime: ${(await postmasterKilled(t, ledger)).toFixed(0)} ms`);
    await expectNothingLost(ledger, await t.activeName());
  } finally {
    await ledger.close();
  }
}, 120_000);

test('a postmaster that dies again within a minute is succeeded by another node, and comes back as a standby', async () => {
  const ledger = t.ledger();
  try {
    const from = await t.settled();
    const since = await underLoad(ledger);
    t.killPostmaster(from);
    const { to, downtime } = await takenOver(t, ledger, from, since);
    console.log(`downtime: ${(downtime).toFixed(0)} ms`);
    expect(await t.settled(90_000)).toBe(to);
    expect(await t.sql(from, 'SELECT pg_is_in_recovery()')).toBe('t');
    await expectNothingLost(ledger, to);
  } finally {
    await ledger.close();
  }
}, 120_000);

test('the demo worker follows the active', async () => {
  const active = await t.settled();
  const before = Number(await t.sql(active, `SELECT count(*) FROM work WHERE node = '${active}'`));
  await eventually(`work on ${active}`, 20_000, async () => {
    const now = Number(await t.sql(active, `SELECT count(*) FROM work WHERE node = '${active}'`));
    return now > before + 1;
  });
  for (const { name } of t.nodes.filter((node) => node.name !== active)) {
    const worker = (await t.api(name).status()).services.find((row) => row.name === 'mgmtworker');
    expect(worker).toMatchObject({ state: 'stopped', expected: false });
  }
}, 60_000);

test('a killed agent of the active is succeeded, though its PostgreSQL still runs and takes connections', async () => {
  const ledger = t.ledger();
  try {
    const from = await t.settled();
    const since = await underLoad(ledger);
    t.signalAgent(from, 'SIGKILL');
    const { to, downtime } = await takenOver(t, ledger, from, since);
    console.log(`downtime: ${(downtime).toFixed(0)} ms`);
    expect(t.postmasterPid(from)).toBeGreaterThan(0);
    await t.startAgent(from);
    expect(await t.settled(90_000)).toBe(to);
    expect(await t.sql(from, 'SELECT pg_is_in_recovery()')).toBe('t');
    await expectNothingLost(ledger, to);
  } finally {
    await ledger.close();
  }
}, 180_000);

test('a killed manager is succeeded, and comes back as a standby with its unreplicated writes saved', async () => {
  const ledger = t.ledger();
  try {
    const from = await t.settled();
    const since = await underLoad(ledger);
    await divergedWrites(t, from, 10);
    await t.killManager(from);
    const { to, downtime } = await takenOver(t, ledger, from, since);
    console.log(`downtime: ${(downtime).toFixed(0)} ms`);
    const before = readdirSync(t.node(from).dir).includes('diverged')
      ? readdirSync(t.node(from).divergedDir)
      : [];
    await t.startAgent(from);
    expect(await t.settled(90_000)).toBe(to);
    expect(await t.sql(from, "SELECT count(*) FROM deployments WHERE name LIKE 'lost %'")).toBe('0');
    expect(await t.sql(from, 'SELECT pg_is_in_recovery()')).toBe('t');
    const saved = readdirSync(t.node(from).divergedDir).filter((name) => !before.includes(name));
    expect(saved).toHaveLength(1);
    await expectNothingLost(ledger, to);
  } finally {
    await ledger.close();
  }
}, 180_000);

test('a second failover right after the first ends active again', async () => {
  const ledger = t.ledger();
  try {
    const first = await managerKilled(t, ledger);
    await t.startAgent(first.from);
    await t.settled(90_000);
    const second = await managerKilled(t, ledger);
    expect(second.from).toBe(first.to);
    await t.startAgent(second.from);
    expect(await t.settled(90_000)).toBe(second.to);
    await expectNothingLost(ledger, second.to);
  } finally {
    await ledger.close();
  }
}, 240_000);
