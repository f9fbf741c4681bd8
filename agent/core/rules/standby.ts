/** Following the active, and coming back to it. */
import { challengeable, filesFirst, isStandby, type Rule } from '../rule.ts';

export const standby: Rule[] = [
  {
    id: 695,
    situation: 'standby that does not answer: its data may be consistent only with WAL that the active has',
    from: 'standby',
    to: 'standby',
    when: (f) =>
      f.lease.state === 'other' &&
      f.pg.process === 'running' &&
      f.pg.role === 'unknown' &&
      f.pg.standbySignal &&
      f.sync?.leader === false &&
      !f.sync.voter &&
      f.mayFollow &&
      !f.followsHolder,
    reason: (f) => `the database does not answer yet: letting it replicate from ${f.lease.holder}`,
    does: ['follow'],
    actions: () => [{ do: 'follow' }],
  },
  {
    id: 700,
    situation: 'database neither stopped nor answering',
    from: 'standby',
    to: 'standby',
    when: (f) => f.pg.process === 'unknown' || (f.pg.process === 'running' && f.pg.role === 'unknown'),
    reason: () => 'the database does not answer yet',
    does: [],
    actions: () => [],
  },
  {
    id: 710,
    situation: 'returned with writes that the active never had; the data may be wiped',
    from: 'standby',
    to: 'joining',
    when: (f) =>
      f.lease.state === 'other' &&
      isStandby(f) &&
      f.mayWipe &&
      f.mayFollow &&
      (f.branch?.kind === 'diverged' || f.wants === 'reclone'),
    reason: (f) =>
      f.wants === 'reclone'
        ? 'copying the database again'
        : 'diverged from the active: saving what differs, then rewinding',
    does: ['files_follow', 'rebuild'],
    actions: (f) => [...filesFirst(f), { do: 'rebuild', how: f.wants === 'reclone' ? 'reclone' : 'rewind' }],
  },
  {
    id: 715,
    situation: 'returned with writes that the active never had; votes may still count on the data',
    from: 'standby',
    to: 'standby',
    // A copy that shall merely be made again goes on following: it may be one that commits wait for.
    when: (f) => f.lease.state === 'other' && isStandby(f) && f.branch?.kind === 'diverged',
    reason: () => 'diverged: waiting until this copy is no longer a voter',
    does: ['want'],
    actions: (f) => (f.wants === 'nothing' ? [{ do: 'want', what: 'rewind' }] : []),
  },
  {
    id: 717,
    situation: 'its data is not all in the log of the holder',
    from: 'standby',
    to: 'standby',
    when: (f) => f.lease.state === 'other' && isStandby(f) && f.towards === 'foreign',
    reason: (f) =>
      `has WAL that ${f.lease.holder} never had: replicating from no one until ${f.lease.holder} has opened, then it is saved and rewound`,
    does: ['cut', 'want'],
    actions: (f) => [
      ...(f.pg.upstreamHost === null ? [] : [{ do: 'cut' } as const]),
      ...(f.wants === 'nothing' ? [{ do: 'want', what: 'rewind' } as const] : []),
    ],
  },
  {
    id: 720,
    situation: 'promoted once, but never recorded as leader; another node is',
    from: 'standby',
    to: 'standby',
    when: (f) => f.lease.state === 'other' && isStandby(f) && f.branch?.kind === 'newer',
    reason: (f) => `this timeline is newer than the cluster's: waiting for ${f.lease.holder} to open`,
    // The holder may have grown out of this very timeline, and wait for confirmation; where not, the server
    // refuses.
    does: ['follow'],
    actions: (f) => (f.mayFollow && !f.followsHolder && f.towards === 'prefix' ? [{ do: 'follow' }] : []),
  },
  {
    id: 725,
    situation: 'its own lease ran out, and nobody else has it yet',
    from: 'standby',
    to: 'standby',
    when: (f) => f.lease.state === 'mine' && isStandby(f),
    reason: () => 'a standby again: its own lease ran out, and is being renewed or left to others',
    does: [],
    actions: () => [],
  },
  {
    id: 727,
    situation: 'standby that does not know yet whether all its data is in the log of the holder',
    from: 'standby',
    to: 'standby',
    when: (f) =>
      f.lease.state === 'other' && isStandby(f) && !f.followsHolder && f.mayFollow && f.towards === 'unknown',
    reason: (f) =>
      `cannot tell yet whether its data is all in the log of ${f.lease.holder}: replicating from no one until it can`,
    does: ['cut'],
    actions: (f) => (f.pg.upstreamHost === null ? [] : [{ do: 'cut' }]),
  },
  {
    id: 730,
    situation: 'standby whose active changed, or that was cut off for a vote',
    from: 'standby',
    to: 'standby',
    when: (f) => f.lease.state === 'other' && isStandby(f) && !f.followsHolder && f.mayFollow,
    reason: (f) => `following ${f.lease.holder}`,
    does: ['follow', 'want'],
    actions: (f) => [
      { do: 'follow' },
      ...(f.wants === 'rewind' ? [{ do: 'want', what: 'nothing' } as const] : []),
    ],
  },
  {
    id: 735,
    situation: 'standby that gave its vote',
    from: 'standby',
    to: 'standby',
    when: (f) => f.lease.state === 'other' && isStandby(f) && !f.mayFollow && !challengeable(f),
    reason: () => 'gave its vote: cut off until the lease has moved',
    does: [],
    actions: () => [],
  },
  {
    id: 740,
    situation: 'a service of this standby does not run',
    from: 'standby',
    to: 'standby',
    when: (f) => isStandby(f) && f.repairDue && f.services.missingAlways.length > 0,
    reason: (f) => `starting ${f.services.missingAlways.join(', ')}`,
    does: ['repair'],
    actions: (f) => [{ do: 'repair', names: f.services.missingAlways }],
  },
  {
    id: 742,
    situation: 'the files of this standby do not follow the active yet',
    from: 'standby',
    to: 'standby',
    when: (f) => f.lease.state === 'other' && isStandby(f) && f.filesDue === 'follow',
    reason: (f) => `its files follow ${f.lease.holder}`,
    does: ['files_follow'],
    actions: () => [{ do: 'files_follow' }],
  },
  {
    id: 743,
    situation: 'standby without a replication slot for each member',
    from: 'standby',
    to: 'standby',
    when: (f) => isStandby(f) && f.pg.accepting && f.slotsDue,
    reason: () => 'making the replication slots that a promotion here would need',
    does: ['ensure_slots'],
    actions: () => [{ do: 'ensure_slots' }],
  },
  {
    id: 745,
    situation: 'standby that carries an old list of voters',
    from: 'standby',
    to: 'standby',
    when: (f) => f.lease.state === 'other' && isStandby(f) && f.pg.streaming && f.followsHolder && !f.carries,
    reason: () => 'taking over the list of voters that a promotion would open with',
    does: ['carry_list'],
    actions: () => [{ do: 'carry_list' }],
  },
  {
    id: 750,
    situation: 'healthy standby',
    from: 'standby',
    to: 'standby',
    when: (f) => (f.lease.state === 'other' || f.lease.state === 'impostor') && isStandby(f),
    reason: (f) =>
      f.pg.streaming
        ? `standby, streaming from ${f.lease.holder}`
        : `standby of ${f.lease.holder}, not streaming`,
    does: [],
    actions: () => [],
  },
  {
    id: 760,
    situation: 'standby, and no lease has been read yet',
    from: 'standby',
    to: 'standby',
    when: (f) => (f.lease.state === 'absent' || f.lease.state === 'unknown') && isStandby(f),
    reason: () => 'standby; nobody is known to hold the lease',
    does: [],
    actions: () => [],
  },
];
