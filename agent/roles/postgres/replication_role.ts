/**
 * The role that standbys, basebackup and rewind connect with: REPLICATION and what pg_rewind reads its source
 * with, granted singly. Its certificate lies on every member, so whatever else it could do, each of them
 * could do to the active. Checks, slots and the agent's own statements go over the Unix socket as the agent's
 * role.
 */

import { Buffer } from 'node:buffer';
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import type { Outcome } from '../../core/postgres.ts';
import { deadline } from '../../platform/clock.ts';
import { attempt, DONE, type Server } from './server.ts';
import { quoteIdentifier, quoteLiteral } from './sql.ts';

/** What pg_rewind reads its source with. */
const rewindFunctions = [
  'pg_ls_dir(text, boolean, boolean)',
  'pg_stat_file(text, boolean)',
  'pg_read_binary_file(text)',
  'pg_read_binary_file(text, bigint, bigint, boolean)',
];

/**
 * What the server stores of a password (RFC 5803). Made here, so that no log ever shows the password itself.
 */
export function scramVerifier(password: string, salt: Uint8Array = randomBytes(16), rounds = 4096): string {
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, rounds, 32, 'sha256');
  const mac = (text: string) => createHmac('sha256', salted).update(text).digest();
  const stored = createHash('sha256').update(mac('Client Key')).digest('base64');
  const base64 = Buffer.from(salt).toString('base64');
  return `SCRAM-SHA-256$${rounds}:${base64}$${stored}:${mac('Server Key').toString('base64')}`;
}

/** What it lacks, and what it has too much; `there` is null where there is no such role. */
const look = (name: string): string => `select r.oid::text as there,
    not (r.rolcanlogin and r.rolreplication)
      or r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolbypassrls as alter,
    not (${rewindFunctions.map((f) => `has_function_privilege(r.oid, 'pg_catalog.${f}', 'execute')`).join(' and ')}) as lacks,
    (select string_agg(quote_ident(g.rolname), ', ') from pg_auth_members m join pg_roles g on g.oid = m.roleid
      where m.member = r.oid) as groups
  from (select ${quoteLiteral(name)}::name as wanted) w left join pg_roles r on r.rolname = w.wanted`;

/**
 * On a primary: create the role or bring it to what it may have; standbys get it by replication. Asks, and
 * writes only where something differs. No session that is open is ended by it: streaming goes on.
 */
export async function ensureReplicationRole(server: Server, ms: number): Promise<Outcome> {
  const { replicationUser: name, replicationAuth: auth } = server.o;
  const role = quoteIdentifier(name);
  return await attempt('replication role', async () => {
    const end = deadline(ms);
    const [found = {}] = await server.link.query(look(name), end.left());
    const there = found.there !== null;
    const password =
      typeof auth === 'string' ? '' : ` password ${quoteLiteral(scramVerifier(auth.password))}`;
    const grants = rewindFunctions.map((f) => `grant execute on function pg_catalog.${f} to ${role}`);
    const changed = !there || found.alter === true || password !== '';
    const statements = [
      ...(changed
        ? [
            `${there ? 'alter' : 'create'} role ${role} with login replication nosuperuser nocreaterole nocreatedb nobypassrls${password}`,
          ]
        : []),
      // Of a superuser every function says that it may be called: what it was granted shows only afterwards.
      ...(changed || found.lacks === true ? grants : []),
      ...(typeof found.groups === 'string' ? [`revoke ${found.groups} from ${role}`] : []),
    ];
    if (statements.length > 0) await server.link.query(statements.join('; '), end.left());
    return DONE;
  });
}
