/** Changes of the core by somebody who did not write it, which the storms of then let pass. */
import { edit, type Mutation } from './mutation.ts';

export const foundMutations: Mutation[] = [
  {
    id: 'found older index',
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
    what: 'the list of PostgreSQL is changed without confirming the key first',
    edits: [edit('procedures/sync.ts', "if (present !== 'ok') {", "if (present === 'lost') {")],
  },
  {
    id: 'found reopen unread',
    what: 'reopen waits for the voters of a key read at any time',
    edits: [edit('procedures/promote.ts', "if (present !== 'ok') {", "if (present === 'lost') {")],
  },
  {
    id: 'found rebuild unread',
    what: 'a rebuild does not look at sync again after its server stopped',
    edits: [edit('procedures/rejoin.ts', 'if (!(yield* refresh(n)) || !mayWipe(n))', 'if (n.now() < 0)')],
  },
  {
    id: 'found not cut again',
    what: 'a candidate by votes is not cut again before it promotes',
    edits: [
      edit(
        'procedures/promote.ts',
        "if (mandate.kind !== 'handover' && !(yield* cutOff(n))) return failed('the replication could not be cut');",
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
    what: 'the clone id stays with a rebuild',
    edits: [
      edit(
        'procedures/rejoin.ts',
        'n.durable = { ...n.durable, clone, rebuilding: how };',
        'clone = n.durable.clone; n.durable = { ...n.durable, rebuilding: how };',
      ),
    ],
  },
  {
    id: 'found leader any',
    what: 'the vote of the leader counts whatever its timeline',
    edits: [
      edit('election.ts', 'v.node === sync.leader && v.timeline >= sync.timeline', 'v.node === sync.leader'),
    ],
  },
  {
    id: 'found elsewhere',
    what: 'a candidate promotes though it is not where it voted',
    edits: [edit('procedures/promote.ts', '(v.timeline !== at.timeline || v.lsn > at.lsn)', 'v.lsn < 0n')],
  },
  {
    id: 'found forgotten',
    what: 'an interrupted rebuild is forgotten',
    edits: [
      edit(
        'procedures/rejoin.ts',
        'n.durable = { ...n.durable, clone, rebuilding: how };',
        'n.durable = { ...n.durable, clone };',
      ),
    ],
  },
  {
    id: 'found renews',
    what: 'the keeper renews while a fence-down runs',
    edits: [edit('processes.ts', 'n.renewing && n.fencing === 0 && isMine', 'n.renewing && isMine')],
  },
  {
    id: 'found right kept',
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
