/** The join is interrupted at each call that it makes, in each way, and once more while it is undone. */
import { afterEach, describe, expect, test } from 'bun:test';
import { AgentError } from '../../agent/errors.ts';
import { JOIN, UNDO } from '../../agent/membership/join.ts';
import { createCa } from '../../agent/platform/tls/ca.ts';
import { newSecrets, securityStore } from '../../agent/security/store.ts';
import { Manager, refusal, SYSTEM } from './manager.ts';
import { MISHAPS } from './outside.ts';

const made: Manager[] = [];
const manager = (...options: ConstructorParameters<typeof Manager>): Manager => {
  const one = new Manager(...options);
  made.push(one);
  return one;
};
afterEach(() => {
  for (const one of made.splice(0)) one.remove();
});

/** A join's own certificates are made elsewhere. */
const SECURED = { calls: undefined, request: {}, accept: () => {} };

/** What a join ends with. */
const MEMBER = {
  ...{ taken: true, database: SYSTEM, running: false, adopted: false, consul: 'voter', bootstraps: 0 },
  ...{ files: 'set up', doors: ['m1'], mark: false, secrets: false, durable: 'c' },
  membership: { entered: true, systemId: SYSTEM },
};

/** An agent that begins, and whatever it still has to do in the background. */
async function restart(m: Manager): Promise<void> {
  await m.agent().boot();
  for (let turn = 0; turn < 500 && m.kept().memberships.load()?.entered === false; turn++)
    await new Promise((done) => setImmediate(done));
}

async function callsOfAJoin(): Promise<string[]> {
  const m = manager();
  const agent = m.agent();
  expect(await agent.join()).toBeUndefined();
  return agent.outside.calls;
}

test('each step that leaves something has its undoing, and none is for a step that there is not', () => {
  const names = JOIN.map(({ name }) => name);
  expect([...new Set(UNDO.map(({ of }) => of))].sort()).toEqual(
    names.filter((name) => !['asking to be admitted', 'following the active'].includes(name)).sort(),
  );
});

test('a join goes through its steps in order, and ends as a member', async () => {
  const m = manager();
  const agent = m.agent();
  expect(await agent.join()).toBeUndefined();
  expect(agent.shown).toEqual([
    ...['asking to be admitted', 'taking over the machine', 'copying the database', 'copying the files'],
    ...['joining Consul', 'entering the cluster', 'following the active'],
  ]);
  expect(m.look()).toEqual(MEMBER as never);
  expect([m.cluster, m.wrong]).toEqual([
    { reserved: false, nodes: ['m2'], admissions: 1, enrolments: 1 },
    [],
  ]);
});

describe('interrupted at each call', () => {
  for (const mishap of MISHAPS)
    test(`that ${mishap}: nothing is lost, and the same command ends as if nothing had been`, async () => {
      const calls = await callsOfAJoin();
      expect(calls.length).toBeGreaterThan(15);
      for (const [call, name] of calls.entries()) {
        const m = manager();
        const empty = m.look();
        const first = m.agent({ call, mishap });
        const outcome = await first.join();
        const at = `${call} ${name}`;
        // As it was, or a member that goes on: nothing in between, where the process lives.
        if (!first.outside.dead && outcome instanceof Error && m.look().membership === undefined)
          expect({ at, ...m.look() }).toEqual({ at, ...empty });
        await restart(m);
        if (m.look().membership === undefined) {
          expect({ at, ...m.look() }).toEqual({ at, ...empty });
          expect(await m.agent().join()).toBeUndefined();
        }
        expect({ at, wrong: m.wrong, nodes: m.cluster.nodes }).toEqual({ at, wrong: [], nodes: ['m2'] });
        expect({ at, ...m.look() }).toEqual({ at, ...MEMBER } as never);
      }
    });

  for (const mishap of MISHAPS)
    test(`of its undoing that ${mishap}: the next agent gets to its end`, async () => {
      const whole = manager();
      whole.refuses.enrolment = refusal('not_admitted');
      const agent = whole.agent();
      expect(await agent.join()).toMatchObject({ code: 'not_admitted' });
      const { calls } = agent.outside;
      const from = calls.lastIndexOf('calls.enrol') + 1;
      expect(calls.slice(from)).toEqual([
        ...['core.end', 'membership.forget', 'pg.inspect', 'pg.wipe', 'mark.save', 'consul.leave'],
        ...['consul.wipe', 'files.wipe', 'machine.give', 'mark.forget'],
      ]);
      for (let call = from; call < calls.length; call++) {
        const m = manager();
        const empty = m.look();
        m.refuses.enrolment = refusal('not_admitted');
        await m.agent({ call, mishap }).join();
        const at = `${call} ${calls[call]}`;
        const again = await m.agent().join();
        // What is not undone yet lets nothing new begin.
        if (m.look().mark) expect({ at, again }).toMatchObject({ at, again: { code: 'join_not_undone' } });
        await restart(m);
        // Before its membership is forgotten it may be a member: it asks again, is refused, and nothing of it
        // is wiped.
        if (call < from + 2 && m.look().membership !== undefined)
          expect({ at, ...m.look() }).toMatchObject({ at, database: SYSTEM, consul: 'voter' });
        else expect({ at, ...m.look() }).toEqual({ at, ...empty });
        expect({ at, wrong: m.wrong }).toEqual({ at, wrong: [] });
      }
    });
});

