/** What the status says when nobody knows: nothing that is not known, and since when it is not. */
import { describe, expect, test } from 'bun:test';
import type { NodeRow } from '../../agent/api/types.ts';
import { grant } from '../../agent/core/lease_times.ts';
import { answerFailsafe } from '../../agent/core/procedures/failsafe.ts';
import { clusterStatusOf } from '../../agent/daemon/cluster_status.ts';
import type { Member } from '../../agent/node/member.ts';
import { nodesTable } from '../../cli/cluster/nodes_table.ts';
import { clusterText } from '../../cli/cluster/status.ts';
import {
  activeFacts,
  facts,
  leaseRecord,
  type NodeOver,
  node,
  requestRecord,
  stateRecord,
  stopped,
} from '../core/build.ts';
import { Stage } from '../core/stage.ts';

const SERVERS = ['a', 'b', 'c'];

/** The cluster of the core's tests as `name` sees it: Consul was heard now, `alive` are seen by gossip. */
function seenBy(name: string, alive: string[] | null = SERVERS, servers = SERVERS) {
  const stage = new Stage();
  const n = node(name, stage);
  const at = n.wall().toISOString();
  for (const one of SERVERS) stage.store.put(`state/${one}`, stateRecord(one, { at }));
  stage.store.put('active', { schema: 1, node: 'a', epoch: 5, hostIp: '10.0.0.a', timeline: 3, since: at });
  stage.sees(n);
  let last: { facts: unknown; decision: unknown } | null = null;
  const members = servers.map((one) => ({
    name: one,
    address: `10.0.0.${one}`,
    status: alive?.includes(one) ? 'alive' : 'failed',
    server: true,
    nodeId: one,
  }));
  const member = {
    node: n,
    consul: {
      catalog: {
        members: async () => (alive === null ? { kind: 'unknown' } : { kind: 'ok', value: members }),
      },
    },
    peers: { lags: async () => ({}) },
    last: () => last,
  } as unknown as Member;
  return {
    stage,
    n,
    member,
    /** What this node's own main last looked at. */
    looked(now: unknown) {
      last = { facts: now, decision: { rule: 1, reason: 'own word' } };
    },
    status: () => clusterStatusOf(member),
  };
}

const row = (nodes: NodeRow[], name: string): NodeRow => nodes.find((one) => one.name === name) as NodeRow;
const cells = (nodes: NodeRow[], name: string): string[] =>
  (
    nodesTable(nodes, false)
      .split('\n')
      .find((line) => line.startsWith(`${name} `)) ?? ''
  )
    .split(/ {2,}/)
    .map((cell) => cell.trim());

describe('two of three managers off', () => {
  const off = () => {
    const seen = seenBy('a', ['a']);
    seen.stage.now += 40_000;
    seen.looked(activeFacts({ lease: { state: 'other', right: 0 }, pg: stopped(), fence: 'closed' }));
    return seen;
  };

  test('nobody is said to be active, and the first line says why and what to do', async () => {
    const status = await off().status();
    expect(status).toMatchObject({
      active: null,
      since: null,
      last_active: { node: 'a', epoch: 5 },
      quorum: { servers: 3, alive: 1, survives: 0, lost: true, missing: ['b', 'c'] },
      outage: { kind: 'no_quorum', silent_for: 40_000, since: '2026-01-01T00:00:01.000Z' },
    });
    const lines = clusterText(status, false).split('\n');
    expect(lines[0]).toBe(
      'NO QUORUM: no manager can be active; 1 of 3 alive; bring back b or c, or the network to them',
    );
    expect(lines[1]).toBe('  Consul last answered at 2026-01-01 00:00:01Z, 40.0 s ago');
    const text = lines.join('\n');
    expect(text).toMatch(/^active +NONE known; the last was a, epoch 5/m);
    expect(text).toMatch(/^consul +1 of 3 servers alive: no quorum$/m);
  });

  test('rows of silent nodes say so in every column, with the age of their last word', async () => {
    const { nodes } = await off().status();
    for (const name of ['b', 'c']) {
      expect(cells(nodes, name)).toEqual([
        ...[name, `10.0.0.${name}`, 'offline', 'silent', 'silent', 'silent', 'silent', 'silent', '-'],
        '40.0 s ago',
      ]);
      expect(row(nodes, name)).toMatchObject({ silent: true, silent_for: 40_000, online: false });
      expect(Object.values(row(nodes, name).checks)).toEqual([false, false, false, false, false]);
    }
  });

  test('the own row is of now: no leader, no database, no heartbeat that anybody hears', async () => {
    const { nodes } = await off().status();
    expect(row(nodes, 'a')).toMatchObject({
      state: 'replica',
      master: false,
      silent: false,
      reason: 'own word',
      checks: { consul: false, database: false, heartbeat: false },
    });
  });

  test('while the right still lasts, its holder is active, and for how long is said', async () => {
    const seen = seenBy('a', ['a']);
    seen.n.lease = grant(seen.n.lease, 5, seen.stage.now + 5000);
    seen.n.policy = { ...seen.n.policy, renewDeadline: 2000 };
    seen.stage.now += 3000;
    seen.looked(activeFacts());
    const status = await seen.status();
    expect(status.active).toBe('a');
    expect(status.outage?.message).toContain('NO QUORUM: a is active for 2.0 s more; 1 of 3 alive');
    seen.stage.now += 2000;
    expect((await seen.status()).outage?.message).toContain('NO QUORUM: no manager can be active');
  });

  test('of five with one alive, two of the others are needed', async () => {
    const seen = seenBy('a', ['a'], ['a', 'b', 'c', 'd', 'e']);
    seen.stage.now += 40_000;
    expect((await seen.status()).outage?.message).toContain('bring back 2 of b, c, d, e');
  });
});

