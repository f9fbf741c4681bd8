/** Facts for tests of the checks: a base, to be spread and overridden. */
import type { PgFacts } from '../../agent/core/postgres.ts';

export const standbyFacts: PgFacts = {
  data: 'ok',
  process: 'running',
  accepting: true,
  role: 'standby',
  standbySignal: true,
  systemId: '1',
  position: null,
  streaming: true,
  upstreamHost: '192.0.2.1',
  syncList: null,
  walSenders: [],
  fenced: true,
};

export const primaryFacts: PgFacts = {
  ...standbyFacts,
  role: 'primary',
  standbySignal: false,
  streaming: false,
  upstreamHost: null,
};
