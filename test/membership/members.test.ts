/**
 * The active's side of a manager that comes or goes: interrupted at each call, refused, and two things at
 * once.
 */
import { describe, expect, test } from 'bun:test';
import type { NodeRecord } from '../../agent/core/records.ts';
import { ActiveWorld, request } from './active.ts';
import { MISHAPS } from './outside.ts';

type Acting = ReturnType<ActiveWorld['agent']>;
type Story = {
  stage(world: ActiveWorld): void;
  /** Again and again the same command, or what goes on by itself. */
  run(agent: Acting): Promise<unknown>;
};

const stories: Record<string, Story> = {
  'an admission': { stage: () => {}, run: (agent) => agent.admit(request('m4')) },
  'an enrolment': { stage: (world) => world.reserve('m4'), run: (agent) => agent.enrol('m4') },
  'the removal of a node': { stage: () => {}, run: (agent) => agent.remove('c') },
  'the removal of a reservation': {
    stage: (world) => world.reserve('m4'),
    // A command that finds no such name says so; what it began is gone on with by the active.
    run: async (agent) => {
      const known = await agent.members.mayRemove('m4').then(
        () => true,
        (thrown) => thrown.code !== 'not_found',
      );
      return known ? await agent.remove('m4') : await agent.sweep();
    },
  },
  'the sweep of what has ended': {
    stage: (world) => {
      world.reserve('m4', { ended: true });
      world.reserve('m5', { ended: true });
      world.reserve('m6');
    },
    run: (agent) => agent.sweep(),
  },
};

const seen = (world: ActiveWorld) => ({
  ...{ keys: world.keys(), raft: world.raft().sort(), slots: [...world.slots].sort(), lost: world.lost },
  m4: (world.store.get<NodeRecord>('nodes/m4') ?? world.store.get<{ node: NodeRecord }>('joining/m4'))?.value,
  removed: world.store.get<{ hostIp: string }>('removed/c')?.value.hostIp,
});
/** Without the time of a reservation, which is another at each try. */
const timeless = (state: ReturnType<typeof seen>) =>
  JSON.parse(JSON.stringify(state, (key, value) => (key === 'at' ? '' : value)));

async function whole({ stage, run }: Story) {
  const world = new ActiveWorld();
  stage(world);
  const agent = world.agent();
  const outcome = await run(agent);
  return { state: timeless(seen(world)), calls: agent.outside.calls, outcome };
}

for (const [what, story] of Object.entries(stories))
  describe(what, () => {
    for (const mishap of MISHAPS)
      test(`interrupted at each call, that ${mishap}: ends as if nothing had been`, async () => {
        const { state, calls, outcome } = await whole(story);
        expect(outcome).not.toBeInstanceOf(Error);
        expect(calls.length).toBeGreaterThan(1);
        for (const [call, name] of calls.entries()) {
          const world = new ActiveWorld();
          story.stage(world);
          await story.run(world.agent({ call, mishap }));
          const at = `${call} ${name}`;
          for (let again = 0; again < 2; again++)
            expect({ at, outcome: await story.run(world.agent()) }).not.toMatchObject({
              outcome: expect.any(Error),
            });
          expect({ at, ...timeless(seen(world)) }).toEqual({ at, ...state });
        }
      });
  });

test('what each of them ends with', async () => {
  const { state: removed } = await whole(stories['the removal of a node'] as Story);
  expect(removed).toMatchObject({
    keys: ['nodes/a', 'nodes/b', 'removed/c', 'state/a', 'state/b'],
    ...{ raft: ['a', 'b'], slots: ['b'], removed: '10.0.0.c' },
  });
  const { state: swept } = await whole(stories['the sweep of what has ended'] as Story);
  expect(swept).toMatchObject({ raft: ['a', 'b', 'c', 'm6'], slots: ['b', 'c', 'm6'] });
  expect(swept.keys.filter((key: string) => key.startsWith('joining/'))).toEqual(['joining/m6']);
  const { state: entered } = await whole(stories['an enrolment'] as Story);
  expect(entered.keys).toContain('nodes/m4');
  expect(entered.keys).not.toContain('joining/m4');
});

