/**
 * What the agent says of the whole cluster: rows for the API, the command line and the page. Pure readers.
 */

import type { ClusterStatus, NodeRow } from '../api/types.ts';
import { confirmedBy } from '../core/postgres.ts';
import { type RequestRecord, type StateRecord, standbyName, type View } from '../core/records.ts';
import { stateOf } from '../core/state.ts';
import { leaseReport } from '../membership/lease_times.ts';
import { endOf } from '../membership/reservation.ts';
import type { Member } from '../node/member.ts';
import { differencesOf, sameFolders } from '../node/member_settings.ts';
import { doNotSign } from '../security/signed_records.ts';
import { COLUMN_CHECKS, warningsOf } from './check_columns.ts';
import { activeKnown, consulAnswers, outageOf, quorumOf, type Seen } from './outage.ts';

/** A state older than this many heartbeats is that of a node that is gone. */
const STALE_HEARTBEATS = 2;

export function isDegraded(member: Member | null): boolean {
  const sync = member?.node.view?.sync?.value;
  const members = Object.keys(member?.node.view?.nodes ?? {}).length;
  return sync !== undefined && members > 1 && sync.voters.length === 0;
}

const EMPTY: ClusterStatus = {
  initialized: false,
  id: null,
  error: null,
  active: null,
  epoch: 0,
  since: null,
  paused: false,
  pausedUntil: null,
  sync: null,
  degraded: false,
  request: null,
  quorum: null,
  nodes: [],
};

export async function clusterStatusOf(member: Member | null): Promise<ClusterStatus> {
  if (member === null) return EMPTY;
  const { node } = member;
  const view = node.view;
  const active = activeKnown(node);
  const asked = active === null || active === node.name || !consulAnswers(node) ? null : active;
  const [found, told] = await Promise.all([
    member.consul.catalog.members({ deadlineMs: 500 }),
    asked === null ? null : member.peers.lags(asked, 300),
  ]);
  const members = found.kind === 'ok' ? found.value : null;
  const quorum = quorumOf(members, consulAnswers(node));
  const outage = outageOf(node, quorum);
  if (view === null) {
    const nodes = (members ?? []).filter(({ server }) => server).map((server) => unheard(member, server));
    const error = 'Consul has not been reached yet';
    return { ...EMPTY, initialized: true, error, quorum, outage, nodes };
  }
  const config = view.config?.value;
  const request = view.request?.value;
  const seen = { alive: aliveOf(members), lags: told ?? lagsOf(member), active };
  return {
    initialized: true,
    id: view.cluster?.value.id ?? null,
    error: wasRemoved(member)
      ? 'this node was removed from the cluster'
      : outage === null
        ? null
        : 'Consul does not answer',
    active,
    last_active: lastActive(view),
    epoch: view.lease?.value.epoch ?? 0,
    since: active === null ? null : (view.active?.value.since ?? null),
    paused: config?.paused ?? false,
    pausedUntil: config?.pausedUntil == null ? null : new Date(config.pausedUntil).toISOString(),
    sync: view.sync?.value ?? null,
    degraded: isDegraded(member),
    lease: leaseReport(node),
    ...(view.unreadable === undefined ? {} : { unreadable: view.unreadable }),
    ...(node.signs?.() !== true || member.signed.demanded() ? {} : { unsigned: doNotSign(view) }),
    request:
      request === undefined
        ? null
        : {
            id: request.id,
            target: request.target,
            refused: request.refused,
            waiting: waitingFor(member, request),
          },
    quorum,
    outage,
    nodes: Object.keys(view.nodes)
      .sort()
      .map((name) => rowOf(member, name, seen)),
    reservations: Object.entries(view.joining ?? {}).map(([name, held]) => ({
      name,
      hostIp: held.node.hostIp,
      ends: new Date(endOf(held)).toISOString(),
    })),
  };
}

function lastActive(view: View): NonNullable<ClusterStatus['last_active']> | null {
  const named = view.active?.value;
  return named === undefined ? null : { node: named.node, epoch: named.epoch, since: named.since };
}

/** The active knows, and says so under state/; a handover under way only there. */
function waitingFor({ node, last }: Member, request: RequestRecord): string | null {
  const holder = node.view?.lease?.value.holder ?? '';
  if (request.refused !== null) return null;
  if (holder !== node.name) {
    const said = node.view?.states[holder]?.waiting;
    return said?.id === request.id ? said.why : null;
  }
  if (node.main.step !== null) return `${node.name} waits ${node.main.step}`;
  const asked = last()?.facts.request;
  return asked?.id !== request.id || asked.waiting === null ? null : `${request.target}: ${asked.waiting}`;
}

const aliveOf = (members: readonly Seen[] | null): string[] | null =>
  members === null ? null : members.filter(({ status }) => status === 'alive').map(({ name }) => name);

