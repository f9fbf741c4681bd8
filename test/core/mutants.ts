/**
 * The numbered points of the protocol (docs/lease.md, docs/replication.md), each as the change that takes it
 * out of agent/core. mutants.test.ts makes the change in a copy and expects the named test file to fail.
 */
export type Mutant = { point: string; file: string; from: string; to: string; test: string };

const lease = (point: string, from: string, to: string, test = 'lease'): Mutant => ({
  point,
  file: 'lease.ts',
  from,
  to,
  test,
});
const view = (point: string, from: string, to: string): Mutant => ({
  point,
  file: 'lease_view.ts',
  from,
  to,
  test: 'lease_view',
});
const inProcedure =
  (name: string, test: string) =>
  (point: string, from: string, to: string): Mutant => ({
    point,
    file: `procedures/${name}.ts`,
    from,
    to,
    test,
  });
const vote = inProcedure('vote', 'vote');
const cover = inProcedure('cover', 'sync');
const sync = inProcedure('sync', 'sync');
const promote = inProcedure('promote', 'promote');
const handover = inProcedure('handover', 'handover');
const rejoin = inProcedure('rejoin', 'rejoin');
const counted = inProcedure('vote', 'rejoin');
const opening = inProcedure('opening', 'opening');
const confirmation = inProcedure('confirmation', 'promote');
const election = (point: string, from: string, to: string): Mutant => ({
  point,
  file: 'election.ts',
  from,
  to,
  test: 'election',
});
const guard = (point: string, from: string, to: string): Mutant => ({
  point,
  file: 'processes.ts',
  from,
  to,
  test: 'processes',
});

const times = (point: string, from: string, to: string): Mutant => ({
  point,
  file: 'lease_times.ts',
  from,
  to,
  test: 'lease_times',
});