describe('Consul does not answer', () => {
  test('with its servers alive, it is no lost quorum', async () => {
    const seen = seenBy('b');
    seen.stage.now += 40_000;
    const { outage, active, nodes } = await seen.status();
    expect(active).toBeNull();
    expect(outage?.kind).toBe('consul_silent');
    expect(outage?.message).toBe('CONSUL DOES NOT ANSWER b: who is active is not known');
    // Its machine is up, and what it is cannot be heard.
    expect(row(nodes, 'a')).toMatchObject({ state: 'unknown', master: false, silent: true });
  });

  test('a standby that agrees to failsafe names the active that stays', async () => {
    const seen = seenBy('b', ['b']);
    seen.stage.now += 40_000;
    const holder = { holder: 'a', instance: 'boot-a', epoch: 5 };
    expect(answerFailsafe(seen.n, holder)).toBe(true);
    const { active, outage } = await seen.status();
    expect(active).toBe('a');
    expect(outage?.message).toContain('a stays active only while every member agrees (failsafe)');
    seen.stage.now += 40_000;
    expect((await seen.status()).active).toBeNull();
  });

  test('since the start of the agent: members by gossip, who never said anything', async () => {
    const seen = seenBy('a', ['a']);
    Object.assign(seen.n, { view: null, viewAt: Number.NEGATIVE_INFINITY } satisfies NodeOver);
    seen.stage.now += 60_000;
    const status = await seen.status();
    expect(status.outage).toMatchObject({ kind: 'no_quorum', since: null, silent_for: 60_000 });
    expect(cells(status.nodes, 'b').at(-1)).toBe('never');
    expect(clusterText(status, false)).toContain(
      'has not answered since the agent was started, 1 min 0 s ago',
    );
  });

  test('nor does the own server: nothing is counted', async () => {
    const seen = seenBy('a', null);
    seen.stage.now += 40_000;
    expect(await seen.status()).toMatchObject({ quorum: null, outage: { kind: 'consul_silent' } });
  });
});

describe('Consul answers', () => {
  test('there is no outage, and a settled cluster is shown as it is', async () => {
    const seen = seenBy('a');
    seen.looked(activeFacts());
    const { outage, quorum, active, nodes } = await seen.status();
    expect([outage, quorum?.lost, active, row(nodes, 'a').state]).toEqual([null, false, 'a', 'leader']);
    expect(nodesTable(nodes, false)).not.toContain('silent');
  });

  test('late gossip of a dead majority is no outage', async () => {
    const { outage, quorum } = await seenBy('a', ['a']).status();
    expect([outage, quorum?.lost]).toEqual([null, false]);
  });

  test('a node that died is silent as soon as gossip says so, before its heartbeat is old', async () => {
    const { nodes } = await seenBy('b', ['a', 'b']).status();
    expect(row(nodes, 'c')).toMatchObject({ state: 'offline', silent: true, checks: { heartbeat: false } });
  });

  test('an agent whose own Consul is down speaks, and says that', async () => {
    const seen = seenBy('b', ['a', 'b']);
    const checks = { consul: { ok: false, output: 'no answer' } };
    seen.stage.store.put('state/c', stateRecord('c', { checks, at: seen.n.wall().toISOString() }));
    seen.stage.sees(seen.n);
    const { nodes } = await seen.status();
    expect(row(nodes, 'c')).toMatchObject({ silent: false, checks: { consul: false, heartbeat: true } });
  });

  test('a column in which a check warns says so, one in which another fails says that; JSON has ok as before', async () => {
    const seen = seenBy('b', ['a', 'b']);
    const well = { ok: true, output: 'well' };
    const warns = { ok: true, output: 'look at this', warning: true };
    const checks = {
      ...{ consul: well, services: warns, disk: warns },
      ...{ postgres_select: warns, postgres_port: { ok: false, output: 'refused' } },
    };
    const at = seen.n.wall().toISOString();
    seen.stage.store.put('state/a', stateRecord('a', { checks, at }));
    seen.stage.store.put('state/c', stateRecord('c', { checks, at: '2020-01-01T00:00:00.000Z' }));
    seen.stage.sees(seen.n);
    const { nodes } = await seen.status();
    expect(row(nodes, 'a')).toMatchObject({
      checks: { consul: true, services: true, database: false },
      warnings: ['services', 'database'],
    });
    expect(cells(nodes, 'a').slice(3, 6)).toEqual(['OK', 'WARN', 'FAIL']);
    expect(row(nodes, 'b')).not.toHaveProperty('warnings');
    // Of a silent node nothing is known, also not that it warns.
    expect(row(nodes, 'c')).not.toHaveProperty('warnings');
    expect(cells(nodes, 'c').slice(3, 6)).toEqual(['silent', 'silent', 'silent']);
  });

  test('a lease that nobody renews any more, or that was released, makes nobody active', async () => {
    const stale = seenBy('b');
    stale.stage.now += 20_000;
    stale.n.viewAt = stale.stage.now;
    expect((await stale.status()).active).toBeNull();
    const given = seenBy('b');
    given.stage.store.put('next_master', leaseRecord({ holder: '', instance: '', from: 'a' }));
    given.stage.sees(given.n);
    expect((await given.status()).active).toBeNull();
  });
});

