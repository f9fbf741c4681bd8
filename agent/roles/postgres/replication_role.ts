/** The role that standbys, basebackup and rewind connect with. */
import { Buffer } from 'node:buffer';
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import type { Outcome } from '../../core/postgres.ts';
import { attempt, DONE, type Server } from './server.ts';
import { quoteIdentifier, quoteLiteral } from './sql.ts';

/** What pg_rewind reads its source with. */
const rewindFunctions = [
  'pg_ls_dir(text, boolean, boolean)',
  'pg_stat_file(text, boolean)',
  'pg_read_binary_file(text)',
  'pg_read_binary_file(text, bigint, bigint, boolean)',
];

/** What the server stores of a password (RFC 5803). Made here, so that no log ever shows the password itself. */
export function scramVerifier(password: string, salt: Uint8Array = randomBytes(16), rounds = 4096): string {
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, rounds, 32, 'sha256');
  const mac = (text: string) => createHmac('sha256', salted).update(text).digest();
  const stored = createHash('sha256').update(mac('Client Key')).digest('base64');
  const base64 = Buffer.from(salt).toString('base64');
  return `SCRAM-SHA-256$${rounds}:${base64}$${stored}:${mac('Server Key').toString('base64')}`;
}

/** On a primary: create the role or bring it up to date; standbys get it by replication. */
export async function ensureReplicationRole(server: Server, ms: number): Promise<Outcome> {
  const { replicationUser: name, replicationAuth: auth } = server.o;
  const role = quoteIdentifier(name);
  return await attempt('replication role', async () => {
    const [there] = await server.link.query(
      `select 1 from pg_roles where rolname = ${quoteLiteral(name)}`,
      ms,
    );
    const password =
      typeof auth === 'string' ? '' : ` password ${quoteLiteral(scramVerifier(auth.password))}`;
    const statements = [
      `${there ? 'alter' : 'create'} role ${role} with login replication${password}`,
      ...rewindFunctions.map((f) => `grant execute on function pg_catalog.${f} to ${role}`),
    ];
    await server.link.query(statements.join('; '), ms);
    return DONE;
  });
}
