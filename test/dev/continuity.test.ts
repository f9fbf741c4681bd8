import { afterAll, beforeAll, expect, test } from 'bun:test';
import process from 'node:process';
import { connect } from '../ledger/wire.ts';
import { expectNothingLost, underLoad } from './failover.scenario.ts';
import { eventually, TestCluster } from './harness.ts';

let t: TestCluster;

beforeAll(async () => {
  t = await TestCluster.up();
}, 180_000);

afterAll(async () => {
  await t?.down();
}, 60_000);

test('the agent of the active restarts without touching PostgreSQL or dropping a connection', async () => {
  const ledger = t.ledger();
  const active = await t.settled();
  const connection = await connect(t.address(active), 2000);
  try {
    const { epoch } = (await t.status()) ?? {};
    const server = t.postmasterPid(active);
    const since = await underLoad(ledger);
    await t.stopAgent(active);
    await t.startAgent(active);
    expect(await t.settled()).toBe(active);
    expect((await t.status())?.epoch).toBe(epoch as number);
    expect(t.postmasterPid(active)).toBe(server);
    expect(await connection.query('SELECT 1', 2000)).toEqual({ kind: 'done', rows: [['1']], warnings: [] });
    console.log(`downtime: ${((await ledger.downtime(since, await ledger.mark())).ms).toFixed(0)} ms`);
    await expectNothingLost(ledger, active);
  } finally {
    connection.close();
    await ledger.close();
  }
}, 120_000);

/** Does this server itself know Raft's leader, as one of three peers? */
async function knowsLeader(name: string): Promise<boolean> {
  const ask = async (path: string): Promise<unknown> => {
    const reply = await fetch(`http://${t.node(name).address}:8500/v1/status/${path}`).catch(() => undefined);
    return reply?.ok ? reply.json() : undefined;
  };
  const [leader, peers] = [await ask('leader'), await ask('peers')];
  return typeof leader === 'string' && leader !== '' && Array.isArray(peers) && peers.length === 3;
}

test('each Consul server can be killed and started again without a role change or a gap', async () => {
  const ledger = t.ledger();
  try {
    const active = await t.settled();
    const { epoch } = (await t.status()) ?? {};
    const since = await underLoad(ledger);
    for (const { name } of t.nodes) {
      const [pid] = t.pids(name, 'consul');
      if (pid === undefined) throw new Error(`no Consul runs on ${name}`);
      process.kill(pid, 'SIGKILL');
      await eventually(`another Consul on ${name}`, 30_000, () =>
        t.pids(name, 'consul').some((found) => found !== pid),
      );
      await eventually(`Consul of ${name} back in Raft`, 30_000, () => knowsLeader(name));
      expect(await t.settled()).toBe(active);
    }
    expect((await t.status())?.epoch).toBe(epoch as number);
    console.log(`downtime: ${((await ledger.downtime(since, await ledger.mark())).ms).toFixed(0)} ms`);
    await expectNothingLost(ledger, active);
  } finally {
    await ledger.close();
  }
}, 240_000);

/** Stops every Consul server where it is; gives back how to let them go on. */
function freezeConsul(): () => void {
  const pids = t.nodes.flatMap(({ name }) => t.pids(name, 'consul'));
  expect(pids).toHaveLength(t.nodes.length);
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  return () => {
    for (const pid of pids) process.kill(pid, 'SIGCONT');
  };
}

test('with all of Consul frozen for twice the lease, the active stays, because every member agrees', async () => {
  const ledger = t.ledger();
  try {
    const active = await t.settled();
    const { epoch } = (await t.status()) ?? {};
    const since = await underLoad(ledger);
    const thaw = freezeConsul();
    try {
      await ledger.acknowledgedAfter(since + 12_000, 30_000, active);
    } finally {
      thaw();
    }
    expect(await t.settled()).toBe(active);
    expect((await t.status())?.epoch).toBe(epoch as number);
    console.log(`downtime: ${((await ledger.downtime(since, await ledger.mark())).ms).toFixed(0)} ms`);
    await expectNothingLost(ledger, active);
  } finally {
    await ledger.close();
  }
}, 120_000);

test('with all of Consul and one agent frozen, the active closes, and opens again when they are back', async () => {
  const ledger = t.ledger();
  try {
    const active = await t.settled();
    const silent = t.nodes.map(({ name }) => name).find((name) => name !== active) ?? '';
    await underLoad(ledger);
    const thaw = freezeConsul();
    t.signalAgent(silent, 'SIGSTOP');
    try {
      await eventually(
        `${active} closed`,
        30_000,
        async () => !(await t.api(active).status()).role.startsWith('active'),
      );
      const closed = await ledger.mark();
      const after = (await ledger.attempts()).filter(
        ({ outcome, sent }) => outcome === 'acknowledged' && sent > closed,
      );
      expect(after).toEqual([]);
    } finally {
      thaw();
      t.signalAgent(silent, 'SIGCONT');
    }
    await ledger.acknowledgedAfter(await ledger.mark(), 60_000);
    const again = await t.settled(90_000);
    await expectNothingLost(ledger, again);
  } finally {
    await ledger.close();
  }
}, 180_000);
