/**
 * What calls that take effect late would do, were there nothing that makes them void. The core is whole here.
 */
import type { Mutation } from './mutation.ts';

export const lateMutations: Mutation[] = [
  {
    id: 'late follow',
    what: 'a later cut does not void an earlier follow, nor does its deadline or the end of who asked',
    theme: 'late calls',
    edits: [],
    unclaimed: 'upstream',
  },
  {
    id: 'late open',
    what: 'clients are let in by a call that was given up, after they were shut out',
    theme: 'late calls',
    edits: [],
    unclaimed: 'fence',
  },
  {
    id: 'late list',
    untested:
      'the next look at the server shows the old list and it is set anew; the active would have to be lost in that moment',
    what: 'a list of voters is written after its deadline, or after a later one',
    theme: 'late calls',
    edits: [],
    unclaimed: 'list',
  },
  {
    id: 'late promotion',
    untested:
      'replay would have to stand still for longer than a promotion is waited for, and the lease to be lost and voted on in it',
    what: 'a promotion that was given up comes about after a cut',
    theme: 'late calls',
    edits: [],
    unclaimed: 'promotion',
  },
];