describe('refused', () => {
  const cases: [string, (m: Manager) => void, string][] = [
    ['by the active', (m) => (m.refuses.admission = refusal('name_taken')), 'name_taken'],
    ['by the copy', (m) => (m.refuses.copy = 'no space left'), 'basebackup_failed'],
    ['at its enrolment', (m) => (m.refuses.enrolment = refusal('not_admitted')), 'not_admitted'],
  ];
  for (const [what, refuse, code] of cases)
    test(`${what}: everything is as it was`, async () => {
      const m = manager();
      // Of an earlier cluster: it goes when this one has admitted the manager.
      if (code === 'name_taken') m.state.consul = 'data';
      const empty = m.look();
      refuse(m);
      expect(await m.agent().join()).toMatchObject({ code });
      expect([m.look(), m.wrong, m.cluster.nodes]).toEqual([empty, [], []]);
    });

  test('because there is data: nothing is asked of anybody', async () => {
    const m = manager({ database: 'own' });
    const before = m.look();
    const agent = m.agent();
    expect(await agent.join()).toMatchObject({ code: 'manager_not_empty' });
    expect([m.look(), agent.outside.calls]).toEqual([before, ['pg.inspect']]);
  });

  test('where nobody answers: said after a while, with nothing changed', async () => {
    const m = manager();
    const empty = m.look();
    m.refuses.admission = new AgentError({ class: 'transient', code: 'member_silent', message: 'silent' });
    expect(await m.agent().join()).toMatchObject({ code: 'no_member_answers', class: 'transient' });
    expect(m.look()).toEqual(empty);
  });

  test('where one answers that it cannot be done yet: what it said, with nothing changed', async () => {
    const m = manager();
    const empty = m.look();
    const said = {
      class: 'transient',
      code: 'being_removed',
      message: 'm2 is being removed',
      hint: 'later',
    } as const;
    m.refuses.admission = new AgentError(said);
    expect(await m.agent().join()).toMatchObject(said);
    expect(m.look()).toEqual(empty);
  });
});

describe('whose data it is', () => {
  test('what somebody put where the copy was, after it was wiped, is left alone', async () => {
    const m = manager();
    m.refuses.enrolment = refusal('not_admitted');
    const whole = m.agent();
    await whole.join();
    const call = whole.outside.calls.indexOf('mark.save', whole.outside.calls.indexOf('pg.wipe'));
    const other = manager();
    other.refuses.enrolment = refusal('not_admitted');
    await other.agent({ call, mishap: 'dies after' }).join();
    // As an operator might: a database with the same identity, restored from a backup.
    other.state.database = SYSTEM;
    await restart(other);
    expect([other.state.database, other.look().mark, other.wrong]).toEqual([SYSTEM, false, []]);
  });

  test('a database that is not the copied one is left alone, and the rest is undone', async () => {
    const m = manager();
    const calls = await callsOfAJoin();
    await m.agent({ call: calls.indexOf('pg.setIdentity'), mishap: 'dies before' }).join();
    m.state.database = 'own';
    await restart(m);
    expect(m.look()).toMatchObject({ database: 'own', mark: false, taken: false, consul: 'none' });
    expect(m.wrong).toEqual([]);
  });

  test('a copy that cannot be wiped stays marked: nothing new begins, and the next agent tries again', async () => {
    const m = manager();
    const empty = m.look();
    m.refuses.enrolment = refusal('not_admitted');
    m.unwipable = 'a mount point';
    expect(await m.agent().join()).toMatchObject({ code: 'database_not_wiped' });
    expect(await m.agent().join()).toMatchObject({ code: 'join_not_undone' });
    m.unwipable = undefined;
    await restart(m);
    expect(m.look()).toEqual(empty);
  });
});

test('once the active has entered it, nothing is undone: not even when what came with the answer is not right', async () => {
  const m = manager({ tls: true });
  securityStore(m.config).saveSecrets(newSecrets());
  const { key } = await createCa('another');
  m.enrolled = () => ({ security: { caKey: key, managementToken: 't' } });
  expect(await m.agent().joinWith(SECURED)).toMatchObject({ code: 'admission_wrong' });
  expect([m.wrong, m.state.database, m.cluster.nodes]).toEqual([[], SYSTEM, ['m2']]);
  expect(m.look().membership).toEqual({ entered: false, systemId: SYSTEM });
});

test('an unknown enrolment is asked for until it is known, and is not undone when it never is', async () => {
  const m = manager();
  let asked = 0;
  m.enrolled = () => {
    asked += 1;
    // After the first, which was written, a refusal proves nothing.
    throw asked === 1
      ? new AgentError({ class: 'transient', code: 'member_silent', message: 'no reply' })
      : refusal('forbidden');
  };
  expect(await m.agent().join()).toMatchObject({ code: 'enrolment_unknown', class: 'transient' });
  expect(asked).toBeGreaterThan(100);
  expect([m.wrong, m.state.database]).toEqual([[], SYSTEM]);
});
