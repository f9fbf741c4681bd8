/** What the core gets to know of the modelled server. */
import type { PgFacts } from '../../agent/core/postgres.ts';
import type { SimNode } from './sim_node.ts';

export function facts(node: SimNode, now: number): PgFacts {
  const { server } = node;
  const proc = server.proc;
  const accepting = proc?.accepting ?? false;
  return {
    data: server.data,
    process: proc === null ? 'stopped' : 'running',
    accepting,
    role: proc === null || !accepting ? 'unknown' : proc.role,
    standbySignal: server.standbySignal,
    systemId: server.data === 'ok' ? server.systemId : null,
    position: position(node, now),
    streaming: proc?.receiver?.streaming ?? false,
    upstreamHost: server.upstream === null ? null : hostOf(server.upstream),
    syncList: server.list,
    walSenders: proc === null || !accepting ? [] : sendersOf(node, now),
    fenced: proc === null ? true : !node.fence.isOpen(),
  };
}

export function hostOf(name: string): string {
  return `host-${name}`;
}

function position(node: SimNode, now: number): PgFacts['position'] {
  const { server } = node;
  const proc = server.proc;
  if (proc === null || !proc.accepting) return null;
  const timeline = server.branch.tli;
  if (!proc.settled) {
    // Replay has begun at the last checkpoint: what is reported is too low (PROTOCOL D.2).
    const low = BigInt(Math.max(server.flushed - 40_000, 0));
    return { timeline, lsn: low, replayed: low, settled: false };
  }
  const replayed = server.replayed(now);
  const idle = replayed === server.flushed;
  return { timeline, lsn: BigInt(server.flushed), replayed: BigInt(replayed), settled: true, idle };
}

export function hungFacts(node: SimNode): PgFacts {
  return {
    ...facts(node, 0),
    process: 'running',
    accepting: false,
    role: 'unknown',
    position: null,
    walSenders: [],
    fenced: 'unknown',
  };
}

export function sendersOf(node: SimNode, now: number): PgFacts['walSenders'] {
  return (node.server.proc?.senders ?? []).map((link) => {
    const flush = link.flush;
    const replay = flush === null ? null : Math.min(flush, link.down.replayed(now));
    return {
      name: link.name,
      state: 'streaming',
      sent: BigInt(link.sentTo),
      flush: flush === null ? null : BigInt(flush),
      replay: replay === null ? null : BigInt(replay),
    };
  });
}
