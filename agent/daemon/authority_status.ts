/** How far a new authority is, for people: the phase, which node has which root, and whom it waits for. */

import type { AuthorityStatus } from '../api/types.ts';
import type { Member } from '../node/member.ts';
import { type AuthorityMember, waitsFor } from '../security/authority.ts';
import { type DriveParts, membersNow, readAuthority } from '../security/authority_drive.ts';
import { rootOf } from '../security/roots.ts';
import type { Security } from '../security/store.ts';
import { clusterStatusOf } from './cluster_status.ts';

const BACK = (names: string): string =>
  `bring ${names} back, or take it out with 'agent cluster nodes remove'; this then continues by itself`;

function nextStep(silent: readonly string[], status: Omit<AuthorityStatus, 'next'>): string | null {
  if (silent.length > 0) return BACK(silent.join(' and '));
  if (status.hold)
    return status.waits.length === 0
      ? "every node trusts both roots: give ca.pem to whoever else trusts the cluster, then continue with 'agent cluster certificates --renew-ca'"
      : null;
  return null;
}

/** Throws transient `consul_unknown`, fatal `authority_unreadable`. */
export async function authorityStatus(
  parts: DriveParts,
  security: Security,
  member: Member,
): Promise<AuthorityStatus> {
  const known = await readAuthority(parts);
  const members = await membersNow(parts);
  const rows = new Map((await clusterStatusOf(member)).nodes.map((row) => [row.name, row]));
  const silent = (name: string): boolean => rows.get(name)?.silent === true;
  const nodes = members.map(({ name, report, joining = false }: AuthorityMember) => ({
    name,
    trusts: report?.trusts ?? null,
    keys: report?.keys ?? null,
    shows: report?.shows ?? null,
    joining,
    silent: silent(name),
  }));
  if (known === null) {
    const root = rootOf(security.ca.certificate).fingerprint;
    return {
      phase: 'done',
      root,
      old: null,
      hold: false,
      by: null,
      since: null,
      nodes,
      waits: [],
      next: null,
    };
  }
  const { record } = known;
  const root = rootOf(record.certificate).fingerprint;
  const waits = waitsFor(record.phase, root, members).map(({ node, why }) => ({
    node,
    why,
    silent: silent(node),
  }));
  const phase = record.phase === 'drop' && waits.length === 0 ? ('done' as const) : record.phase;
  const { old, by, at, hold = false } = record;
  const status = { phase, root, old, hold, by, since: at, nodes, waits };
  const away = waits.filter((wait) => wait.silent).map(({ node }) => node);
  return { ...status, next: nextStep(away, status) };
}
