/**
 * Not a member any more, another cluster's data, or active without the right to be: shut down first, ask
 * later.
 */
import { actsActive, elsewhere, holds, isPrimary, type Rule, seconds } from '../rule.ts';

export const safety: Rule[] = [
  {
    id: 100,
    situation: 'this node was removed from the cluster',
    from: 'any',
    to: 'fenced',
    when: (f) => f.removed,
    reason: () => 'removed from the cluster: data kept, nothing runs',
    does: ['fence_down', 'cancel_task'],
    actions: (f) => [
      ...(f.task === null ? [] : [{ do: 'cancel_task' } as const]),
      ...(f.pg.process === 'stopped' && f.services.running.length === 0
        ? []
        : [{ do: 'fence_down', why: 'removed from the cluster' } as const]),
    ],
  },
  {
    id: 110,
    situation: "the database, the cluster or its incarnation is not this node's",
    from: 'any',
    to: 'fenced',
    when: (f) => f.foreign !== 'no',
    reason: (f) =>
      f.foreign === 'system'
        ? "the database's system identifier is not the cluster's"
        : f.foreign === 'incarnation'
          ? 'Consul shows an older incarnation of this cluster'
          : 'Consul belongs to another cluster',
    does: ['fence_down'],
    actions: (f) =>
      f.pg.process === 'stopped' && f.services.running.length === 0
        ? []
        : [{ do: 'fence_down', why: `foreign ${f.foreign}` }],
  },
  {
    id: 120,
    situation: "another instance holds the lease under this node's name, and this one acts as active",
    from: 'active',
    to: 'fenced',
    when: (f) => f.lease.state === 'impostor' && actsActive(f),
    reason: () =>
      'another instance under this name holds the lease (a cloned machine, or this one before a reboot)',
    does: ['fence_down'],
    actions: () => [{ do: 'fence_down', why: 'another instance under this name' }],
  },
  {
    id: 130,
    situation: 'offered the lease, and a primary runs here that should not',
    from: 'active',
    to: 'fenced',
    when: (f) => f.lease.state === 'offered' && isPrimary(f),
    reason: () => 'a primary runs without the right to be active',
    does: ['fence_down'],
    actions: () => [{ do: 'fence_down', why: 'a primary ran without the right to be active' }],
  },
  {
    id: 200,
    situation: 'acts as active, and its lease ran out',
    from: 'active',
    to: 'fenced',
    when: (f) => actsActive(f) && !holds(f) && !elsewhere(f) && f.age > f.startGrace,
    reason: () => 'the right to be active has run out',
    does: ['fence_down'],
    actions: () => [{ do: 'fence_down', why: 'the lease ran out' }],
  },
  {
    id: 205,
    situation: 'the agent has just started beside a running primary: its lease is being confirmed',
    from: 'active',
    to: 'active',
    when: (f) =>
      (actsActive(f) || f.lease.state === 'mine') && !holds(f) && !elsewhere(f) && f.age <= f.startGrace,
    reason: () => 'agent just started; confirming the lease',
    does: [],
    actions: () => [],
  },
  {
    id: 210,
    situation: 'active, Consul does not answer, the lease is still valid',
    from: 'active',
    to: 'active',
    when: (f) => holds(f) && f.consul === 'unreachable',
    reason: (f) =>
      f.failsafe
        ? 'FAILSAFE: Consul does not answer, every member agrees that this node stays active'
        : `Consul does not answer; the lease is valid for ${seconds(f.lease.right)} more`,
    does: [],
    actions: () => [],
  },
  {
    id: 220,
    situation: 'standby, Consul does not answer',
    from: 'standby',
    to: 'standby',
    when: (f) => f.consul === 'unreachable' && !actsActive(f),
    reason: () => 'Consul does not answer; nothing is changed',
    does: [],
    actions: () => [],
  },
  {
    id: 230,
    situation: 'a primary or active-only services run while another node has the lease',
    from: 'active',
    to: 'fenced',
    when: (f) => elsewhere(f) && actsActive(f),
    reason: (f) => (f.lease.holder === '' ? 'the lease was released' : `${f.lease.holder} holds the lease`),
    does: ['fence_down'],
    actions: (f) => [
      {
        do: 'fence_down',
        why: f.lease.holder === '' ? 'the lease was released' : `${f.lease.holder} holds the lease`,
      },
    ],
  },
  {
    id: 240,
    situation: 'a key in Consul that decides who may be active is not understood',
    from: 'any',
    to: 'any',
    when: (f) => f.faults.length > 0,
    reason: (f) =>
      `${f.faults.join(', ')} in Consul cannot be read: no role is changed; upgrade this agent, or correct the value`,
    does: [],
    actions: () => [],
  },
];
