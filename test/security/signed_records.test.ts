/**
 * What the authority has not signed counts for nothing, and nothing that it signed counts at another place or
 * time.
 */
import { beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import type { ConsulKv } from '../../agent/consul/port.ts';
import type { NodeRecord } from '../../agent/core/records.ts';
import { type Ca, createCa } from '../../agent/platform/tls/ca.ts';
import { parseToken } from '../../agent/security/join_token.ts';
import { isSignedBy, keysOf, type Statement, signatureOf } from '../../agent/security/signature.ts';
import { isEnrolled } from '../../agent/security/who.ts';
import { FakeConsul } from '../fakes/consul.ts';
import { type Member, member, nodeOf, PREFIX, securityWith, stateOf } from '../fixtures/signed.ts';

let [ca, other]: Ca[] = [];
let kv: ConsulKv;
let one: Member;

const put = async (key: string, value: unknown) => {
  expect((await kv.put(`${PREFIX}${key}`, JSON.stringify(value))).kind).toBe('ok');
};
const get = async (key: string): Promise<Record<string, unknown>> => {
  const found = await kv.get(`${PREFIX}${key}`);
  if (found.kind !== 'ok') throw new Error(`${key}: ${found.kind}`);
  return JSON.parse(found.entry.value);
};
const own = (authority = ca) => {
  if (authority === undefined) throw new Error('no authority');
  return securityWith(authority, [authority.certificate]);
};
const holding = (record: NodeRecord, more: object = {}) => ({
  schema: 1,
  at: new Date().toISOString(),
  lifeMs: 600_000,
  node: record,
  ...more,
});

beforeAll(async () => {
  [ca, other] = [await createCa('one'), await createCa('other')];
});
/** Three members, as a version without signatures has left them; `one` is the active. */
beforeEach(async () => {
  kv = new FakeConsul().client().kv;
  one = member(kv, own());
  for (const [name, host] of [
    ['m1', 11],
    ['m2', 12],
    ['m3', 13],
  ] as const) {
    await put(`nodes/${name}`, nodeOf(name, host));
    await put(`state/${name}`, stateOf(true));
  }
});
const marked = async () => {
  await one.keep();
  await one.view();
  expect(one.records.demanded()).toBe(true);
};

describe('a cluster of the version before', () => {
  test('goes on without signatures while one member does not know them, and is signed in one step then', async () => {
    await put('state/m3', stateOf(false));
    const { token } = await one.tokens().create(60_000, 'ann', 'ab'.repeat(32));
    const id = parseToken(token).id;
    const { signed: _, ...before } = await get(`tokens/${id}`);
    await put(`tokens/${id}`, before);
    await put('joining/m4', holding(nodeOf('m4', 14)));
    await one.keep();
    const mixed = await one.view();
    expect([Object.keys(mixed.nodes), Object.keys(mixed.joining ?? {})]).toEqual([
      ['m1', 'm2', 'm3'],
      ['m4'],
    ]);
    expect([one.records.demanded(), (await get('nodes/m3')).signed, mixed.unreadable]).toEqual([
      false,
      undefined,
      undefined,
    ]);

    await put('state/m3', stateOf(true));
    await marked();
    const view = await one.view();
    expect([Object.keys(view.nodes), Object.keys(view.joining ?? {})]).toEqual([['m1', 'm2', 'm3'], ['m4']]);
    expect(view.unreadable).toBeUndefined();
    await one.tokens().check(parseToken(token));
    // A member that was off sees the same, and nothing more is written.
    const index = (await one.view()).index;
    await one.keep();
    const late = member(kv, own());
    expect(Object.keys((await late.view()).nodes)).toEqual(['m1', 'm2', 'm3']);
    expect([late.records.demanded(), (await late.view()).index]).toEqual([true, index]);
  });

  test('what an older agent writes over a signature counts until signatures are demanded', async () => {
    await put('state/m3', stateOf(false));
    await put('nodes/m2', { ...one.records.sign('nodes', 'm2', nodeOf('m2', 12)), hostIp: '10.0.0.99' });
    expect((await one.view()).nodes.m2?.hostIp).toBe('10.0.0.99');
  });

  test('whom an older active removed is nobody afterwards, though its record had been signed', async () => {
    const record = one.records.sign('nodes', 'm3', nodeOf('m3', 13));
    await put('nodes/m3', record);
    await one.view();
    await kv.delete(`${PREFIX}nodes/m3`);
    await put('removed/m3', { schema: 1, at: '' });
    await marked();
    await kv.delete(`${PREFIX}removed/m3`);
    await put('nodes/m3', record);
    expect(Object.keys((await one.view()).nodes)).toEqual(['m1', 'm2']);
  });

  test('somebody removed while it is signed does not come back', async () => {
    const seen = await one.view();
    await kv.delete(`${PREFIX}nodes/m3`);
    await one.keep(seen);
    expect((await kv.get(`${PREFIX}nodes/m3`)).kind).toBe('absent');
  });
});

describe('without a signature of the authority', () => {
  beforeEach(marked);

  test('a node, a reservation and a join token count for nothing and are named with what to do', async () => {
    await put('nodes/evil', nodeOf('evil', 66));
    await put('joining/worse', holding(nodeOf('worse', 67)));
    await put('nodes/garbage', 'x');
    await put('nodes/constructor', nodeOf('constructor', 68));
    const view = await one.view();
    expect(Object.keys(view.nodes)).toEqual(['m1', 'm2', 'm3']);
    expect([view.joining, isEnrolled(view, 'evil', nodeOf('evil').proof ?? '')]).toEqual([undefined, false]);
    expect(Object.keys(view.unreadable ?? {}).sort()).toEqual([
      'joining/worse',
      'nodes/constructor',
      'nodes/evil',
      'nodes/garbage',
    ]);
    expect(view.unreadable?.['nodes/evil']).toMatch(/not signed by the cluster's authority.*delete it/);

    const foreign = member(kv, undefined);
    const { token, row } = await foreign.tokens().create(60_000, 'eve', 'ab'.repeat(32));
    await expect(one.tokens().check(parseToken(token))).rejects.toMatchObject({ code: 'token_invalid' });
    await expect(
      one.tokens().use(parseToken(token), { node: 'e', hostIp: '10.0.0.66', key: 'k' }),
    ).rejects.toMatchObject({ code: 'token_invalid' });
    expect(await one.tokens().list()).toMatchObject([{ id: row.id, state: 'unsigned' }]);
    expect(await one.tokens().revoke(row.id)).toBe(true);
  });

  test('the active signs none of it, and what it was signed for is not what it says after a change', async () => {
    await put('nodes/evil', nodeOf('evil', 66));
    await put('nodes/m2', { ...(await get('nodes/m2')), hostIp: '10.0.0.66' });
    await one.keep();
    await one.keep();
    const view = await one.view();
    expect([view.nodes.evil, view.nodes.m2?.hostIp]).toEqual([undefined, '10.0.0.12']);
    expect(view.unreadable?.['nodes/m2']).toMatch(/signed for another record.*its agent writes it again/);
  });

  test.each([
    ['hostIp', '10.0.0.66'],
    ['apiPort', 1],
    ['postgresPort', 1],
    ['proof', 'ee'.repeat(32)],
    ['deviceId', 'EVIL'],
    ['authority', { seal: 'EVIL' }],
    ['leaving', true],
    ['certificate', { name: 'm2.ba9876543210', fingerprint: 'ab'.repeat(32), services: true }],
    ['certificate', { name: 'm2.0123456789ab', fingerprint: 'ab'.repeat(32) }],
  ])('%s of a member is its own: another in its place counts for nothing', async (field, value) => {
    await one.view();
    await put('nodes/m2', { ...(await get('nodes/m2')), [field]: value });
    const view = await one.view();
    expect(view.nodes.m2).toMatchObject(nodeOf('m2', 12));
    expect(Object.keys(view.unreadable ?? {})).toEqual(['nodes/m2']);
  });

  test('what a node tells of itself, and its options, need none', async () => {
    const changed = {
      options: { priority: 1, nofailover: true, maintenance: false },
      version: '9',
      settings: {},
    };
    await put('nodes/m2', { ...(await get('nodes/m2')), ...changed });
    const view = await one.view();
    expect([view.unreadable, view.nodes.m2?.version]).toEqual([undefined, '9']);
  });

  test('a member stays one after a restart: counted, and nobody is let in by what stands there', async () => {
    await put('nodes/m2', { ...nodeOf('m2', 66) });
    const view = await one.restarted().view();
    expect([Object.keys(view.nodes), view.nodes.m2?.hostIp, view.nodes.m2?.proof]).toEqual([
      ['m1', 'm2', 'm3'],
      '',
      undefined,
    ]);
    // An agent that never saw it goes by the list of voters.
    const sync = {
      schema: 1,
      leader: 'm1',
      epoch: 1,
      timeline: 1,
      history: [],
      voters: [{ node: 'm2', clone: 'b1b1b1b1' }],
      k: 1,
    };
    await put('sync', sync);
    expect((await member(kv, own()).view()).nodes.m2?.hostIp).toBe('');
  });
});

describe('signed, but for something else', () => {
  beforeEach(marked);
  const record = nodeOf('m2', 12);

  test('a record under another name, in another folder, of another cluster or authority', async () => {
    const foreign = member(kv, own(), { clusterId: 'c2', demanded: true, members: {} });
    const impostor = member(kv, own(other));
    const wrong: [string, object][] = [
      ['nodes/m4', one.records.sign('nodes', 'm2', { ...record, certificate: undefined })],
      [
        'joining/m5',
        {
          ...holding(record),
          node: { ...record, certificate: undefined },
          signed: (await get('nodes/m2')).signed,
        },
      ],
      ['nodes/m6', foreign.records.sign('nodes', 'm6', nodeOf('m6', 16))],
      ['nodes/m7', impostor.records.sign('nodes', 'm7', nodeOf('m7', 17))],
      ['nodes/m8', { ...nodeOf('m8', 18), signed: { issued: 1, signature: 'AAAA' } }],
      ['nodes/m9', { ...nodeOf('m9', 19), signed: 'yes' }],
    ];
    for (const [key, value] of wrong) await put(key, value);
    const view = await one.view();
    expect(Object.keys(view.unreadable ?? {}).sort()).toEqual(wrong.map(([key]) => key).sort());
    expect([Object.keys(view.nodes), view.joining]).toEqual([['m1', 'm2', 'm3'], undefined]);
  });

  test("a removed member's record put back, its tombstone taken away: nobody, also after a restart", async () => {
    const kept = await get('nodes/m3');
    const reserved = one.records.sign('joining', 'm3', holding(nodeOf('m3', 13)) as never);
    await kv.delete(`${PREFIX}nodes/m3`);
    await put('removed/m3', one.records.sign('removed', 'm3', { schema: 1, at: '' }));
    await one.view();
    await kv.delete(`${PREFIX}removed/m3`);
    for (const value of [kept, 'garbage']) {
      await put('nodes/m3', value);
      await put('joining/m3', reserved);
      for (const at of [one, one.restarted()]) {
        const view = await at.view();
        expect([Object.keys(view.nodes), view.joining]).toEqual([['m1', 'm2'], undefined]);
        expect(Object.keys(view.unreadable ?? {})).toEqual(['joining/m3', 'nodes/m3']);
      }
    }
    // Admitted anew it is somebody else, whose record is newer.
    await put('nodes/m3', one.records.sign('nodes', 'm3', nodeOf('m3', 13)));
    expect(Object.keys((await one.view()).nodes)).toEqual(['m1', 'm2', 'm3']);
  });

  test('a reservation that ended, given more time', async () => {
    const at = new Date(Date.now() - 3_600_000).toISOString();
    const ended = one.records.sign('joining', 'm4', holding(nodeOf('m4', 14), { at }) as never);
    for (const more of [{ at: new Date().toISOString() }, { lifeMs: 9_600_000 }]) {
      await put('joining/m4', { ...ended, ...more });
      expect((await one.view()).joining).toBeUndefined();
    }
    await put('joining/m4', ended);
    expect(Object.keys((await one.view()).joining ?? {})).toEqual(['m4']);
  });

  test('a member removed and written over before it was looked at: it is gone', async () => {
    await one.view();
    await put('removed/m3', one.records.sign('removed', 'm3', { schema: 1, at: '' }));
    await put('nodes/m3', 'garbage');
    expect(Object.keys((await one.view()).nodes)).toEqual(['m1', 'm2']);
  });

  test('whoever signs with a clock that is behind makes a newer one all the same', async () => {
    const behind = member(kv, own(), structuredClone(one.memory), () => 1000);
    await put('nodes/m2', behind.records.sign('nodes', 'm2', nodeOf('m2', 22)));
    const view = await one.view();
    expect([view.unreadable, view.nodes.m2?.hostIp]).toEqual([undefined, '10.0.0.22']);
  });

  test('an unsigned tombstone takes no membership away for ever', async () => {
    await put('removed/m3', { schema: 1, at: '' });
    await one.view();
    await kv.delete(`${PREFIX}removed/m3`);
    expect((await one.restarted().view()).nodes.m3?.hostIp).toBe('10.0.0.13');
  });

  test('an older record of a member put back: it is named, and the newer one stands', async () => {
    const before = await get('nodes/m2');
    await put('nodes/m2', one.records.sign('nodes', 'm2', nodeOf('m2', 22)));
    await one.view();
    await put('nodes/m2', before);
    const view = await one.view();
    expect([view.nodes.m2?.hostIp, view.unreadable?.['nodes/m2']]).toEqual([
      '10.0.0.22',
      expect.stringContaining('put it back'),
    ]);
    expect((await one.restarted().view()).nodes.m2?.hostIp).toBe('');
  });
});

test('each word of a statement is signed', () => {
  const keys = keysOf([ca?.certificate ?? '']);
  const stated = { clusterId: 'c', place: 'nodes', name: 'm1', issued: 5, facts: ['a', null] } as const;
  const { signature } = signatureOf(stated, ca?.key ?? '');
  const wrong = [
    { clusterId: 'd' },
    { place: 'joining' },
    { name: 'm2' },
    { issued: 6 },
    { facts: ['a', 0] },
  ];
  expect(isSignedBy(keys, stated, signature)).toBe(true);
  for (const change of wrong)
    expect(isSignedBy(keys, { ...stated, ...change } as Statement, signature)).toBe(false);
  expect([isSignedBy(keys, stated, '?'), isSignedBy([], stated, signature)]).toEqual([false, false]);
});

describe('the mark', () => {
  test('taken away, nothing counts again: not here, not after a restart; and the active puts it back', async () => {
    await marked();
    await kv.delete(`${PREFIX}signed`);
    await put('nodes/evil', nodeOf('evil', 66));
    for (const at of [one, one.restarted()])
      expect(Object.keys((await at.view()).nodes)).toEqual(['m1', 'm2', 'm3']);
    // Though a member's record is spoiled, and this active was started after that.
    await put('nodes/m2', nodeOf('m2', 66));
    await one.restarted().keep();
    const late = member(kv, own());
    await late.view();
    expect(late.records.demanded()).toBe(true);
  });

  test('that the authority did not sign is none: nobody shuts a mixed cluster out by it', async () => {
    for (const value of [{ schema: 1 }, { schema: 1, signed: { issued: 1, signature: 'AAAA' } }, 7]) {
      await put('signed', value);
      expect(Object.keys((await one.view()).nodes)).toEqual(['m1', 'm2', 'm3']);
    }
    await put('signed', member(kv, own(other)).records.sign('signed', '', {}));
    await put('signed/x', one.records.sign('signed', '', {}));
    await one.view();
    expect(one.records.demanded()).toBe(false);
  });
});

describe('two authorities, while one is renewed', () => {
  test('each counts while it is trusted; the active signs anew with the one that signs now', async () => {
    await marked();
    if (ca === undefined || other === undefined) throw new Error('no authority');
    one.security = securityWith(other, [ca.certificate, other.certificate]);
    expect((await one.view()).unreadable).toBeUndefined();
    await one.keep();
    const after = member(kv, own(other), structuredClone(one.memory));
    const view = await after.view();
    expect([Object.keys(view.nodes), view.unreadable]).toEqual([['m1', 'm2', 'm3'], undefined]);
    const fresh = member(kv, own(other));
    await fresh.view();
    expect(fresh.records.demanded()).toBe(true);
    // What the old one signs later counts for nothing where it is trusted no more.
    await put('nodes/evil', member(kv, own()).records.sign('nodes', 'evil', nodeOf('evil', 66)));
    expect((await after.view()).nodes.evil).toBeUndefined();
  });

  test('a member whose record the old one signed stays one when that ends', async () => {
    await marked();
    one.security = own(other);
    const view = await one.view();
    expect([Object.keys(view.nodes), view.nodes.m2?.hostIp]).toEqual([['m1', 'm2', 'm3'], '']);
  });
});

test('a plain cluster has no signatures and needs none', async () => {
  const plain = member(kv, undefined);
  await plain.keep();
  await put('nodes/m4', nodeOf('m4', 14));
  const view = await plain.view();
  expect([Object.keys(view.nodes), view.unreadable]).toEqual([['m1', 'm2', 'm3', 'm4'], undefined]);
  expect((await kv.get(`${PREFIX}signed`)).kind).toBe('absent');
});
