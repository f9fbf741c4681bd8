/**
 * Can a new client get an answer? A fresh connection each time: a server that is stopped or hangs still holds
 * old ones open.
 */
import { explain } from '../errors.ts';
import { type Check, type CheckResult, fail, type PgTarget, pass, warn } from './port.ts';
import { ServerError } from './wire/messages.ts';
import { WireSession } from './wire/session.ts';

/** too_many_connections: the server answers. Moving the active would take the crowd along. */
const FULL = '53300';

export interface SelectCheck extends Check {
  /** Start of the last run that got its answer, by `now`; -Infinity when the last run got none. */
  answeredAt(): number;
}

export function postgresSelect(target: PgTarget, now: () => number): SelectCheck {
  let answeredAt = Number.NEGATIVE_INFINITY;
  return {
    name: 'postgres_select',
    answeredAt: () => answeredAt,
    async run({ signal }): Promise<CheckResult> {
      const startedAt = now();
      try {
        const { value } = await WireSession.once(target, 'select 1', signal);
        if (value !== '1') return fail(`select 1 answered ${value}`);
        answeredAt = startedAt;
        return pass('select 1 answered');
      } catch (error) {
        answeredAt = Number.NEGATIVE_INFINITY;
        if (signal.aborted) return fail('a fresh connection got no answer in time');
        if (error instanceof ServerError && error.code === FULL) return warn('no connection slot is left');
        return fail(`a fresh connection failed: ${explain(error)}`);
      }
    },
  };
}
