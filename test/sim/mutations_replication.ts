/** Votes, quorum replication and timelines (PROTOCOL D, E), one sentence taken out at a time. */
import { edit, type Mutation } from './mutation.ts';

export const replicationMutations: Mutation[] = [
  {
    id: 'D.1 cut',
    what: 'a voter goes on streaming',
    theme: 'frozen active',
    edits: [
      edit(
        'procedures/vote.ts',
        "const cut = yield* call('pg', 'setUpstream', null, CUT_DEADLINE);",
        "const cut = { kind: 'done' as const, why: '' } as { kind: string; why: string };",
      ),
      edit('procedures/vote.ts', '&& facts.upstreamHost === null', ''),
    ],
  },
  {
    id: 'D.1 durable',
    what: 'a vote is not kept: the voter reconnects at once',
    theme: 'frozen active',
    edits: [edit('procedures/vote.ts', 'if (vote === null) return true;', 'return true;')],
  },
  {
    id: 'D.1 saved',
    what: 'a vote does not survive a restart',
    theme: 'frozen active',
    edits: [edit('procedures/vote.ts', "yield* call('store', 'save', n.copy.durable);", '')],
  },
  {
    id: 'D.1 clock',
    untested:
      'the challenger looks at its own clock too; only clocks further apart than the lease allows would show it',
    what: 'a voter does not look at its own clock',
    edits: [
      edit(
        'procedures/vote.ts',
        "record.holder !== '' && stillFor(n.lease, n.now()) < renewDeadline",
        'false',
      ),
    ],
  },
  {
    id: 'D.2',
    what: 'a position counts before startup has replayed what is on disk',
    edits: [edit('procedures/vote.ts', '&& at.settled', '')],
  },
  {
    id: 'D.3 need',
    what: 'one vote is enough',
    edits: [edit('records.ts', 'return sync.voters.length - sync.k + 1;', 'return 1;')],
  },
  {
    id: 'D.3 unknown',
    what: 'a voter that does not answer counts as one that agrees',
    edits: [edit('election.ts', 'listed.length >= need', 'true')],
  },
  {
    id: 'D.3 ahead',
    what: 'a candidate that others are ahead of is promoted',
    edits: [
      edit(
        'election.ts',
        'compareBranches(v, ballot.own) > 0)',
        'false && compareBranches(v, ballot.own) > 0)',
      ),
    ],
  },
  {
    id: 'D.3 branch',
    what: 'the LSN is compared before the branch',
    theme: 'foreign tail',
    edits: [
      edit(
        'election.ts',
        'if (a.timeline !== b.timeline) return a.timeline < b.timeline ? -1 : 1;',
        'if (a.lsn !== b.lsn) return a.lsn < b.lsn ? -1 : 1;',
      ),
    ],
  },
  {
    id: 'D.3 clone',
    untested:
      'a copy is complete when it is made, and later commits are confirmed under the listed names only',
    what: 'the vote of a copy that was made again counts as the listed one',
    edits: [edit('election.ts', 'w.node === v.node && w.clone === v.clone)', 'w.node === v.node)')],
  },
  {
    id: 'D.3 empty',
    what: 'with no voters listed anybody may be promoted',
    edits: [
      edit(
        'election.ts',
        'sync.voters.length > 0 && listed.length >= need',
        'listed.length >= need || sync.voters.length === 0',
      ),
    ],
  },
  {
    id: 'D.4 covered',
    what: 'a list counts as covered at once',
    edits: [edit('procedures/cover.ts', 'if (have.length >= list.k) return have;', 'return list.names;')],
  },
  {
    id: 'D.5 add',
    what: 'a voter is added to PostgreSQL before the key',
    theme: 'lone confirmation',
    nodes: 3,
    edits: [
      edit(
        'procedures/sync.ts',
        'if (voters.length > 0) return (yield* key(next, k)) && (yield* list(next, k));',
        'if (voters.length > 0) return (yield* list(next, k)) && (yield* key(next, k));',
      ),
    ],
  },
  {
    id: 'D.5 from empty',
    what: 'the first voter is written before PostgreSQL waits for it',
    theme: 'lone confirmation',
    nodes: 3,
    edits: [
      edit(
        'procedures/sync.ts',
        'return (yield* list(next, 1)) && (yield* cover(n, next, 1)) && (yield* key(next, 1));',
        'return (yield* key(next, 1)) && (yield* list(next, 1));',
      ),
    ],
  },
  {
    id: 'D.5 remove',
    what: 'a voter leaves the key before PostgreSQL',
    theme: 'lone confirmation',
    nodes: 3,
    edits: [
      edit(
        'procedures/sync.ts',
        'return (yield* list(next, k)) && (yield* cover(n, next, k)) && (yield* key(next, k));',
        'return (yield* key(next, k)) && (yield* list(next, k));',
      ),
    ],
  },
  {
    id: 'D.5 to empty',
    what: 'PostgreSQL stops waiting before the key says so',
    theme: 'lone confirmation',
    nodes: 3,
    edits: [
      edit(
        'procedures/sync.ts',
        'return (yield* key([], 0)) && (yield* list([], 0));',
        'return (yield* list([], 0)) && (yield* key([], 0));',
      ),
    ],
  },
  {
    id: 'D.5 raise k',
    from: 120,
    what: 'k is raised in the key before PostgreSQL',
    theme: 'lone confirmation',
    nodes: 5,
    edits: [
      edit(
        'procedures/sync.ts',
        '(yield* list(voters, step.k)) && (yield* cover(n, voters, step.k)) && (yield* key(voters, step.k))',
        '(yield* key(voters, step.k)) && (yield* list(voters, step.k))',
      ),
    ],
  },
  {
    id: 'D.5 lower k',
    from: 230,
    theme: 'shrinking',
    what: 'k is lowered in PostgreSQL before the key',
    nodes: 5,
    edits: [
      edit(
        'procedures/sync.ts',
        'if (step.k < k) return (yield* key(voters, step.k)) && (yield* list(voters, step.k));',
        'if (step.k < k) return (yield* list(voters, step.k)) && (yield* key(voters, step.k));',
      ),
      edit(
        'procedures/sync.ts',
        'return (yield* key(voters, next.length)) && (yield* list(voters, next.length));',
        'return (yield* list(voters, next.length)) && (yield* key(voters, next.length));',
      ),
    ],
  },
  {
    id: 'D.5 unknown',
    theme: 'lost key write',
    what: 'an unknown outcome of a key write loosens the list all the same',
    nodes: 3,
    edits: [
      edit(
        'procedures/sync.ts',
        "return outcome === 'ok';",
        "return outcome === 'ok' || outcome === 'unknown';",
      ),
      edit('procedures/sync.ts', 'if (n.holding.unsettled) {', 'if (false) {'),
    ],
  },
  {
    id: 'D.5 wipe',
    what: 'a node is wiped while a vote may count on it',
    edits: [
      edit(
        'procedures/rejoin.ts',
        'return faultsOf(n.view).length === 0 && !isCountedOn(n);',
        'return true;',
      ),
    ],
  },
  {
    id: 'D.5 wipe leader',
    untested:
      'a branch is compared with the one sync names: for the leader that is its own, and nothing asks for a rewind',
    what: 'the leader that sync still names is wiped',
    edits: [edit('procedures/vote.ts', 'sync.leader === n.name', 'false')],
  },
  {
    id: 'D.6 follow',
    what: 'standbys follow active, which is written last, instead of the holder',
    policy: { synchronousMode: 'strict' },
    edits: [
      edit(
        'procedures/vote.ts',
        'const upstream = upstreamOf(n, record.holder);',
        'const upstream = n.view?.active?.value.node === record.holder ? upstreamOf(n, record.holder) : null;',
      ),
    ],
  },
  {
    id: 'D.6 rewrite',
    what: 'a promotion opens before sync names it',
    edits: [
      edit(
        'procedures/promote.ts',
        'let written = yield* renewWith(n, announce());',
        "let written: string = 'ok';",
      ),
    ],
  },
  {
    id: 'D.6 epoch',
    untested: 'the position that was voted on is compared again, and no longer the same after a promotion',
    what: 'a second promotion goes on under the same mandate',
    edits: [edit('procedures/promote.ts', 'useMandate(n.candidacy);', '')],
  },
  {
    id: 'D.7',
    theme: 'exposed by a restart',
    what: 'a server that was started in place opens before its voters have all of it',
    edits: [
      edit('procedures/promote.ts', 'if (!(yield* covered(n, list, n.policy.openWait))) {', 'if (false) {'),
    ],
  },
  {
    id: 'D.8 stop',
    what: 'the lease is given away without a confirmed stop',
    edits: [
      edit(
        'procedures/handover.ts',
        "const stopped = yield* call('pg', 'stop', 'immediate', n.policy.stopTimeout, true);",
        "const stopped = { kind: 'stopped', why: '' } as { kind: string; why: string };",
      ),
    ],
  },
  {
    id: 'D.8 replayed',
    what: 'the target need not have replayed the shutdown',
    theme: 'lost target',
    edits: [
      edit(
        'procedures/handover.ts',
        'if (!(yield* replayed(n, target, stopped.timeline, stopped.checkpoint))) {',
        'if (false) {',
      ),
      edit('procedures/promote.ts', 'at.timeline === mandate.timeline && at.replayed > mandate.lsn', 'true'),
    ],
  },
  {
    id: 'D.9 give up',
    what: 'a holder that cannot open keeps the lease',
    edits: [edit('rules/holder.ts', '(!syncIsOurs(f) || !mayWait(f)) &&', 'false &&')],
  },
  {
    id: 'D.11',
    what: 'strict mode degrades',
    edits: [
      edit(
        'procedures/promote.ts',
        "if (n.policy.synchronousMode === 'strict') return failed('no standby confirms, and the mode is strict');",
        '',
      ),
    ],
    policy: { synchronousMode: 'strict' },
  },
  {
    id: 'E.1',
    what: 'timeline numbers are not reserved',
    edits: [
      edit(
        'procedures/promotion_records.ts',
        'const highest = Math.max(current, n.view?.sync?.value.timeline ?? 0, ...known);',
        'const highest = known.length > -1 ? current : 0;',
      ),
    ],
  },
  {
    id: 'E.2 ahead of the fork',
    what: 'a former active that went on after the fork is not rewound',
    edits: [edit('branch.ts', 'own.timeline === end.tli && own.lsn <= end.lsn', 'own.timeline === end.tli')],
  },
];
