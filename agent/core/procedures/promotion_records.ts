/** What a promotion writes down in Consul about itself. Pure. */
import type { NodeContext } from '../node.ts';
import type { TxnOp } from '../ports.ts';
import { type ActiveRecord, type HistoryRecord, lsnText } from '../records.ts';
import { timelinesTakenUnseen } from '../unreadable.ts';

/**
 * A number that no promotion ever had: they are reserved under the lease before they are used (PROTOCOL E.1).
 * Tried again under one epoch it is the same number: nobody who cannot read that record has to reckon with
 * more than one.
 */
export function nextTimeline(n: NodeContext, current: number): number {
  const history = n.view?.history ?? [];
  const own = history.find((h) => h.epoch === n.lease.right?.epoch && h.holder === n.name);
  const known = history.filter((h) => h !== own).map((h) => h.timeline);
  const highest = Math.max(current, n.view?.sync?.value.timeline ?? 0, ...known);
  const next = highest + 1 + timelinesTakenUnseen(n.view);
  return Math.max(next, own?.timeline ?? 0);
}

/** history/EPOCH: as a reservation before the promotion, whole once it is confirmed. */
export function historyOp(
  n: NodeContext,
  epoch: number,
  timeline: number,
  opened: { insert: bigint; forks: { tli: number; lsn: string }[] } | null,
): TxnOp {
  const lease = n.lease.record;
  const at = n.wall().toISOString();
  const before = n.view?.history.find((h) => h.epoch === epoch);
  const record: HistoryRecord = {
    schema: 1,
    epoch,
    holder: n.name,
    from: lease?.from ?? null,
    reason: lease?.reason ?? '',
    kind:
      before?.kind ??
      (lease?.clean != null || n.candidacy.mandate?.kind === 'handover'
        ? 'switchover'
        : n.candidacy.mandate?.kind === 'founder'
          ? 'start'
          : 'failover'),
    at: before?.at ?? at,
    timeline,
    lsn: opened === null ? null : lsnText(opened.insert),
    fork: opened?.forks ?? [],
    opened: opened === null ? null : at,
    ...lackingFiles(n, before),
    downtimeMs:
      opened === null || n.fence.outageSince === null ? null : Math.round(n.now() - n.fence.outageSince),
  };
  return { verb: 'set', key: `history/${epoch}`, value: record };
}

/** As it was at the promotion: what a former active alone had, its successor may never get. */
function lackingFiles(n: NodeContext, before: HistoryRecord | undefined): Pick<HistoryRecord, 'files'> {
  if (before?.files !== undefined) return { files: before.files };
  const { state, needItems, needBytes } = n.files.facts;
  return state === 'off' || state === 'unknown' ? {} : { files: { needItems, needBytes } };
}

export function activeRecord(n: NodeContext, timeline: number): ActiveRecord {
  return {
    schema: 1,
    node: n.name,
    epoch: n.lease.right?.epoch ?? 0,
    hostIp: n.view?.nodes[n.name]?.hostIp ?? '',
    timeline,
    since: n.wall().toISOString(),
  };
}
