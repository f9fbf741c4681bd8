import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { ClusterStatus, NodeRow } from '../../agent/api/types.ts';
import { EXIT } from '../../agent/errors.ts';
import { postmaster } from '../../cli/dev/agents.ts';
import { agentOn } from '../../cli/dev/cluster.ts';
import { eventually, TestCluster } from './harness.ts';

/** What an operator reads in bad moments, from the command line itself. */

let t: TestCluster;

beforeAll(async () => {
  t = await TestCluster.up({ preset: 'fast' });
}, 180_000);

afterAll(async () => {
  await t?.down();
}, 60_000);

const cli = (name: string, ...args: string[]) =>
  agentOn(t.cluster, t.node(name), ['cluster', ...args], { deadline: 60_000 });
const others = (name: string) => t.nodes.map((node) => node.name).filter((one) => one !== name);
const lastChange = async (name: string) => (await cli(name, 'history')).stdout.trimEnd().split('\n').at(-1);

test('history says by whom a switchover was asked for', async () => {
  const from = await t.settled();
  const [to = ''] = others(from);
  // A target whose checks fail still, just after its start, is refused.
  expect(await t.healthy(60_000)).toBe(true);
  const done = await cli(from, 'set-active', to);
  expect(done).toMatchObject({ code: EXIT.done });
  expect(await lastChange(from)).toMatch(
    new RegExp(`switchover +${to} .* switchover to ${to} requested by a local user on ${from}$`),
  );
}, 120_000);

test('a switchover that waits says for what, while it does and when the time is over', async () => {
  const from = await t.settled();
  const [to = ''] = others(from);
  // A target whose checks fail still, just after its start, is refused.
  expect(await t.healthy(60_000)).toBe(true);
  await t.sql(to, 'SELECT pg_wal_replay_pause()');
  try {
    await t.sql(
      from,
      'CREATE TABLE filler AS SELECT repeat(md5(n::text), 30) AS text FROM generate_series(1, 60000) n',
    );
    const waited = await cli(from, 'set-active', to, '--timeout', '6');
    expect(waited.stderr).toMatch(new RegExp(`^waiting +${to}: it is \\d+ bytes behind`, 'm'));
    // Whichever is first: the end of the wait here, or the active's refusal of a request whose time is over.
    expect([EXIT.still_going, EXIT.failed]).toContain(waited.code as 1 | 5);
    const [first] = waited.stderr.split('\n').filter((line) => line.startsWith('agent cluster set-active: '));
    expect(first).toMatch(/(still going; it waits: \S+|the request expired): it is \d+ bytes behind$/);
  } finally {
    await t.sql(to, 'SELECT pg_wal_replay_resume()');
  }
}, 180_000);

/**
 * The one start in place that it gets. Null: the role went on by itself meanwhile, as on a slow machine it
 * may.
 */
async function startedInPlace(from: string): Promise<string | null> {
  const first = t.postmasterPid(from);
  t.killPostmaster(from);
  await eventually('a start in place', 60_000, () => {
    const server = postmaster(t.node(from));
    return server !== undefined && server.pid !== first;
  });
  return (await t.settled(90_000)) === from ? from : null;
}

test('history says why a lease was released', async () => {
  const from = await eventually('a server started in place', 180_000, async () =>
    startedInPlace(await t.settled(90_000)),
  );
  const epoch = (await t.status())?.epoch ?? 0;
  t.killPostmaster(from);
  await eventually('another active', 60_000, async () => {
    const seen = await t.status();
    return seen !== undefined && seen.epoch > epoch && seen.active !== null && seen.active !== from;
  });
  const to = await t.settled(90_000);
  expect(await lastChange(to)).toContain(
    `${from} released the lease: the database died again soon after a start in place`,
  );
}, 480_000);

test('with two of three managers off, nothing is said to be well', async () => {
  const left = await t.settled();
  const gone = others(left).sort();
  for (const name of gone) await t.killManager(name);
  // The kernel of decisions first: its database has been stopped, and gossip has noticed.
  const said = await eventually('no quorum in the status', 90_000, async () => {
    const status = await cli(left, 'status');
    return /^NO QUORUM: no manager can be active/.test(status.stdout) && status;
  });
  expect(said.code).toBe(EXIT.failed);
  const lines = said.stdout.split('\n');
  expect(lines[0]).toBe(
    `NO QUORUM: no manager can be active; 1 of 3 alive; bring back ${gone.join(' or ')}, or the network to them`,
  );
  expect(lines[1]).toMatch(/^ {2}Consul last answered at .* ago$/);
  expect(said.stdout).toMatch(new RegExp(`^active +NONE known; the last was ${left}, epoch`, 'm'));

  await eventually('a fenced database in the own row', 60_000, async () => {
    const { stdout } = await cli(left, 'status', '--json');
    const { nodes, outage, quorum } = JSON.parse(stdout) as ClusterStatus;
    expect([outage?.kind, quorum?.lost]).toEqual(['no_quorum', true]);
    const own = nodes.find(({ name }) => name === left) as NodeRow;
    expect(own.master).toBe(false);
    return !own.checks.database && !own.checks.heartbeat;
  });
  const listed = await cli(left, 'nodes', 'list');
  expect(listed.stdout).toStartWith('NO QUORUM: ');
  for (const name of gone) {
    const line = listed.stdout.split('\n').find((one) => one.startsWith(`${name} `));
    expect(line).toMatch(/^\S+ +\S+ +offline( +silent){5} +- +\d.* ago$/);
  }
  expect(listed.stdout).not.toContain('leader');

  // It would come true as soon as one of the others is back.
  const pause = await cli(left, 'pause');
  expect(pause.code).not.toBe(EXIT.done);
  expect(pause.stderr).toContain('Consul does not answer: the request was not made');

  // A restarted agent knows even less, and says so.
  await t.stopAgent(left);
  await t.startAgent(left);
  const again = await eventually('the restarted agent says it too', 60_000, async () => {
    const status = await cli(left, 'status');
    return status.stdout.startsWith('NO QUORUM: ') && status;
  });
  expect(again.stdout).toContain('Consul has not answered since the agent was started');
  expect(again.stdout).toMatch(new RegExp(`^${gone[0]} .*never$`, 'm'));

  for (const name of gone) await t.startAgent(name);
  await t.settled(120_000);
  expect((await t.status())?.paused).toBe(false);
  // Each tells of itself in its own time once it is back.
  await eventually('nobody is silent any more', 60_000, async () => {
    const { code, stdout } = await cli(left, 'status');
    return code === EXIT.done && !stdout.includes('silent');
  });
}, 480_000);
