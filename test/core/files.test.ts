import { describe, expect, test } from 'bun:test';
import { factsOf } from '../../agent/core/facts.ts';
import { renewWith } from '../../agent/core/lease.ts';
import type { FileFacts } from '../../agent/core/ports.ts';
import { fenceDown } from '../../agent/core/procedures/fence_down.ts';
import { followFiles, leadFiles } from '../../agent/core/procedures/files.ts';
import { handover } from '../../agent/core/procedures/handover.ts';
import { filesLacking } from '../../agent/core/target.ts';
import { leaseRecord, type NodeOver, node, pgFacts, primary, requestRecord, stateRecord } from './build.ts';
import { Stage } from './stage.ts';

const services = { running: [], missing: [], missingAlways: [] };
const streams = { name: 'b_b1', state: 'streaming', sent: 1000n, flush: 1000n, replay: 1000n };
const files = (over: Partial<FileFacts> = {}): FileFacts => ({
  state: 'complete',
  needItems: 0,
  needBytes: 0,
  errors: 0,
  mode: 'sendonly',
  ...over,
});
const published = (over: Partial<FileFacts>) => {
  const { mode: _, ...rest } = files(over);
  return stateRecord('b', { files: rest });
};

/** `a`, active, whose files are replicated; `b` is a caught up standby. */
function active(over: NodeOver = {}) {
  const stage = new Stage();
  const pg = primary({ walSenders: [streams] });
  const n = node('a', stage, {
    fence: { state: 'open' },
    db: { facts: pg },
    files: { facts: files() },
    ...over,
  });
  stage.sees(n);
  stage.run(renewWith(n, []));
  stage
    .on('pg.facts', () => pg)
    .on('pg.replication', () => ({ insert: 1000n, timeline: 3, senders: [streams] }))
    .on('peers.state', () => ({ replayed: 1041n, timeline: 3, streaming: false }));
  stage.trace.length = 0;
  const facts = () => factsOf(n, pg, services, { mayWipe: false, mayFollow: true });
  return { stage, n, facts };
}
const failed = () => ({ kind: 'failed', why: 'Syncthing does not answer' });
const story = (stage: Stage) => stage.order(/^txn/, /^pg\.(stop|start)/, /^fence/, /^services/, /^files/);

describe('a switchover', () => {
  test('the files are settled after the services stopped, before the database does', () => {
    const { stage, n } = active();
    expect(stage.run(handover(n, 'b', 'test')).ok).toBe(true);
    expect(story(stage)).toEqual([
      'services.down',
      'files.settle',
      'fence.close',
      'pg.stop',
      'txn next_master',
    ]);
    expect(stage.args('files.settle')[0]).toEqual(['b', n.policy.filesWait]);
  });
  test('files that do not settle cancel it: open again, the database never stopped', () => {
    const { stage, n } = active();
    stage.on('files.settle', failed);
    expect(stage.run(handover(n, 'b', 'test'))).toEqual({
      ok: false,
      why: 'the files of b are not complete: Syncthing does not answer',
    });
    expect(story(stage).filter((s) => s.startsWith('pg'))).toEqual([]);
    expect([n.fence.state, stage.store.lease.holder]).toEqual(['open', 'a']);
  });
  test('clients that could not be shut out cancel it: the server that never stopped is not started', () => {
    const { stage, n } = active();
    stage.on('fence.close', failed);
    expect(stage.run(handover(n, 'b', 'test')).ok).toBe(false);
    expect(story(stage).filter((s) => s.startsWith('pg'))).toEqual([]);
    expect(stage.store.lease.holder).toBe('a');
  });
  test.each(['failing', 'shutdown'] as const)(
    '%s: files that do not settle hold it up briefly only',
    (why) => {
      const { stage, n } = active();
      stage.on('files.settle', failed);
      expect(stage.run(handover(n, 'b', 'test', why)).ok).toBe(true);
      expect(stage.store.lease.holder).toBe('b');
      expect(stage.args('files.settle')[0]?.[1]).toBeLessThanOrEqual(2000);
    },
  );
  test('where no files are replicated nothing is asked', () => {
    const { stage, n } = active({ files: { facts: files({ state: 'off' }) } });
    expect(stage.run(handover(n, 'b', 'test')).ok).toBe(true);
    expect(stage.order(/^files/)).toEqual([]);
  });
});

