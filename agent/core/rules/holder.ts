/** The holder of the lease: opening, staying well, and handing over. */

import type { Facts } from '../facts.ts';
import { holds, isDown, isPrimary, isStandby, type Rule, seconds, syncIsOurs } from '../rule.ts';
import { failed, switchover } from '../why.ts';

const alone = (f: Facts) => f.members.length < 2;
const databaseChecks = ['postgres_port', 'postgres_select', 'postgres_write'];
/** Failed since the database was opened: what failed before is of another life of it. */
const failing = (f: Facts) =>
  f.openFor < f.policy.checksSettle
    ? []
    : f.checks.failing.filter((check) => check !== 'services' || !f.servicesSettle);
const fails = (f: Facts) => failing(f).length > 0;
const databaseFails = (f: Facts) => failing(f).some((c) => databaseChecks.includes(c));
/** A service that does not run is started in place first, so often. */
const repairable = (f: Facts) =>
  failing(f).every((check) => check === 'services') &&
  f.services.missing.length + f.services.missingAlways.length > 0 &&
  f.repairs < f.policy.serviceRestarts;
/** The only member has nobody to give way to, and goes on trying. */
const mayWait = (f: Facts) => alone(f) || f.closedFor <= f.policy.holdWithoutOpen;
const refusal = (f: Facts) =>
  f.request?.unfit ?? `the request expired${f.request?.waiting ? `: ${f.request.waiting}` : ''}`;
/** Strict, and no standby is listed: the first that follows is listed before anybody is let in. */
const unconfirmed = (f: Facts) => f.policy.synchronousMode === 'strict' && f.sync?.voters === 0 && !alone(f);
const worn = (f: Facts) => f.startFailed || f.recentRestarts >= 1;

