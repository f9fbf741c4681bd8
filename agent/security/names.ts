/**
 * One common name per service: `postgres.m2.3f9a...`, `consul.m2.3f9a...`. What follows the service is the
 * membership's name, new at each join, as the node's record has it. Before there were these, all certificates
 * of a node had the membership's name alone, so Consul's key opened PostgreSQL.
 *
 * How a cluster of before gets there: each agent says in `state/NAME` that it lets the new names in. Once
 * every member says so, each renews its own certificates under the new names, says that its PostgreSQL uses
 * them, and from then on its old name is nobody's. A member that is away, or was not upgraded, holds up the
 * renewals and nothing else.
 */
import type { NodeContext } from '../core/node.ts';
import type { NodeRecord, StateRecord, View } from '../core/records.ts';
import type { LiveSecurity } from './live.ts';
import type { ServiceName } from './store.ts';

/** Most characters in a common name (X.509). */
const LONGEST = 64;

/** Of a long name what is at its end counts: that is the part drawn by chance. */
export const serviceName = (service: ServiceName, membership: string): string =>
  `${service}.${membership.slice(-(LONGEST - 1 - service.length)).replace(/^[_-]+/, '')}`;

const OF_SERVICE = /^(?:agent|consul|postgres)\.(.*\..*)$/;

/** The membership's name, from a certificate's of before or of now. */
export const membershipOf = (commonName: string): string => OF_SERVICE.exec(commonName)?.[1] ?? commonName;

/** Has this certificate its service's own name? */
export const hasOwnName = (commonName: string): boolean => OF_SERVICE.test(commonName);

/** A record, and whether certificates with its membership's name alone still count. */
export type AdmittedNode = NodeRecord & { readonly oldNameEnded?: boolean };

export const withState = (record: NodeRecord, state: StateRecord | undefined): AdmittedNode =>
  state?.certificates === 'own' ? { ...record, oldNameEnded: true } : record;

/** Common names of the certificates that PostgreSQL lets in now, sorted. */
export const replicationNames = (admitted: Readonly<Record<string, AdmittedNode>>): string[] =>
  Object.values(admitted)
    .flatMap(({ certificate, oldNameEnded = false }) => {
      if (certificate === undefined) return [];
      const own = serviceName('postgres', certificate.name);
      return certificate.services === true || oldNameEnded ? [own] : [own, certificate.name];
    })
    .sort();

/** Do all members let the new names in? Unknown is no. */
export function everybodyKnows(view: Pick<View, 'nodes' | 'states'> | null | undefined): boolean {
  const members = Object.keys(view?.nodes ?? {});
  return members.length > 0 && members.every((name) => view?.states[name]?.certificates !== undefined);
}

/**
 * Should this node renew now, to have the new names? Not while its database is copied, by a connection with
 * the old one.
 */
export function renamingDue(
  node: Pick<NodeContext, 'view' | 'copy'> | undefined,
  security: Pick<LiveSecurity, 'current' | 'inPostgres'> | undefined,
): boolean {
  const own = security?.current();
  if (own === undefined || own.ca.key === '' || node === undefined) return false;
  if (node.copy.durable.rebuilding !== null || node.copy.task !== null || !everybodyKnows(node.view))
    return false;
  return own.certificate.services !== true || security?.inPostgres() === 'shared';
}
