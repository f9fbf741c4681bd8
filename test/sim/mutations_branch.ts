/**
 * Branches compared before anybody follows or is listed (PROTOCOL D.3, D.4, D.6), one sentence taken out at a
 * time.
 */
import { edit, type Mutation } from './mutation.ts';

/** A standby goes to the holder of the lease without a look at its own data, as PostgreSQL itself would. */
const unread = [
  edit('procedures/vote.ts', 'yield* towardsUpstream(n, record, upstream);', "'prefix';"),
  edit('facts.ts', 'towards: towards(n, pg),', "towards: towards(n, pg) === 'prefix' ? 'prefix' : 'prefix',"),
];
/** What a walsender reports is taken for a confirmation, whatever it was sent. */
const believed = edit('postgres.ts', '&& flush <= sent', '');
const older = [
  edit('election.ts', '&& onBranch(v, sync)', ''),
  edit('election.ts', 'ballot.own.timeline < sync.timeline', 'false'),
];

export const branchMutations: Mutation[] = [
  {
    id: 'D.6 prefix',
    what: 'a standby follows the holder before the branches were compared, and is believed and elected',
    theme: 'ahead of the fork',
    nodes: 2,
    edits: [...unread, believed, ...older],
  },
  {
    id: 'D.6 believed',
    untested:
      'a copy from before the timeline of sync is not elected either: all three together lose writes at once (D.6 prefix)',
    what: 'a standby follows the holder before the branches were compared, and is believed',
    theme: 'ahead of the fork',
    nodes: 2,
    edits: [...unread, believed],
  },
  {
    id: 'D.6 read',
    untested:
      'what it reports is not believed, so it is never listed: all three together lose writes at once (D.6 prefix)',
    what: 'a standby follows the holder before the branches were compared',
    theme: 'ahead of the fork',
    nodes: 2,
    edits: unread,
  },
  {
    id: 'D.4 believed',
    untested:
      'nobody follows before the branches were compared: all three together lose writes at once (D.6 prefix)',
    what: 'a position on another branch counts as confirmed',
    theme: 'ahead of the fork',
    nodes: 2,
    edits: [believed],
  },
  {
    id: 'D.3 older timeline',
    untested:
      'nobody on another branch is listed or believed: all three together lose writes at once (D.6 prefix)',
    what: 'a copy from before the timeline of sync may be elected, and votes with a tail of its own',
    theme: 'ahead of the fork',
    nodes: 2,
    edits: older,
  },
];
