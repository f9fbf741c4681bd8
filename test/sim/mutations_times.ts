/** The lease's times: what happens when somebody goes by its own settings and not by the record. */
import { edit, type Mutation } from './mutation.ts';

const theme = 'lease times';

export const timesMutations: Mutation[] = [
  {
    id: 'B.8 challenger',
    what: 'a challenger waits by its own file',
    theme,
    edits: [
      edit('facts.ts', '...seenTimes(n, record), nofailover', '...n.fileTimes, nofailover'),
      edit('procedures/vote.ts', 'seenTimes(n, record)', 'n.fileTimes'),
    ],
  },
  {
    id: 'B.8 holder',
    what: 'the right of the holder is by its own file',
    theme,
    edits: [
      edit(
        'lease_times.ts',
        'Math.min(renewDeadline, times.renewDeadline, times.leaseDuration - fencingTime - 1)',
        'n.fileTimes.renewDeadline + 0 * (renewDeadline + fencingTime + times.renewDeadline)',
      ),
    ],
  },
  {
    id: 'B.8 none',
    what: 'everybody goes by its own file, as before the times were in the record',
    theme,
    edits: [
      edit('lease_times.ts', 'record?.times ??', ''),
      edit('lease_times.ts', 'Math.min(renewDeadline, times.renewDeadline,', 'Math.min(renewDeadline,'),
      edit('lease_times.ts', 'times.leaseDuration - fencingTime - 1', 'n.policy.leaseDuration - fencingTime'),
      edit('lease_times.ts', 'if (config === undefined) return;', 'if (config !== null) return;'),
    ],
  },
  {
    id: 'B.8 shorter',
    what: 'a record tells shorter times while a right under longer ones still runs',
    theme,
    edits: [
      edit('lease_times.ts', 'outstanding(n, held) <= sent + renewDeadline ?', 'held !== null && sent > 0 ?'),
    ],
  },
  {
    id: 'B.8 restart',
    what: 'a restarted agent does not reckon with the right of the process before it',
    theme,
    edits: [edit('lease_times.ts', '?? n.lease.firstSeen + held.renewDeadline', '?? 0 * held.renewDeadline')],
  },
];