describe('a request waits for its target', () => {
  const asked = (state: Partial<FileFacts>, own: Partial<FileFacts> = {}) => {
    const a = active({ files: { facts: files(own) } });
    a.stage.store.put('request', requestRecord());
    a.stage.store.put('state/b', published(state));
    a.stage.sees(a.n);
    a.n.main.requestSeen = { id: 'r1', at: a.stage.now };
    return a;
  };
  test.each<[string, Partial<FileFacts>, string | null]>([
    ['complete', {}, null],
    ['off', { state: 'off' }, null],
    ['behind', { state: 'behind', needItems: 3, needBytes: 90 }, 'it lacks 3 files (90 bytes)'],
    ['unknown', { state: 'unknown' }, 'the state of its files is not known'],
  ])('whose files are %s', (_, state, waiting) => {
    expect(asked(state).facts().request).toMatchObject({ waiting, unfit: null });
  });
  test('not where this node replicates none', () => {
    expect(asked({ state: 'unknown' }, { state: 'off' }).facts().request?.waiting).toBeNull();
  });
  test('when this node has what no other can be sent, with the names', () => {
    const a = asked({}, { state: 'behind', errors: 1, unsent: "1 item: 'data/x' (no UTF-8)" });
    const waiting = "it lacks what cannot be sent: 1 item: 'data/x' (no UTF-8)";
    expect(a.facts().request).toMatchObject({ waiting, unfit: null });
  });
  test('no longer than configured: then it is refused with what was waited for', () => {
    const { stage, n, facts } = asked({ state: 'behind', needItems: 3, needBytes: 90 });
    stage.now += n.policy.switchoverWait + 1;
    expect(facts().request?.unfit).toBe('it lacks 3 files (90 bytes)');
  });
  test('that is further behind than configured', () => {
    const { n, facts } = asked({});
    n.policy = { ...n.policy, switchoverLag: 99 };
    const pg = primary({ walSenders: [{ ...streams, replay: 900n }] });
    const seen = factsOf(n, pg, services, { mayWipe: false, mayFollow: true });
    expect(seen.request?.waiting).toBe('it is 100 bytes behind');
    expect(facts().request?.waiting).toBeNull();
  });
});

describe('what the files are told', () => {
  test('lead: once under each epoch, again when they are seen to do something else', () => {
    const { stage, n, facts } = active();
    expect(facts().filesDue).toBe('lead');
    stage.run(leadFiles(n));
    expect(facts().filesDue).toBeNull();
    n.files.facts = files({ mode: 'receiveonly' });
    expect(facts().filesDue).toBe('lead');
    n.files.facts = files();
    n.lease = { ...n.lease, right: { epoch: 6, until: stage.now + 4000 } };
    expect(facts().filesDue).toBe('lead');
  });
  test('follow: once for each active', () => {
    const stage = new Stage();
    const n = node('b', stage, { files: { facts: files({ mode: 'receiveonly' }) } });
    stage.sees(n);
    const due = () => factsOf(n, pgFacts(), services, { mayWipe: false, mayFollow: true }).filesDue;
    expect(due()).toBe('follow');
    stage.run(followFiles(n, 'a'));
    expect(due()).toBeNull();
    stage.store.put('next_master', leaseRecord({ holder: 'c', instance: 'boot-c', epoch: 6 }));
    stage.sees(n);
    expect(due()).toBe('follow');
    stage.store.put('next_master', leaseRecord({ holder: '', instance: '', epoch: 6 }));
    stage.sees(n);
    expect(due()).toBeNull();
  });
  test('what fails is said once, and tried again after longer and longer pauses', () => {
    const { stage, n, facts } = active();
    stage.on('files.lead', failed);
    let tries = 0;
    const until = stage.now + 120_000;
    for (; stage.now < until; stage.now += 250) {
      if (facts().filesDue === null) continue;
      stage.run(leadFiles(n));
      tries += 1;
    }
    expect(tries).toBeGreaterThan(5);
    expect(tries).toBeLessThan(15);
    expect(stage.logs.filter((l) => l.message.startsWith('files'))).toHaveLength(1);
  });
  test('fencing down makes them receive-only last of all, and goes on when that hangs', () => {
    const { stage, n } = active();
    stage.on('files.follow', () => {
      expect(n.fence.running).toBe(0);
      return failed();
    });
    stage.run(fenceDown(n, 'test'));
    expect(stage.trace).toEqual(['fence.close', 'pg.stop', 'services.down', 'files.follow']);
    expect(stage.args('files.follow')[0]?.[0]).toBeNull();
  });
});

test('what is lacking orders candidates: complete, behind by bytes, unknown', () => {
  const order = [{}, { state: 'behind' as const, needBytes: 5 }, { state: 'unknown' as const }];
  expect(order.map((f) => filesLacking(published(f)))).toEqual([0, 5, Number.POSITIVE_INFINITY]);
  expect([filesLacking(undefined), filesLacking(published({ state: 'off' }))]).toEqual([0, 0]);
});
