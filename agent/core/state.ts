import type { Decision } from './decide.ts';
import type { Facts } from './facts.ts';
import type { NodeContext } from './node.ts';
import { lsnText, type StateRecord } from './records.ts';

/** What a promotion here would have to make before clients could be let in. */
const unready = (f: Facts): string[] => [
  ...(f.slotsDue ? ['replication slots for the members'] : []),
  ...(f.carries ? [] : ['the list of voters']),
];

function certificates(n: NodeContext): Pick<StateRecord, 'certificates'> {
  const known = n.certificates?.();
  return known === undefined ? {} : { certificates: known };
}

/** What this node says of itself under state/NAME. */
export function stateOf(n: NodeContext, f: Facts, decision: Decision): StateRecord {
  const active =
    f.lease.state === 'mine' && f.lease.right > 0 && f.pg.role === 'primary' && f.fence === 'open';
  return {
    schema: 1,
    role: active
      ? 'active'
      : f.stopping === 'shutdown'
        ? 'down'
        : f.rebuilding !== null || f.pg.data === 'empty'
          ? 'joining'
          : f.pg.process === 'running'
            ? 'standby'
            : 'down',
    clone: n.copy.durable.clone,
    timeline: f.pg.position?.timeline ?? 0,
    lsn: lsnText(f.pg.position?.lsn ?? 0n),
    wants: f.rebuilding !== null ? 'reclone' : n.copy.wants,
    failing: f.checks.failing,
    cooldown: n.failures.until > n.now(),
    ...(active || unready(f).length === 0 ? {} : { unready: unready(f) }),
    ...(active && f.request?.waiting != null
      ? { waiting: { id: f.request.id, why: `${f.request.target}: ${f.request.waiting}` } }
      : {}),
    checks: f.checks.all,
    files: {
      state: f.files.state,
      needItems: f.files.needItems,
      needBytes: f.files.needBytes,
      errors: f.files.errors,
    },
    rule: `${decision.rule}`,
    reason: decision.reason,
    agentVersion: n.version,
    at: n.wall().toISOString(),
    ...certificates(n),
    ...(n.signs?.() === true ? { signs: true } : {}),
    ...(n.timesNote === null ? {} : { fileTimes: n.fileTimes }),
  };
}