export const holder: Rule[] = [
  {
    id: 500,
    situation: 'the lease was handed over to this node',
    from: 'standby',
    to: 'holder',
    when: (f) => f.lease.state === 'offered' && isStandby(f),
    reason: () => 'the lease was handed over: confirming it',
    does: ['accept'],
    actions: () => [{ do: 'accept' }],
  },
  {
    id: 505,
    situation: 'the machine shuts down while this node is active',
    from: 'active',
    to: 'fenced',
    when: (f) => holds(f) && f.stopping === 'shutdown',
    reason: (f) =>
      f.fit === null ? 'shutting down: releasing the lease' : `shutting down: handing over to ${f.fit}`,
    does: ['handover', 'release'],
    actions: (f) =>
      f.fit === null
        ? [{ do: 'release', reason: 'the machine shuts down' }]
        : [{ do: 'handover', to: f.fit, reason: 'the machine shuts down', why: 'shutdown' }],
  },
  {
    id: 510,
    situation: 'holds the lease, its database is a standby',
    from: 'holder',
    to: 'active',
    when: (f) => holds(f) && isStandby(f) && f.mandate && mayWait(f),
    reason: () => 'holds the lease: promoting',
    does: ['promote'],
    actions: () => [{ do: 'promote' }],
  },
  {
    id: 512,
    situation: 'promoted under this lease, not open yet',
    from: 'holder',
    to: 'active',
    when: (f) =>
      holds(f) &&
      isPrimary(f) &&
      !syncIsOurs(f) &&
      f.reserved !== null &&
      f.pg.position?.timeline === f.reserved &&
      mayWait(f),
    reason: () => 'promoted: waiting for a standby to confirm before clients are let in',
    does: ['finish_promotion'],
    actions: () => [{ do: 'finish_promotion' }],
  },
  {
    id: 514,
    situation: 'primary under this lease, clients still shut out',
    from: 'holder',
    to: 'active',
    // Without a voter nobody else may take over: to let go would only end the copies that are being made from
    // here.
    when: (f) =>
      holds(f) && isPrimary(f) && syncIsOurs(f) && f.fence !== 'open' && (mayWait(f) || unconfirmed(f)),
    reason: (f) =>
      unconfirmed(f)
        ? 'primary: strict, and shut until a standby confirms'
        : 'primary: letting clients in once the voters have all of it',
    does: ['reopen', 'sync_step'],
    actions: (f) => [{ do: unconfirmed(f) ? 'sync_step' : 'reopen' }],
  },
  {
    id: 516,
    situation:
      'its database died, or hung, and was started in place too often or without success; another node may do better',
    from: 'active',
    to: 'fenced',
    when: (f) => holds(f) && syncIsOurs(f) && isDown(f) && worn(f) && f.hadStandby && !alone(f),
    reason: (f) =>
      f.startFailed
        ? 'the database does not start: releasing the lease'
        : 'the database died again soon after a start in place: releasing the lease',
    does: ['release'],
    actions: (f) => [
      {
        do: 'release',
        reason: f.startFailed
          ? 'the database does not start'
          : 'the database died again soon after a start in place',
      },
    ],
  },
  {
    id: 518,
    situation: 'its database died',
    from: 'active',
    to: 'active',
    when: (f) => holds(f) && syncIsOurs(f) && (isDown(f) || isStandby(f)),
    reason: () => 'the database is down: starting it in place',
    does: ['start_in_place'],
    actions: () => [{ do: 'start_in_place' }],
  },
  {
    id: 520,
    situation: 'holds the lease, and cannot open',
    from: 'holder',
    to: 'fenced',
    when: (f) => holds(f) && (!syncIsOurs(f) || !mayWait(f)) && (f.fence !== 'open' || !isPrimary(f)),
    reason: (f) => `has not been able to open under its lease for ${seconds(f.closedFor)}: releasing it`,
    does: ['release'],
    actions: () => [{ do: 'release', reason: 'could not open' }],
  },
  {
    id: 530,
    situation: 'a database check of the active has failed too often',
    from: 'active',
    to: 'fenced',
    when: (f) => holds(f) && databaseFails(f) && !alone(f),
    reason: (f) => `${failed(f, failing(f))}: releasing the lease`,
    does: ['release'],
    actions: (f) => [{ do: 'release', reason: failed(f, failing(f)) }],
  },
  {
    id: 535,
    situation: 'a database check of the only member has failed too often',
    from: 'active',
    to: 'active',
    when: (f) => holds(f) && databaseFails(f),
    reason: (f) => `${failed(f, failing(f))}: starting the database again`,
    does: ['start_in_place'],
    actions: () => [{ do: 'start_in_place' }],
  },
  {
    id: 540,
    situation: 'a switchover request that expired or names an unfit target',
    from: 'active',
    to: 'active',
    when: (f) => holds(f) && f.request !== null && (f.request.expired || f.request.unfit !== null),
    reason: (f) => `switchover to ${f.request?.target} refused: ${refusal(f)}`,
    does: ['refuse_request'],
    actions: (f) => [{ do: 'refuse_request', why: refusal(f) }],
  },
  {
    id: 545,
    situation: 'a switchover request',
    from: 'active',
    to: 'standby',
    when: (f) => holds(f) && f.request !== null && f.request.waiting === null,
    reason: (f) => `switchover to ${f.request?.target} requested`,
    does: ['handover'],
    actions: (f) => [
      { do: 'handover', to: f.request?.target ?? '', reason: switchover(f), why: 'requested' },
    ],
  },
  {
    id: 550,
    situation: 'a service or check of the active has failed too often, and a standby is fit',
    from: 'active',
    to: 'standby',
    when: (f) => holds(f) && fails(f) && f.fit !== null && !repairable(f),
    reason: (f) => `${failed(f, failing(f))}: handing over to ${f.fit}`,
    does: ['handover'],
    actions: (f) => [
      {
        do: 'handover',
        to: f.fit ?? '',
        reason: failed(f, failing(f)),
        why: 'failing',
      },
    ],
  },
  {
    id: 553,
    situation: 'the files do not follow this active yet',
    from: 'active',
    to: 'active',
    when: (f) => holds(f) && isPrimary(f) && f.fence === 'open' && f.filesDue === 'lead',
    reason: () => 'its files are the ones that count from now on',
    does: ['files_lead'],
    actions: () => [{ do: 'files_lead' }],
  },
  {
    id: 555,
    situation: 'a service of the active does not run',
    from: 'active',
    to: 'active',
    when: (f) => holds(f) && f.repairDue && f.services.missing.length + f.services.missingAlways.length > 0,
    reason: (f) => `starting ${[...f.services.missingAlways, ...f.services.missing].join(', ')}`,
    does: ['repair', 'services_up', 'sync_step'],
    actions: (f) => [
      ...(f.services.missingAlways.length > 0
        ? [{ do: 'repair', names: f.services.missingAlways } as const]
        : []),
      ...(f.services.missing.length > 0 ? [{ do: 'services_up' } as const] : []),
      { do: 'sync_step' },
    ],
  },
  {
    id: 560,
    situation: 'a check of the active fails, and no standby is better, or it is repaired in place first',
    from: 'active',
    to: 'active',
    when: (f) => holds(f) && fails(f),
    reason: (f) =>
      `DEGRADED: ${failed(f, failing(f))}; ${f.fit === null ? 'no standby is fit' : 'repaired in place first'}: staying active`,
    does: ['sync_step'],
    actions: () => [{ do: 'sync_step' }],
  },
  {
    id: 570,
    situation: 'healthy active',
    from: 'active',
    to: 'active',
    when: (f) => holds(f) && isPrimary(f) && syncIsOurs(f) && f.fence === 'open',
    reason: (f) =>
      f.sync?.voters === 0 && !alone(f) && f.policy.synchronousMode !== 'off'
        ? 'active, DEGRADED: no standby confirms commits'
        : f.request === null
          ? 'active'
          : `active; the switchover to ${f.request.target} waits: ${f.request.waiting}`,
    does: ['ensure_slots', 'sync_step'],
    actions: (f) => [...(f.slotsDue ? [{ do: 'ensure_slots' } as const] : []), { do: 'sync_step' }],
  },
];