describe('refused, with nothing changed', () => {
  const cases: [string, (world: ActiveWorld, agent: Acting) => Promise<unknown>, string][] = [
    ['an admission under a name that is taken', (_, agent) => agent.admit(request('b')), 'name_taken'],
    [
      'one from an address that is taken',
      (_, agent) => agent.admit(request('m4', { hostIp: '10.0.0.b' })),
      'address_taken',
    ],
    [
      'one of another version',
      (_, agent) => agent.admit(request('m4', { version: '99.0.0' })),
      'version_mismatch',
    ],
    ['an enrolment of somebody who was not admitted', (_, agent) => agent.enrol('m9'), 'not_admitted'],
    [
      'a word of life for one that has none',
      (_, agent) => agent.members.keep('m9').catch((thrown) => thrown),
      'not_admitted',
    ],
    [
      'the removal of the active',
      (_, agent) => agent.members.mayRemove('a').catch((thrown) => thrown),
      'node_is_active',
    ],
    [
      'the removal of nobody',
      (_, agent) => agent.members.mayRemove('m9').catch((thrown) => thrown),
      'not_found',
    ],
    [
      'options for nobody',
      (_, agent) => agent.members.update('m9', { maintenance: true }).catch((thrown) => thrown),
      'not_found',
    ],
  ];
  for (const [what, ask, code] of cases)
    test(what, async () => {
      const world = new ActiveWorld();
      const agent = world.agent();
      const asked = ask(world, agent);
      const before = seen(world);
      expect(await asked).toMatchObject({ code });
      expect(seen(world)).toEqual(before);
      expect(agent.outside.calls).toEqual([]);
    });

  test('an enrolment whose reservation has ended', async () => {
    const world = new ActiveWorld();
    world.reserve('m9', { ended: true });
    const agent = world.agent();
    const before = seen(world);
    expect(await agent.enrol('m9')).toMatchObject({ code: 'not_admitted' });
    expect([seen(world), agent.outside.calls]).toEqual([before, []]);
  });

  test('everything, on a node that does not hold the lease', async () => {
    const world = new ActiveWorld();
    world.reserve('m4', { ended: true });
    const agent = world.agent();
    agent.lease.state = 'other';
    const before = seen(world);
    for (const asked of [
      ...[agent.admit(request('m5')), agent.enrol('m4'), agent.members.keep('m4').catch((thrown) => thrown)],
      ...[agent.members.mayRemove('b'), agent.members.update('b', {})].map((one) =>
        one.catch((thrown) => thrown),
      ),
    ])
      expect(await asked).toMatchObject({ code: 'not_cluster_master' });
    await agent.sweep();
    expect([seen(world), agent.outside.calls]).toEqual([before, []]);
  });
});

