import { afterEach, describe, expect, test } from 'bun:test';
import { enteringOf } from '../../agent/membership/entering.ts';
import type { Parts } from '../../agent/node/parts.ts';
import type { Membership } from '../../agent/state/identity.ts';
import { Manager, SYSTEM } from './manager.ts';

const membership = { entered: true, consulServers: ['10.0.0.2'] } as unknown as Membership;

const MEMBERSHIP: Membership = {
  ...{
    nodeName: 'm2',
    hostIp: '127.0.0.12',
    publicIp: null,
    clusterId: 'c',
    incarnation: 1,
    systemId: SYSTEM,
  },
  ...{ secret: 's', consulServers: ['10.0.0.1', '127.0.0.12'], options: {}, entered: true, removed: false },
};

function bench(reach: () => Promise<void>) {
  const order: string[] = [];
  const parts = {
    config: { consul: { mode: 'systemd' }, host_ip: '10.0.0.1' },
    security: { current: () => undefined },
    reach: () => {
      order.push('members let in');
      return reach();
    },
    consul: { hasData: () => true, start: async () => void order.push('Consul started') },
  } as unknown as Parts;
  const entering = enteringOf({
    core: { run: async () => void order.push('lease renewed') },
    log: { error: () => {}, warn: () => {} },
  } as unknown as Parameters<typeof enteringOf>[0]);
  return { order, resume: () => entering.resume(parts, membership) };
}

test('an agent that comes back begins with what renews its lease, and only then does what takes a while', async () => {
  const { order, resume } = bench(async () => {});
  await resume();
  expect(order).toEqual(['lease renewed', 'members let in', 'Consul started']);
});

test('a call as root that hangs does not hold that up', async () => {
  const { order, resume } = bench(() => new Promise(() => {}));
  void resume();
  await Promise.resolve();
  expect(order[0]).toBe('lease renewed');
});

/** What the next agent finds after a join that came so far. */
describe('a restart after a join that', () => {
  const made: Manager[] = [];
  const stage = (over: { mark?: boolean; wiped?: boolean; member?: object } = {}) => {
    const m = new Manager();
    made.push(m);
    const kept = m.kept();
    if (over.mark) {
      kept.joining.save({
        nodeName: 'm2',
        hostIp: '127.0.0.12',
        systemId: SYSTEM,
        wiped: over.wiped === true,
      });
      Object.assign(m.state, { taken: true, consul: 'data', files: 'set up', doors: ['m1'] });
    }
    if (over.member !== undefined) {
      kept.memberships.save({ ...MEMBERSHIP, ...over.member });
      Object.assign(m.state, { taken: true, database: SYSTEM, consul: 'voter' });
    }
    return m;
  };
  const settled = async (m: Manager) => {
    for (let turn = 0; turn < 500 && m.kept().memberships.load()?.entered === false; turn++)
      await new Promise((done) => setImmediate(done));
  };
  afterEach(() => {
    for (const one of made.splice(0)) one.remove();
  });

  test('never was: nothing is done', async () => {
    const m = stage();
    const agent = m.agent();
    expect(await agent.boot()).toBe('nothing');
    expect(agent.outside.calls).toEqual([]);
  });

  test('was not undone: everything is taken away, but a database of after the copy was wiped', async () => {
    for (const wiped of [false, true]) {
      const m = stage({ mark: true, wiped });
      if (wiped) m.state.database = 'own';
      expect(await m.agent().boot()).toBe('interrupted');
      expect(m.look()).toEqual({ ...stage().look(), database: wiped ? 'own' : null });
      expect(m.wrong).toEqual([]);
    }
  });

  test('was a member already: the mark goes, whatever it says, and nothing is wiped', async () => {
    const m = stage({ mark: true, member: { entered: true } });
    const agent = m.agent();
    expect(await agent.boot()).toBe('member');
    expect(agent.outside.calls).toEqual(['mark.forget', 'core.run', 'consul.start']);
    expect(m.look()).toMatchObject({ mark: false, database: SYSTEM, consul: 'voter' });
    expect(m.cluster.enrolments).toBe(0);
  });

  test('does not know whether it was entered: it runs, asks, and is entered once', async () => {
    const m = stage({ mark: true, member: { entered: false } });
    m.cluster.reserved = true;
    const agent = m.agent();
    expect(await agent.boot()).toBe('member');
    await settled(m);
    expect(agent.outside.calls).toEqual([
      ...['mark.forget', 'core.run', 'consul.start', 'calls.enrol', 'core.entered'],
    ]);
    expect([m.cluster.nodes, m.look().membership]).toEqual([['m2'], { entered: true, systemId: SYSTEM }]);
    const again = m.agent();
    await again.boot();
    expect(again.outside.calls).not.toContain('calls.enrol');
  });

  test('the cluster refuses for good: it is asked once, and nothing is wiped', async () => {
    const m = stage({ member: { entered: false } });
    const agent = m.agent();
    await agent.boot();
    for (let turn = 0; turn < 50; turn++) await new Promise((done) => setImmediate(done));
    expect(agent.outside.calls.filter((name) => name === 'calls.enrol')).toEqual(['calls.enrol']);
    expect([m.wrong, m.state.database, m.look().membership?.entered]).toEqual([[], SYSTEM, false]);
  });

  test('the cluster removed it since: nothing runs, and its data is kept', async () => {
    const m = stage({ mark: true, member: { entered: true, removed: true } });
    const agent = m.agent();
    expect(await agent.boot()).toBe('removed');
    expect(agent.outside.calls).toEqual(['mark.forget']);
    expect(m.state.database).toBe(SYSTEM);
  });

  test('lost its Consul data meanwhile: Consul stays off, and the core runs', async () => {
    const m = stage({ member: { entered: true } });
    m.state.consul = 'none';
    const agent = m.agent();
    await agent.boot();
    expect(agent.outside.calls).toEqual(['mark.forget', 'core.run']);
  });
});