/** A server of Consul, before anything else was read. */
function unheard(member: Member, { name, address, status }: Seen): NodeRow {
  const own = name === member.node.name;
  const off = { consul: false, services: false, database: false, heartbeat: false, filesync: false };
  return {
    ...{ name, host_ip: address, public_ip: null, master: false, initialized: true, checks: off },
    ...{ state: own || status === 'alive' ? 'unknown' : 'offline', online: own },
    ...{ lag: null, timeline: 0, voter: false, version: '' },
    reason: own ? (member.last()?.decision.reason ?? '') : '',
    ...{ silent: !own, last_word: null, silent_for: null },
  };
}

/** By its tombstone, which is the last that it hears. */
function wasRemoved({ node }: Member): boolean {
  return node.view?.removed.includes(node.name) === true && node.view.nodes[node.name] === undefined;
}

type SeenNow = { alive: string[] | null; lags: Record<string, number | null>; active: string | null };

/** This node's own word is of now, whether or not Consul took it. */
function wordOf({ node, last }: Member, name: string): StateRecord | undefined {
  const now = name === node.name ? last() : null;
  return now === null ? node.view?.states[name] : stateOf(node, now.facts, now.decision);
}

/**
 * By the writer's clock against ours: for people, and to tell the long dead. null: nothing was said, or not
 * when.
 */
function ageOf(node: Member['node'], state: StateRecord | undefined): number | null {
  const at = Date.parse(state?.at ?? '');
  return Number.isNaN(at) ? null : Math.max(0, node.wall().getTime() - at);
}

/**
 * None of them failed, and not all are without a result: those of an agent that has only just started are not
 * known.
 */
const wellSaid = (state: StateRecord | undefined, names: readonly string[]): boolean => {
  const said = names.flatMap((name) => state?.checks[name] ?? []);
  return said.length > 0 && said.every(({ ok }) => ok);
};

function rowOf(member: Member, name: string, { alive, lags, active }: SeenNow): NodeRow {
  const { node } = member;
  const view = node.view;
  const record = view?.nodes[name];
  const own = name === node.name;
  const state = wordOf(member, name);
  const age = ageOf(node, state);
  const fresh = age !== null && age < node.policy.heartbeat * STALE_HEARTBEATS && consulAnswers(node);
  const up = alive === null || alive.includes(name);
  // One that had the role until somebody else took it has said nothing since.
  const superseded = state?.role === 'active' && active !== null && active !== name;
  // Its Consul may be down while its agent goes on: then its own last word says so.
  const silent = !own && !(fresh && !superseded && (up || state?.checks.consul?.ok === false));
  const online = own || (!silent && up);
  // Named in Consul, and saying of itself that it is open: after a cold start the first alone proves nothing.
  const leader = !silent && active === name && view?.lease?.value.holder === name && state?.role === 'active';
  const group = (names: readonly string[]) => !silent && wellSaid(state, names);
  // Without folders there is no such check; an earlier version says nothing of files.
  const off = state !== undefined && (state.files === undefined || state.files.state === 'off');
  const noFiles = !silent && off && state.checks.filesync === undefined;
  const seenUp = alive?.includes(name) === true;
  return {
    name,
    host_ip: record?.hostIp ?? '',
    public_ip: record?.publicIp ?? null,
    state:
      silent && seenUp
        ? 'unknown'
        : !online || state === undefined
          ? 'offline'
          : leader
            ? 'leader'
            : 'replica',
    online,
    master: leader,
    initialized: state !== undefined && state.role !== 'joining',
    checks: {
      // Heard over Consul, in which it is alive.
      consul:
        !silent && state !== undefined && state.checks.consul?.ok !== false && up && consulAnswers(node),
      services: group(COLUMN_CHECKS.services),
      database: group(COLUMN_CHECKS.database) && state?.role !== 'down',
      heartbeat: !silent && state !== undefined && consulAnswers(node),
      filesync:
        (group(COLUMN_CHECKS.filesync) || noFiles) &&
        sameFolders(view?.nodes ?? {}, name, view?.active?.value.node ?? null),
    },
    ...(silent ? {} : warningsOf(state)),
    differs: differencesOf(view?.nodes ?? {}, name, view?.active?.value.node ?? null),
    lag: silent ? null : (lags[name] ?? null),
    timeline: state?.timeline ?? 0,
    voter: view?.sync?.value.voters.some((v) => v.node === name) ?? false,
    reason: state?.reason ?? '',
    version: record?.version ?? '',
    ...{ silent, last_word: state?.at ?? null, silent_for: silent ? age : null },
  };
}

export function lagsOf(member: Member): Record<string, number | null> {
  const names = Object.keys(member.node.view?.nodes ?? {});
  return Object.fromEntries(names.map((name) => [name, lagOf(member, name)]));
}

/** Bytes behind, where this node can tell: the active sees its walsenders, a standby its own. */
function lagOf(member: Member, name: string): number | null {
  const { node } = member;
  const state = node.view?.states[name];
  if (activeKnown(node) === name) return 0;
  if (state === undefined || node.db.facts?.role !== 'primary' || node.db.facts.position === null)
    return null;
  const sender = node.db.facts.walSenders.find(
    (s) => s.name === standbyName({ node: name, clone: state.clone }),
  );
  const flush = sender === undefined ? null : confirmedBy(sender);
  return flush === null ? null : Math.max(0, Number(node.db.facts.position.lsn - flush));
}
