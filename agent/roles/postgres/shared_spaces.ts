/**
 * Members on one machine, as in a development cluster: a tablespace that is made on the active is replayed
 * into the very same folder, and from then on each server writes over what the other has written. The standby
 * is made to end; it is not started again while that is so.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { stop } from './promote.ts';
import type { Server } from './server.ts';
import { sharedWith, spacesOf } from './tablespaces.ts';

/** Nothing on a primary: the folder is the active's. */
export async function endShared(server: Server, ms: number): Promise<void> {
  const { o } = server;
  if (!existsSync(join(o.dataDir, 'standby.signal'))) return;
  const locations = spacesOf(o.dataDir).map(({ location }) => location);
  const shared = sharedWith(o.dataDir, locations);
  if (shared === null) return;
  o.say?.(`the standby is ended: ${shared}`);
  await stop(server, 'immediate', ms, true);
}
