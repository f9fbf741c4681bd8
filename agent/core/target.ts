/** To whom the active could hand over, and whether it is time to. Pure, from what this node knows. */
import type { NodeContext } from './node.ts';
import type { PgFacts, WalSender } from './postgres.ts';
import { type StateRecord, standbyName, type View } from './records.ts';
import { isUnreadable } from './unreadable.ts';

export type RequestFacts = {
  id: string;
  target: string;
  /** Who asked for it. */
  by: string;
  expired: boolean;
  /** Why it cannot be carried out; null when it can, now or soon. */
  unfit: string | null;
  /** What it still waits for, for a bounded time. */
  waiting: string | null;
};

/**
 * Why a node cannot take over, as any node can tell from the view alone; the active looks closer before it
 * acts.
 */
export function unfitnessSeen(view: View, node: string): string | null {
  const member = view.nodes[node];
  const state = view.states[node];
  if (member === undefined) return 'there is no such node';
  if (isUnreadable(view, `nodes/${node}`)) return 'its record in Consul cannot be read';
  if (isUnreadable(view, `state/${node}`)) return 'its own report in Consul cannot be read';
  if (view.lease?.value.holder === node) return 'it is already the active';
  if (state === undefined) return 'it has not reported yet';
  if (member.options.maintenance) return 'it is in maintenance';
  if (state.wants !== 'nothing') return `its data needs a ${state.wants}`;
  if (state.failing.length > 0) return `its checks fail: ${state.failing.join(', ')}`;
  if (state.role !== 'standby') return `it is ${state.role}`;
  return null;
}

/** Why `node` cannot take over from us right now; null when it can. */
export function unfitness(n: NodeContext, pg: PgFacts, node: string): string | null {
  if (n.view === null) return 'Consul has not been read yet';
  const seen = unfitnessSeen(n.view, node);
  if (seen !== null) return seen;
  return streams(n, pg, node) ? null : 'it is not streaming';
}

function streams(n: NodeContext, pg: PgFacts, node: string): boolean {
  return senderOf(n, pg, node)?.state === 'streaming';
}

function senderOf(n: NodeContext, pg: PgFacts, node: string): WalSender | undefined {
  const clone = n.view?.states[node]?.clone ?? '';
  return pg.walSenders.find((s) => s.name === standbyName({ node, clone }));
}

/**
 * What a node lacks of the files, for the order among candidates: 0 is complete, or has none to replicate.
 * Unknown comes last; it never keeps anybody from anything.
 */
export function filesLacking(state: StateRecord | undefined): number {
  const files = state?.files;
  if (files === undefined || files.state === 'off' || files.state === 'complete') return 0;
  return files.state === 'unknown' ? Number.POSITIVE_INFINITY : Math.max(1, files.needBytes);
}

export function bestStandby(n: NodeContext, pg: PgFacts): string | null {
  const fit = Object.keys(n.view?.nodes ?? {}).filter(
    (node) =>
      !n.view?.nodes[node]?.options.nofailover &&
      !n.view?.states[node]?.cooldown &&
      unfitness(n, pg, node) === null,
  );
  const priority = (node: string) => n.view?.nodes[node]?.options.priority ?? 100;
  const lacking = (node: string) => filesLacking(n.view?.states[node]);
  const unready = (node: string) => n.view?.states[node]?.unready?.length ?? 0;
  const order = (a: number, b: number) => (a === b ? 0 : a < b ? -1 : 1);
  return (
    fit.sort(
      (a, b) =>
        order(unready(a), unready(b)) ||
        order(lacking(a), lacking(b)) ||
        order(priority(b), priority(a)) ||
        (a < b ? -1 : 1),
    )[0] ?? null
  );
}

export function requestOf(n: NodeContext, pg: PgFacts): RequestFacts | null {
  const request = n.view?.request?.value;
  if (request === undefined || request.refused !== null) return null;
  const { id, target, by } = request;
  const expired = request.expires < n.wall().getTime() || request.epoch !== (n.lease.record?.epoch ?? 0);
  const refused = n.main.requestRefused?.id === id ? n.main.requestRefused.why : null;
  const waiting = notReady(n, pg, target);
  const waited = n.main.requestSeen?.id === id ? n.now() - n.main.requestSeen.at : 0;
  const inVain = waiting !== null && waited > n.policy.switchoverWait ? waiting : null;
  const unfit = n.view === null ? null : unfitnessSeen(n.view, target);
  return { id, target, by, expired, unfit: refused ?? unfit ?? inVain, waiting };
}

/**
 * What a planned change waits for: the target's database and files. Nobody's clients are shut out meanwhile.
 * A standby that does not stream right now may have been started a moment ago, so this is waited for and no
 * reason to refuse at once.
 */
function notReady(n: NodeContext, pg: PgFacts, target: string): string | null {
  if (!streams(n, pg, target)) return 'it is not streaming';
  const replay = senderOf(n, pg, target)?.replay ?? null;
  const own = pg.position?.lsn ?? null;
  if (replay !== null && own !== null && own - replay > BigInt(n.policy.switchoverLag))
    return `it is ${own - replay} bytes behind`;
  const unready = n.view?.states[target]?.unready ?? [];
  if (unready.length > 0) return `it does not have ${unready.join(' and ')} yet`;
  const files = n.view?.states[target]?.files;
  if (n.files.facts.state === 'off' || files === undefined) return null;
  if (n.files.facts.unsent !== undefined) return `it lacks what cannot be sent: ${n.files.facts.unsent}`;
  if (files.state === 'behind') return `it lacks ${files.needItems} files (${files.needBytes} bytes)`;
  return files.state === 'unknown' ? 'the state of its files is not known' : null;
}
