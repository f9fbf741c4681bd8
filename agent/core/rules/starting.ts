/** Waiting on purpose, and getting a database to run at all. */
import type { Facts } from '../facts.ts';
import { elsewhere, filesFirst, holds, isDown, isPrimary, type Rule, seconds, syncIsOurs } from '../rule.ts';

/**
 * A request that can be carried out or refused now; one that waits for its target leaves everything as it is.
 */
const answerable = (f: Facts) =>
  f.request !== null && (f.request.waiting === null || f.request.unfit !== null || f.request.expired);
/** What it copies is nobody's any more whom this node could follow. */
const outdated = (f: Facts) => f.lease.state === 'other' && f.lease.holder !== f.task?.from;
/** As far as this node has seen: the lease was given away, or nobody has renewed it for its whole life. */
const nobodyHolds = (f: Facts) =>
  f.lease.state === 'free' ||
  (!holds(f) &&
    f.lease.state !== 'unknown' &&
    f.lease.state !== 'absent' &&
    f.lease.still >= f.policy.leaseDuration);

export const starting: Rule[] = [
  {
    id: 290,
    situation: 'the machine shuts down, and this node is not the active',
    from: 'any',
    to: 'any',
    when: (f) => f.stopping === 'shutdown' && !holds(f),
    reason: () => 'the machine is shutting down: nothing new is started',
    does: [],
    actions: () => [],
  },
  {
    id: 295,
    situation: 'a rewind or basebackup is under way',
    from: 'joining',
    to: 'joining',
    when: (f) => f.task !== null && !holds(f),
    reason: (f) =>
      outdated(f)
        ? `${f.task?.what} from ${f.task?.from} cancelled: ${f.lease.holder} is the holder now`
        : `${f.task?.what} from ${f.task?.from} under way for ${seconds(f.task?.runs ?? 0)}`,
    does: ['files_follow', 'cancel_task'],
    actions: (f) => (outdated(f) ? [{ do: 'cancel_task' }] : filesFirst(f)),
  },
  {
    id: 300,
    situation: 'a rewind or basebackup was interrupted',
    from: 'joining',
    to: 'standby',
    when: (f) => f.rebuilding !== null,
    reason: (f) =>
      f.mayWipe
        ? `${f.rebuilding} was interrupted: copying the database again`
        : `${f.rebuilding} was interrupted; waiting for an active to copy from`,
    does: ['files_follow', 'rebuild'],
    actions: (f) =>
      f.mayWipe && f.lease.state === 'other' && f.mayFollow
        ? [...filesFirst(f), { do: 'rebuild', how: 'reclone' }]
        : [],
  },
  {
    id: 310,
    situation: 'node in maintenance',
    from: 'standby',
    to: 'standby',
    when: (f) => f.maintenance && !holds(f) && f.lease.state !== 'offered',
    reason: () => 'in maintenance: left alone',
    does: [],
    actions: () => [],
  },
  {
    id: 320,
    situation: 'cluster paused',
    from: 'any',
    to: 'any',
    when: (f) => f.paused && f.lease.state !== 'offered' && !(holds(f) && answerable(f)),
    reason: (f) =>
      nobodyHolds(f)
        ? "the cluster is paused, and nobody is active until 'agent cluster resume'"
        : 'the cluster is paused: the lease is kept, no role is changed',
    // The voters are kept true all the same: a lone active would block every commit otherwise.
    does: ['sync_step'],
    actions: (f) => (holds(f) && isPrimary(f) && f.fence === 'open' ? [{ do: 'sync_step' }] : []),
  },
  {
    id: 400,
    situation: 'first start of the cluster, on this manager',
    from: 'joining',
    to: 'holder',
    when: (f) =>
      f.sync === null &&
      f.member &&
      f.members.length === 1 &&
      f.pg.data === 'ok' &&
      (f.lease.state === 'absent' || (elsewhere(f) && f.lease.still >= f.policy.leaseDuration)),
    reason: () => 'first start: this manager founds the cluster',
    does: ['acquire'],
    actions: () => [{ do: 'acquire', reason: 'first start' }],
  },
  {
    id: 405,
    situation: 'first start, lease held',
    from: 'holder',
    to: 'active',
    when: (f) => f.sync === null && holds(f) && f.pg.data === 'ok',
    reason: () => 'first start: opening the database of this manager',
    does: ['found'],
    actions: () => [{ do: 'found' }],
  },
  {
    id: 410,
    situation: 'no database here yet, and another node is active',
    from: 'joining',
    to: 'standby',
    when: (f) => f.lease.state === 'other' && f.pg.data !== 'ok' && f.pg.data !== 'unknown',
    reason: (f) =>
      f.mayWipe
        ? `copying the database of ${f.lease.holder}`
        : 'the database is gone; waiting until no vote counts on it',
    does: ['files_follow', 'rebuild', 'want'],
    actions: (f) =>
      f.mayWipe && f.mayFollow
        ? [...filesFirst(f), { do: 'rebuild', how: 'reclone' }]
        : [{ do: 'want', what: 'reclone' }],
  },
  {
    id: 415,
    situation: 'holds the lease, and its data directory is gone',
    from: 'holder',
    to: 'fenced',
    when: (f) => holds(f) && (f.pg.data === 'empty' || f.pg.data === 'broken'),
    reason: () => 'the data directory is gone: releasing the lease',
    does: ['release'],
    actions: () => [{ do: 'release', reason: 'the data directory is gone' }],
  },
  {
    id: 420,
    situation: 'database stopped; it was the primary under an earlier lease',
    from: 'fenced',
    to: 'standby',
    when: (f) => isDown(f) && f.pg.data === 'ok' && f.sync?.leader === true && !(holds(f) && syncIsOurs(f)),
    reason: () => 'former active: starting as a standby, cut off until its timeline is compared',
    does: ['start_standby'],
    actions: () => [{ do: 'start_standby' }],
  },
  {
    id: 430,
    situation: 'database stopped; another node is or was active',
    from: 'fenced',
    to: 'standby',
    when: (f) => isDown(f) && f.pg.data === 'ok' && !(holds(f) && syncIsOurs(f)),
    reason: () => 'starting the database as a standby',
    does: ['start_standby'],
    actions: () => [{ do: 'start_standby' }],
  },
  {
    id: 440,
    situation: 'no usable database here, and no active to copy from',
    from: 'joining',
    to: 'joining',
    when: (f) => isDown(f) && f.pg.data !== 'ok',
    reason: () => 'no usable database here: waiting for an active to copy from',
    does: [],
    actions: () => [],
  },
];