export const mutants: Mutant[] = [
  lease('B.1 the right counts from before sending', 'sent + rightOf', 'n.now() + rightOf'),
  lease(
    'B.1 giving away ends the own right first',
    'n.lease = { ...n.lease, right: null };\n    const next',
    'const next',
  ),
  view(
    'B.2 another instance is not oneself',
    'lease.record.holder === node && lease.record.instance === instance',
    'lease.record.holder === node',
  ),
  lease(
    'B.3 the attempt is recognised by its seq',
    'a.epoch === b.epoch && a.seq === b.seq',
    'a.epoch === b.epoch',
  ),
  lease('B.3 a restarted agent skips its predecessor’s seqs', 'next.seq + skip(n)', 'next.seq'),
  lease(
    'B.3 unknown gives nothing',
    "if (!(yield* refresh(n))) return 'unknown';",
    "if (!(yield* refresh(n))) return 'ok';",
  ),
  promote(
    'B.5 renewed before promoting',
    'if (!(yield* confirm(n, n.policy.worstCase.promote)))',
    'if (n.lease.right === null)',
  ),
  promote(
    'B.5 renewed before a writable start',
    'if (!(yield* confirm(n, n.policy.worstCase.start)))',
    'if (n.lease.right === null)',
  ),
  lease(
    'B.5 more left than the worst case',
    'remaining(n.lease, n.now()) > worstCase',
    'remaining(n.lease, n.now()) > 0',
  ),
  lease('B.6 a takeover checks sync', 'syncIndex > 0 ? check : []', '[]'),
  lease('B.6 an accepted handover checks sync', 'syncCheck(n), true)', '[], true)'),
  lease(
    'B.6 no write without a right',
    'if (ops.length > 0 && remaining(n.lease, n.now()) <= 0)',
    'if (ops.length < 0)',
  ),
  lease(
    'B.7 a higher incarnation starts afresh',
    'view.cluster.value.incarnation > n.lease.incarnation',
    'view.index < 0',
  ),
  {
    point: 'B.7 a lower incarnation is foreign',
    file: 'facts.ts',
    from: 'if (cluster.incarnation < n.copy.durable.incarnation)',
    to: 'if (cluster.incarnation < 0)',
    test: 'facts',
  },
  times('B.8 no longer than the record says', 'renewDeadline, times.renewDeadline,', 'renewDeadline,'),
  times('B.8 with room for the own fencing', 'times.leaseDuration - fencingTime - 1', 'times.leaseDuration'),
  times('B.8 by the record, not the settings', 'record?.times ??', ''),
  times('B.8 shorter ones in two steps', 'outstanding(n, held) <= sent + renewDeadline', 'sent >= 0'),
  times('B.8 the process before', 'n.lease.firstSeen + held.renewDeadline', 'held.renewDeadline'),
  times(
    'B.8 an older record: the longest known',
    'Math.max(n.policy.leaseDuration, ',
    'Math.min(n.policy.leaseDuration, ',
  ),
  times(
    'B.8 what is not usable is not used',
    "found !== null && 'times' in found ? found.times",
    "found !== null && 'times' in found && 1 > 2 ? found.times",
  ),
  {
    point: 'B.8 a challenger goes by the record',
    file: 'facts.ts',
    from: '...seenTimes(n, record),',
    to: '',
    test: 'lease_times',
  },
  {
    point: 'B.8 failsafe goes by the shortest that may be there',
    file: 'procedures/failsafe.ts',
    from: ', n.lease.unsettledDeadline)',
    to: ')',
    test: 'lease_times',
  },
  vote('D.1 the voter’s own clock', 'stillFor(n.lease, n.now()) < renewDeadline', 'n.now() < 0'),
  vote('D.1 written down first', "yield* call('store', 'save', n.copy.durable);", ''),
  vote(
    'D.1 the cut is seen',
    "if (cut.kind !== 'done') return { kind: 'refused'",
    "if (n.now() < 0) return { kind: 'refused'",
  ),
  vote(
    'D.1 not back to the old holder',
    'return record.epoch === vote.epoch && record.holder === vote.holder && index > vote.index;',
    'return true;',
  ),
  vote(
    'D.1 the same holder only past the index',
    'record.holder === vote.holder && index > vote.index',
    'record.holder === vote.holder',
  ),
  vote('D.2 a settled position', 'at.settled && ', ''),
  election('D.3 enough votes', 'listed.length >= need', 'listed.length >= 1'),
  election('D.3 of listed clones', 'w.node === v.node && w.clone === v.clone', 'w.node === v.node'),
  election('D.3 nobody ahead', 'if (ahead !== undefined &&', 'if (ahead === ballot.own &&'),
  election('D.3 branches before positions', 'if (a.timeline !== b.timeline)', 'if (a.timeline === -1)'),
  election('D.3 a last leader on its own timeline', ' && v.timeline >= sync.timeline', ''),
  election(
    'D.3 voters empty',
    'sync.voters.length > 0 && listed.length >= need',
    'listed.length >= Math.min(need, sync.voters.length)',
  ),
  cover('D.4 flushed up to the goal', '(confirmedBy(s) ?? -1n) >= at', 's.flush !== null'),
  cover('D.4 not of another branch', 'confirmedBy(s) ?? -1n', 's.flush ?? -1n'),
  sync(
    'D.4 not listed from another branch',
    's.name === standbyName(v) ? confirmedBy(s) : null',
    's.name === standbyName(v) ? s.flush : null',
  ),
  cover(
    'D.4 on this timeline',
    'goal !== null && goal.timeline !== seen.timeline',
    'goal !== null && goal.timeline < 0',
  ),
  sync(
    'D.5 add: key, list',
    '(yield* key(next, k)) && (yield* list(next, k));\n      return',
    '(yield* list(next, k)) && (yield* key(next, k));\n      return',
  ),
  sync('D.5 from empty: covered before the key', '(yield* cover(n, next, 1)) && ', ''),
  sync('D.5 remove: covered before the key', '(yield* cover(n, next, k)) && ', ''),
  sync(
    'D.5 to empty: key, list',
    'return (yield* key([], 0)) && (yield* list([], 0));',
    'return (yield* list([], 0)) && (yield* key([], 0));',
  ),
  sync('D.5 raise k: covered before the key', '(yield* cover(n, voters, step.k)) && ', ''),
  sync(
    'D.5 lower k: key, list',
    'return (yield* key(voters, step.k)) && (yield* list(voters, step.k));',
    'return (yield* list(voters, step.k)) && (yield* key(voters, step.k));',
  ),
  sync('D.5 an unknown outcome loosens nothing', "return outcome === 'ok';", "return outcome !== 'lost';"),
  counted('D.5 a voter is not wiped', 'return sync.voters.some(', 'return sync.voters.slice(9).some('),
  counted('D.5 the leader is not wiped', ' || sync.leader === n.name', ''),
  rejoin('D.5 asked again after the stop', 'if (!(yield* refresh(n)) || !mayWipe(n))', 'if (n.now() < 0)'),
  rejoin(
    'D the clone id is durable before the first byte',
    "yield* call('store', 'save', n.copy.durable);\n  const done",
    'const done',
  ),
  promote(
    'D.6 reserved before promoting',
    "if (reserved !== 'ok') return",
    "if (reserved === 'lost') return",
  ),
  confirmation(
    'D.6 covered before `sync`',
    'const have = yield* confirming(n, list, n.policy.openWait);',
    'const have: string[] | null = list.names;',
  ),
  vote(
    'D.6 standbys follow the holder',
    'const upstream = upstreamOf(n, record.holder);',
    'const upstream = upstreamOf(n, n.view?.active?.value.node ?? record.holder);',
  ),
  vote('D.6 only a prefix follows', "if (towards !== 'prefix' ||", 'if ('),
  vote(
    'D.6 cut before it is compared',
    'if (!quiet.includes(facts.upstreamHost))',
    'if (quiet.length === 0)',
  ),
  vote('D.6 an unlisted copy alone follows unread', "isCountedOn(n) ? 'unknown' : 'prefix'", "'prefix'"),
  opening('D.6 lists nobody it has not compared', 'votes.filter((v) => isPrefix(v, own))', 'votes'),
  opening('D.6 handed over by who never opened', ' && sync.epoch === mandate.epoch - 1', ''),
  confirmation(
    'D.6 of those not compared only who confirmed',
    'if (opening.compared) return opening;',
    'if (have === null) return null; if (n.now() > 0) return opening;',
  ),
  election('D.3 a voter with a tail of its own', ' && onBranch(v, sync)', ''),
  election(
    'D.3 not from before the timeline of sync',
    'if (ballot.own.timeline < sync.timeline)',
    'if (need < 0)',
  ),
  promote('D.6 one promotion per mandate', 'useMandate(n.candidacy);', ''),
  promote(
    'D.7 covered before a restarted server opens',
    'if (!(yield* covered(n, list, n.policy.openWait))) {',
    'if (n.lease.right === null) {',
  ),
  handover('D.8 replayed past the checkpoint', 'seen.replayed > checkpoint', 'seen.replayed >= checkpoint'),
  promote('D.8 the target checks it for itself', 'at.replayed > mandate.lsn', 'at.replayed >= mandate.lsn'),
  handover(
    'D.8 clean, or the votes decide',
    'if (!stopped.clean || stopped.checkpoint === null)',
    'if (stopped.checkpoint === undefined)',
  ),
  handover('D.9 without a confirmed stop the lease runs out', 'letRunOut(n.holding);', ''),
  sync('D.9 a renewal after an unknown write', 'if (n.holding.unsettled) {', 'if (n.now() < 0) {'),
  sync('D.9 k is lowered first', 'if (k > next.length)', 'if (k < 0)'),
  sync('D.9 k is lowered as members leave', 'if (k > 0 && k < sync.k)', 'if (k < 0)'),
  sync('D.9 off the list only while the others confirm', 'if (k <= stay.length &&', 'if (k < 0 &&'),
  sync(
    'D.9 a new clone is added before the old one goes',
    'if (!listed(voter) && near(voter))',
    'if (!sync.voters.some((w) => w.node === node) && near(voter))',
  ),
  cover(
    'D.10 counted once',
    'have.length >= list.k',
    'seen.senders.filter((s) => s.flush !== null && s.flush >= at).length >= list.k',
  ),
  promote(
    'D.11 strict never opens degraded',
    "if (n.policy.synchronousMode === 'strict') return failed('no standby confirms, and the mode is strict');",
    '',
  ),
  {
    point: 'E.1 past every number reserved',
    file: 'procedures/promotion_records.ts',
    from: ', ...known)',
    to: ')',
    test: 'promote',
  },
  promote(
    'E.1 another number is not opened',
    'if (promoted.timeline !== timeline)',
    'if (promoted.timeline === 0)',
  ),
  {
    point: 'E.1 a newer timeline is no divergence',
    file: 'branch.ts',
    from: 'if (own.timeline > sync.timeline)',
    to: 'if (own.timeline < 0)',
    test: 'facts',
  },
  rejoin(
    'E.2 saved before it is overwritten',
    "if (saved.kind !== 'done') return",
    'if (n.now() < 0) return',
  ),
  guard(
    'the guard fences at the deadline',
    "yield* fenceDown(n, 'the lease ran out');",
    "yield* call('time', 'sleep', 1);",
  ),
  guard('the guard voids what main was at', 'interrupt(n.main);', ''),
  {
    point: 'fencing down attempts every step',
    file: 'procedures/fence_down.ts',
    from: "shutIf(n.fence, closed.kind === 'done');",
    to: "if (closed.kind !== 'done') return;",
    test: 'fence_down',
  },
  inProcedure('failsafe', 'failsafe')(
    'G.1 every member',
    'if (!members.every((name) => agreed.includes(name)))',
    'if (agreed.length === 0)',
  ),
  inProcedure('failsafe', 'failsafe')(
    'G.1 not after a vote against it',
    'if (!mayFollow(n, record, n.lease.index)) return false;',
    '',
  ),
  inProcedure('failsafe', 'failsafe')('G.2 from before asking', 'asked + lasts', 'n.now() + lasts'),
  inProcedure('failsafe', 'failsafe')(
    'G.2 the member’s clock starts anew',
    'n.lease = { ...n.lease, firstSeen: n.now() };',
    '',
  ),
  inProcedure('handover', 'files')(
    'H files settle before the database stops',
    "if (lacks !== null && why === 'requested') return lacks;",
    '',
  ),
  inProcedure('handover', 'files')(
    'what was not stopped is not started again',
    "pg.process === 'running' && pg.role === 'primary' && pg.accepting",
    'n.now() < 0',
  ),
  inProcedure('fence_down', 'files')(
    'fencing down makes the files receive-only',
    'yield* followFiles(n, null, FILES);',
    '',
  ),
  inProcedure('extend', 'extend')(
    'C a kernel lease that cannot be renewed closes',
    'closeByItself(n.fence);',
    '',
  ),
  inProcedure('promote', 'extend')(
    'C what was renewed while it opened is passed on',
    'n.lease.right.until > right.until',
    'n.lease.right.until < 0',
  ),
  {
    point: 'hooks: demoted once',
    file: 'memory/hooks.ts',
    from: 'hooks.serving = false;',
    to: '',
    test: 'hooks',
  },
  inProcedure('opening', 'act')(
    'D.4 standbys carry the list from their start',
    "yield* call('pg', 'setSyncList', list, CARRY);",
    '',
  ),
  {
    point: 'a request does not wait for ever',
    file: 'target.ts',
    from: 'waited > n.policy.switchoverWait',
    to: 'waited < 0',
    test: 'files',
  },
  vote('D.1 no lower vote in place of a higher one', 'given !== null &&', 'given === undefined &&'),
];
