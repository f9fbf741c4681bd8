/** Changes of the core by somebody who did not write it, which the storms of then let pass. */
import { edit, type Mutation } from './mutation.ts';

export const foundMutations: Mutation[] = [
  {
    id: 'found older index',
    theme: 'stale reads',
    untested:
      'every write is on condition of the index that was read, and a holder that cannot be promoted lets go by now: before it did, nobody was active again (seed 14); what is left is the time it takes',
    what: 'an older index than the newest seen is taken for news',
    edits: [
      edit(
        'lease_view.ts',
        'if (lease.known && read.index <= lease.index) return lease;',
        'if (lease.known && read.index === lease.index) return lease;',
      ),
    ],
  },
  {
    id: 'found older view',
    from: 514,
    theme: 'stale reads',
    what: 'a view older than the one held replaces it',
    edits: [
      edit(
        'lease.ts',
        'if (n.view === null || renewed || view.index >= n.view.index) n.view = view;',
        'if (renewed || view.index >= 0) n.view = view;',
      ),
    ],
  },
  {
    id: 'found list unread',
    untested:
      'its own view holds its own last write, and after one of unknown outcome it is read anew first: both have to go (D.5 unknown)',
    theme: 'stale reads',
    what: 'the list of PostgreSQL is changed without confirming the key first',
    edits: [edit('procedures/sync.ts', "if (present !== 'ok') {", "if (present === 'lost') {")],
  },
  {
    id: 'found reopen unread',
    untested:
      'a server is started in place by the agent that held on, whose view holds its own last write of the voters, or by one that has just read',
    theme: 'stale reads',
    what: 'reopen waits for the voters of a key read at any time',
    edits: [edit('procedures/promote.ts', "if (present !== 'ok') {", "if (present === 'lost') {")],
  },
  {
    id: 'found rebuild unread',
    theme: 'copied again',
    what: 'a rebuild does not look at sync again after its server stopped',
    edits: [edit('procedures/rejoin.ts', 'if (!(yield* refresh(n)) || !mayWipe(n))', 'if (n.now() < 0)')],
  },
  {
    id: 'found not cut again',
    untested:
      'since its vote it holds the lease, and nothing repoints the holder; a call of before is void (late follow)',
    what: 'a candidate by votes is not cut again before it promotes',
    edits: [
      edit(
        'procedures/promote.ts',
        "if (mandate.kind !== 'handover' && !(yield* cutOff(n))) return failed('replication could not be cut off');",
        '',
      ),
      edit(
        'procedures/promote.ts',
        'if (timeline > at.timeline + 1 && !(yield* cutOff(n)))',
        'if (n.now() < 0)',
      ),
    ],
  },
  {
    id: 'found clone kept',
    untested:
      'a copy is complete when it is made, and what was listed while it was made is asked for again after the stop (found rebuild unread)',
    theme: 'copied again',
    what: 'the clone id stays with a rebuild',
    edits: [
      edit(
        'procedures/rejoin.ts',
        'beginRebuild(n.copy, clone, how);',
        'clone = n.copy.durable.clone; beginRebuild(n.copy, clone, how);',
      ),
    ],
  },
  {
    id: 'found leader any',
    untested:
      'the data of the leader that sync names is never wiped or replaced, so its timeline is never older (D.5 wipe)',
    what: 'the vote of the leader counts whatever its timeline',
    edits: [
      edit('election.ts', 'v.node === sync.leader && v.timeline >= sync.timeline', 'v.node === sync.leader'),
    ],
  },
  {
    id: 'found elsewhere',
    untested: 'cut since its vote, it can only have less when its disk lost what was flushed',
    what: 'a candidate promotes though it is not where it voted',
    edits: [edit('procedures/promote.ts', '(v.timeline !== at.timeline || v.lsn > at.lsn)', 'v.lsn < 0n')],
  },
  {
    id: 'found forgotten',
    untested:
      'a directory that was left half-written is known by a mark of the driver, and a copy is put in place when it is complete',
    what: 'an interrupted rebuild is forgotten',
    edits: [edit('memory/copy.ts', '{ ...copy.durable, clone, rebuilding }', '{ ...copy.durable, clone }')],
  },
  {
    id: 'found renews',
    untested:
      'the right that this gives is used by nobody: the server is being stopped, clients are shut out, and main waits',
    what: 'the keeper renews while a fence-down runs',
    edits: [
      edit(
        'processes.ts',
        'n.holding.renewing && n.fence.running === 0 && isMine',
        'n.holding.renewing && isMine',
      ),
    ],
  },
  {
    id: 'found right kept',
    untested:
      'its database is stopped by then, and a start renews first (B.5), which fails when the handover was committed',
    what: 'the own right does not end before a handover is sent',
    edits: [
      edit(
        'lease.ts',
        'n.lease = { ...n.lease, right: null }; const next: LeaseRecord = {',
        'const next: LeaseRecord = {',
      ),
    ],
  },
];