describe('two at once', () => {
  const gate = () => {
    let open = () => {};
    const opened = new Promise<void>((done) => {
      open = done;
    });
    return { open, opened };
  };
  const turns = async (count = 20) => {
    for (let turn = 0; turn < count; turn++) await new Promise((done) => setImmediate(done));
  };

  test('one is enrolled while its reservation comes to its end: the sweep leaves it alone', async () => {
    const world = new ActiveWorld();
    const held = world.reserve('m4');
    const agent = world.agent();
    const { open, opened } = gate();
    world.holdUp.txn = opened;
    const entered = agent.enrol('m4');
    await turns();
    // In the view it has ended by now; the write that makes it a node is on its way.
    (agent.node.view?.joining as Record<string, unknown>).m4 = { ...held, at: '2020-01-01T00:00:00.000Z' };
    const swept = agent.sweep();
    await turns();
    open();
    expect(await entered).toEqual({});
    await swept;
    expect(seen(world)).toMatchObject({ raft: ['a', 'b', 'c', 'm4'], slots: ['b', 'c', 'm4'] });
    expect(world.keys()).toContain('nodes/m4');
    expect(world.keys()).not.toContain('removed/m4');
  });

  test('one whose reservation is being removed is not enrolled, kept alive or admitted meanwhile', async () => {
    const world = new ActiveWorld();
    world.reserve('m4');
    const agent = world.agent();
    const { open, opened } = gate();
    world.holdUp.txn = opened;
    const removed = agent.remove('m4');
    await turns();
    const asked = [
      agent.enrol('m4'),
      agent.members.keep('m4').catch((thrown: unknown) => thrown),
      agent.admit(request('m4')),
    ];
    await turns();
    open();
    expect(await removed).toBeUndefined();
    expect(await Promise.all(asked)).toMatchObject([
      { code: 'not_admitted' },
      { code: 'not_admitted' },
      { code: 'being_removed', class: 'transient' },
    ]);
    expect(world.keys().filter((key) => key.endsWith('m4'))).toEqual([]);
    expect(await agent.admit(request('m4'))).not.toBeInstanceOf(Error);
    expect(world.keys()).toContain('joining/m4');
  });

  test('options that are changed while a node is removed do not bring its record back', async () => {
    const world = new ActiveWorld();
    const agent = world.agent();
    const gates: (() => void)[] = [];
    const held = { txn: true };
    Object.defineProperty(world.holdUp, 'txn', {
      get: () => (held.txn ? new Promise<void>((done) => gates.push(done)) : undefined),
    });
    const removed = agent.remove('c');
    await turns();
    // Marked as leaving; then held up where its record goes.
    gates.shift()?.();
    for (let i = 0; i < 50 && gates.length === 0; i++) await turns();
    const updated = agent.members.update('c', { maintenance: true }).catch((thrown: unknown) => thrown);
    await turns();
    held.txn = false;
    for (const open of gates) open();
    expect(await removed).toBeUndefined();
    expect(await updated).toMatchObject({ code: 'not_found' });
    expect(world.keys()).not.toContain('nodes/c');
  });

  test('of two removals of one manager the second is refused, and nobody of its name is admitted before the first ends', async () => {
    const world = new ActiveWorld();
    world.reserve('m4', { ended: true });
    const agent = world.agent();
    const { open, opened } = gate();
    world.holdUp.removeRaftPeer = opened;
    const swept = agent.sweep();
    await turns();
    expect(await agent.remove('m4')).toMatchObject({ code: 'being_removed' });
    expect(await agent.admit(request('m4'))).toMatchObject({ code: 'being_removed' });
    open();
    expect(await swept).toBeUndefined();
    expect(await agent.admit(request('m4'))).not.toBeInstanceOf(Error);
    expect(world.keys()).toContain('joining/m4');
  });

  test('a reservation that was made anew while the sweep waited for its turn stays', async () => {
    const world = new ActiveWorld();
    world.reserve('m4', { ended: true });
    world.reserve('m5');
    const agent = world.agent();
    const { open, opened } = gate();
    world.holdUp.txn = opened;
    const kept = agent.members.keep('m5');
    await turns();
    const swept = agent.sweep();
    const admitted = agent.admit(request('m4'));
    await turns();
    open();
    world.holdUp = {};
    await kept;
    const answer = await admitted;
    await swept;
    // Whoever was told that it is admitted is, and may go on; otherwise it was told why not.
    if (answer instanceof Error) expect(answer).toMatchObject({ code: 'being_removed' });
    else expect(await agent.members.keep('m4').catch((thrown: unknown) => thrown)).toBeUndefined();
  });

  test('one that cannot be taken away holds up no other, and is tried again', async () => {
    const world = new ActiveWorld();
    world.reserve('m4', { ended: true });
    world.reserve('m5', { ended: true });
    world.stuck = ['id-m4'];
    expect(await world.agent().sweep()).toMatchObject({ code: 'consul_unknown' });
    expect(world.raft()).toEqual(['a', 'b', 'c', 'm4']);
    expect(world.keys().filter((key) => key.includes('m5'))).toEqual([]);
    world.stuck = [];
    await world.agent().sweep();
    expect([world.raft(), [...world.slots].sort()]).toEqual([
      ['a', 'b', 'c'],
      ['b', 'c'],
    ]);
  });
});