describe('a switchover that waits', () => {
  const asked = { id: 'r1', target: 'b', by: 'ann', expired: false, unfit: null };

  test('says for what: on the active from what it looked at last, elsewhere from its word in Consul', async () => {
    const own = seenBy('a');
    own.stage.store.put('request', requestRecord());
    own.stage.sees(own.n);
    own.looked(activeFacts({ request: { ...asked, waiting: 'it lacks 3 files' } }));
    expect((await own.status()).request?.waiting).toBe('b: it lacks 3 files');
    own.n.main.step = 'for its services to stop';
    expect((await own.status()).request?.waiting).toBe('a waits for its services to stop');

    const other = seenBy('c');
    const at = other.n.wall().toISOString();
    const waiting = { id: 'r1', why: 'b: it lacks 3 files' };
    other.stage.store.put('request', requestRecord());
    other.stage.store.put('state/a', stateRecord('a', { at, waiting }));
    other.stage.sees(other.n);
    other.looked(facts());
    const status = await other.status();
    expect(status.request?.waiting).toBe('b: it lacks 3 files');
    expect(clusterText(status, false)).toMatch(/^request +switchover to b, waits: b: it lacks 3 files$/m);
  });

  test('that is of another request says nothing of this one', async () => {
    const other = seenBy('c');
    other.stage.store.put('request', requestRecord({ id: 'r2' }));
    other.stage.store.put('state/a', stateRecord('a', { waiting: { id: 'r1', why: 'old' } }));
    other.stage.sees(other.n);
    expect((await other.status()).request?.waiting).toBeNull();
  });
});

describe('after a takeover', () => {
  test('the former active is silent until it says what it is now: its last word is of before', async () => {
    const seen = seenBy('b');
    const at = seen.n.wall().toISOString();
    seen.stage.store.put('next_master', leaseRecord({ holder: 'b', instance: 'boot-b', epoch: 6 }));
    seen.stage.store.put('active', {
      schema: 1,
      node: 'b',
      epoch: 6,
      hostIp: '10.0.0.b',
      timeline: 4,
      since: at,
    });
    seen.stage.store.put('state/a', stateRecord('a', { role: 'active', at }));
    seen.stage.store.put('state/b', stateRecord('b', { role: 'active', at }));
    seen.stage.sees(seen.n);
    const before = await seen.status();
    expect(before.active).toBe('b');
    expect(row(before.nodes, 'a')).toMatchObject({ silent: true, online: false, master: false });
    seen.stage.store.put('state/a', stateRecord('a', { role: 'standby', at }));
    seen.stage.sees(seen.n);
    expect(row((await seen.status()).nodes, 'a')).toMatchObject({ silent: false, online: true });
  });
});

test('a node that was removed says so', async () => {
  const seen = seenBy('c');
  seen.stage.store.drop('nodes/c');
  seen.stage.store.put('removed/c', { schema: 1, at: '', hostIp: '10.0.0.c' });
  seen.stage.sees(seen.n);
  if (seen.n.view !== null) seen.n.view = { ...seen.n.view, removed: ['c'] };
  const status = await seen.status();
  expect(status.error).toBe('this node was removed from the cluster');
  expect(clusterText(status, false)).toMatch(/^error +this node was removed from the cluster$/m);
});
