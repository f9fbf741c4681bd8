/** Values in Consul that are not understood, concluded from all the same. */
import { edit, type Mutation } from './mutation.ts';

export const recordMutations: Mutation[] = [
  {
    id: '4 held back',
    what: 'what cannot be read counts as absent, and decisions go on',
    theme: 'bad records',
    untested:
      'every write that would follow from it is on condition of an index that what cannot be read does not have; what is lost is the time',
    edits: [
      edit('unreadable.ts', 'DECISIVE.filter((key) => view?.unreadable?.[key] !== undefined)', '[]'),
      edit('lease.ts', 'if (isUnreadable(view, LEASE)) n.lease = { ...n.lease, firstSeen: at }; else', ''),
    ],
  },
  {
    id: '4 mode unseen',
    what: "how commits are confirmed cannot be read: the node's own file says",
    theme: 'bad records',
    edits: [
      edit('sync_mode.ts', "(n.modeKnown ? n.policy.synchronousMode : 'strict')", 'n.policy.synchronousMode'),
    ],
  },
  {
    id: '4 numbers unseen',
    what: 'a reservation that cannot be read is taken for none',
    theme: 'bad records',
    untested:
      'sync and the own timeline nearly always tell a higher number than the reservation that is hidden',
    edits: [edit('unreadable.ts', 'return hidden.length * TAKEN_UNSEEN;', 'return 0 * hidden.length;')],
  },
];
