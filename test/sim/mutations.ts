/**
 * What happens without one of the protocol's sentences. Each entry takes one out; the simulator must then
 * find a broken invariant. The points are those of the protocol's text: B lease, D votes and quorum, E
 * timelines, 6 of the design.
 */
import { edit, type Mutation } from './mutation.ts';
import { branchMutations } from './mutations_branch.ts';
import { foundMutations } from './mutations_found.ts';
import { lateMutations } from './mutations_late.ts';
import { recordMutations } from './mutations_records.ts';
import { replicationMutations } from './mutations_replication.ts';
import { timesMutations } from './mutations_times.ts';

export const mutations: Mutation[] = [
  {
    id: '5 lease inequality',
    what: 'renew_deadline is longer than lease_duration',
    edits: [
      edit(
        'procedures/vote.ts',
        'stillFor(n.lease, n.now()) < renewDeadline',
        'stillFor(n.lease, n.now()) < 4000',
      ),
      edit(
        'lease_times.ts',
        'Math.min(renewDeadline, times.renewDeadline, times.leaseDuration - fencingTime - 1)',
        'renewDeadline + 0 * fencingTime',
      ),
      edit('rule.ts', 'Math.max(f.policy.renewDeadline + 100, f.policy.leaseDuration - 1000)', '5000'),
    ],
    policy: { renewDeadline: 9000, leaseDuration: 6000, retryPeriod: 1000 },
  },
  {
    id: '5 deadline timer',
    what: 'the guard does not fence down when the right ends',
    edits: [
      edit('processes.ts', "yield* fenceDown(n, 'the lease ran out')", "yield* call('time', 'sleep', 1000)"),
      edit('rules/safety.ts', '!holds(f) && !elsewhere(f)', 'false'),
      edit('decide.ts', 'actsActive(f) && !(holds(f) && syncIsOurs(f))', 'false'),
    ],
  },
  {
    id: '5 wait',
    what: 'a challenger does not wait for lease_duration',
    edits: [
      edit('rules/free_lease.ts', 'f.lease.still >= f.policy.leaseDuration', 'true'),
      edit('rules/free_lease.ts', 'waited(f) < patience(f)', 'false'),
    ],
  },
  {
    id: 'B.1',
    what: 'the right is counted from after the reply',
    theme: 'frozen between calls',
    edits: [edit('lease.ts', 'sent + rightOf(n, times)', 'n.now() + rightOf(n, times)')],
  },
  {
    id: 'B.3 unknown',
    what: 'an unknown outcome counts as done',
    edits: [
      edit('lease.ts', "if (result.kind === 'ok') {", "if (result.kind !== 'conflict') {"),
      edit(
        'lease.ts',
        'if (result.index > n.lease.index) accept(n, next, result.index)',
        "if (result.kind === 'ok' && result.index > n.lease.index) accept(n, next, result.index)",
      ),
    ],
  },
  {
    id: 'B.3 settle',
    what: 'any renewal of our own settles an unknown one, whatever its seq',
    edits: [edit('lease.ts', '&& a.seq === b.seq', '')],
  },
  {
    id: 'B.5',
    what: 'no renewal before promote, a writable start and unfence',
    theme: 'frozen between calls',
    edits: [
      edit('lease.ts', "return outcome === 'ok' && remaining(n.lease, n.now()) > worstCase;", 'return true;'),
      edit(
        'lease.ts',
        'const outcome = yield* renewWith(n, []);',
        "const outcome: string = worstCase > 0 ? 'ok' : yield* renewWith(n, []);",
      ),
    ],
  },
  {
    id: 'B.6 sync',
    untested:
      'every change of sync renews the lease as well, so the compare-and-set of the lease fails first',
    what: 'a takeover does not check the index of sync',
    theme: 'late writes',
    edits: [edit('lease.ts', 'syncIndex > 0 ? check : []', '[]')],
  },
  {
    id: 'B.6 txn',
    what: 'the writes of a holder are tied neither to the lease nor to what they change',
    theme: 'late writes',
    edits: [
      edit(
        'procedures/promote.ts',
        "{ verb: 'cas', key: 'sync', value: sync, index: n.view?.sync?.index ?? 0 }",
        "{ verb: 'set', key: 'sync', value: sync }",
      ),
      edit(
        'procedures/sync.ts',
        "[{ verb: 'cas', key: 'sync', value, index: held.index }]",
        "[{ verb: 'set', key: 'sync', value }]",
      ),
      edit(
        'lease.ts',
        'const outcome = yield* write(n, next, ops, true);',
        "if (ops.length > 0) { const r = yield* call('consul', 'txn', ops, n.policy.retryPeriod); if (r.kind !== 'ok') return r.kind === 'unknown' ? 'unknown' : 'refused'; } const outcome = yield* write(n, next, [], true);",
      ),
    ],
  },
  {
    id: 'C deadline',
    what: 'the kernel lease is refreshed for an hour',
    edits: [
      edit(
        'procedures/extend.ts',
        "call('fence', 'extend', right.until, known)",
        "call('fence', 'extend', right.until + 3600000, known)",
      ),
    ],
  },
  ...replicationMutations,
  ...branchMutations,
  ...foundMutations,
  ...recordMutations,
  ...timesMutations,
  ...lateMutations,
  {
    id: '6 fence first',
    what: 'a release stops the database with clients let in',
    edits: [
      edit(
        'procedures/handover.ts',
        "const closed = yield* call('fence', 'close', n.policy.fencingTime);",
        "const closed = { kind: 'done', why: '' } as { kind: string; why: string };",
      ),
    ],
  },
  {
    id: 'G member',
    untested: 'by the time a member may vote, the right that failsafe would extend has run out',
    what: 'a member that has voted against the holder agrees to its failsafe all the same',
    edits: [edit('procedures/failsafe.ts', 'if (!mayFollow(n, record, n.lease.index)) return false;', '')],
  },
  {
    id: 'G all',
    untested: 'asking a member that does not answer takes so long that the right has ended by then',
    what: 'failsafe goes on with a majority of the members, also of such that have voted',
    edits: [
      edit('procedures/failsafe.ts', 'if (!mayFollow(n, record, n.lease.index)) return false;', ''),
      edit(
        'procedures/failsafe.ts',
        'if (!members.every((name) => agreed.includes(name))) return false;',
        'if (agreed.length * 2 < members.length) return false;',
      ),
    ],
  },
];
