/** Who is who among the server's sessions, as SQL conditions. */
import { messageOf } from '../../errors.ts';
import type { Server } from './server.ts';
import { quoteLiteral, sqlState } from './sql.ts';

/**
 * application_name of basebackups: never in a list of voters, and not to be ended with the walsenders that
 * are.
 */
export const cloneName = (node: string): string => `agent_clone_${node}`;

/** On pg_stat_activity as `a`: the agent's own, over the Unix socket. */
const isOwn = (server: Server): string =>
  `(a.usename = ${quoteLiteral(server.o.superuser)} and a.client_addr is null and a.application_name = ${quoteLiteral(server.link.name)})`;

/** On pg_stat_activity as `a`: somebody that writes or reads, the superuser over TCP included. */
export const isClient = (server: Server): string =>
  `(a.backend_type = 'client backend' and not ${isOwn(server)})`;

/** On a view with application_name: walsenders that are no standby's. */
export const systemSenders = (server: Server): string =>
  `(application_name like 'agent\\_clone\\_%' or application_name = ${quoteLiteral(server.link.name)})`;

/**
 * What refuses the agent's own login however often it tries: no such role or database, or a rule of
 * somebody's. Null: anything else.
 */
export function loginProblem(error: unknown): string | null {
  if (!/^(28|3D)/.test(sqlState(error) ?? '')) return null;
  return `the agent cannot log in: ${messageOf(error)}`;
}
