/** The driver of the local PostgreSQL server, put together. */

import { deadline } from '../../platform/clock.ts';
import { adopt } from './adopt.ts';
import { createBackoff } from './backoff.ts';
import { basebackup } from './basebackup.ts';
import { setCertificates } from './certificates.ts';
import { createClaims } from './claims.ts';
import { saveDivergence } from './divergence.ts';
import { facts, position, replication } from './facts.ts';
import { fence, unfence } from './fence.ts';
import { start } from './lifecycle.ts';
import { createLink } from './link.ts';
import { missingLocales } from './locales.ts';
import type { PgOptions } from './options.ts';
import { endOutgrown } from './outgrown.ts';
import { ownSettings } from './own_settings.ts';
import type { Postgres } from './port.ts';
import { preflight } from './preflight.ts';
import { checkpoint, promote, stop, withdrawPromotion } from './promote.ts';
import { rehearse } from './rehearse.ts';
import { holdSettings } from './reload.ts';
import { ensureReplicationRole } from './replication_role.ts';
import { rewind } from './rewind.ts';
import { createLossWatch, type Server } from './server.ts';
import { createSettings } from './settings.ts';
import { endShared } from './shared_spaces.ts';
import { advanceSlots, ensureSlots } from './slots.ts';
import { setSyncList } from './sync_list.ts';
import { readHistory, reserveTimelines } from './timeline.ts';
import { createTurns } from './turns.ts';
import { setUpstream } from './upstream.ts';
import { inspect, wipe } from './wipe.ts';

export { type PgOptions, pgDefaults, type Starter } from './options.ts';
export type { Postgres, Progress } from './port.ts';
export { slotName } from './slot_name.ts';

/** Milliseconds that a start may take to its process when the driver is closed. */
const CLOSING = 10_000;
/** Milliseconds in which timeline numbers are taken, or not at all. */
const RESERVING = 10_000;
/** Milliseconds in which the server's program has read its settings, several times if need be. */
const REHEARSAL = 20_000;

export function createPostgres(o: PgOptions): Postgres {
  const server: Server = {
    o,
    settings: createSettings(o),
    link: createLink(o),
    loss: createLossWatch(),
    turns: createTurns(),
    claims: createClaims(),
    backoff: createBackoff(),
  };
  // Asked for by a driver that was killed: nobody waits for it, and it may have been asked for under a right
  // that is over.
  withdrawPromotion(server);
  server.link.onMade(server.loss.arm);
  server.link.onBroken(server.loss.sign);
  o.starter.onExit(() => {
    server.link.drop();
    server.loss.sign();
  });

  /** What kept the former data from starting says nothing of this. */
  const anew = async <T>(work: () => Promise<T>): Promise<T> => {
    server.backoff.clear();
    return await work();
  };

  return {
    facts: (ms) => facts(server, ms),
    adopt: () => anew(() => adopt(server)),
    preflight: async () => [...(await preflight(o)), ...(await ownSettings(o))],
    rehearse: () => rehearse(o, REHEARSAL),
    async holdSettings(ms) {
      const held = await holdSettings(server);
      // Its outcome is seen by what comes of it.
      await endOutgrown(server, ms);
      await endShared(server, ms);
      return held;
    },
    inspect: () => inspect(server),
    missingLocales: (locales) => missingLocales(o, locales),
    wipe: () => wipe(server),
    setCertificates: (certificates) => setCertificates(server, certificates),
    startStandby: (ms) => start(server, 'standby', ms),
    startPrimary: (ms) => start(server, 'primary', ms),
    stop: (mode, ms, thenStandby) => stop(server, mode, ms, thenStandby),
    checkpoint: (ms) => checkpoint(server, ms),
    promote: (ms) => promote(server, ms),
    setUpstream: (upstream, ms) => setUpstream(server, upstream, ms),
    setIdentity: async (identity) => {
      const claim = server.claims.take('identity', null);
      if ((await server.settings.get()).identity !== identity)
        await server.settings.change({ identity }, claim);
    },
    setSyncList: (list, ms) => setSyncList(server, list, ms),
    replication: (ms) => replication(server, ms),
    position: (ms) => position(server, ms),
    fence: (ms) => fence(server, ms),
    unfence: (ms) => unfence(server, ms),
    ensureReplicationRole: (ms) => ensureReplicationRole(server, ms),
    ensureSlots: (nodes, ms, drop) => ensureSlots(server, nodes, ms, drop),
    advanceSlots: (ms) => advanceSlots(server, ms),
    history: (tli) => readHistory(o, tli),
    reserveTimelines: (next) =>
      reserveTimelines(o, next, server.claims.under('upstream', deadline(RESERVING))),
    basebackup: (from, progress, signal) => anew(() => basebackup(server, from, progress, signal)),
    rewind: (from, progress, signal) => anew(() => rewind(server, from, progress, signal)),
    saveDivergence: (request) => saveDivergence(server, request),
    onLost: (callback) => server.loss.onLost(callback),
    abandon: () => server.claims.abandon(),
    close: async () => {
      server.claims.close();
      server.loss.want(true);
      // Who takes over, another driver perhaps, finds its process.
      await server.turns.launched(deadline(CLOSING));
      server.link.drop();
    },
  };
}
