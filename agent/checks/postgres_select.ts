/** Can a new client get an answer? A fresh connection each time: a server that is stopped or hangs still holds old ones open. */
import { explain } from '../errors.ts';
import { type Check, type CheckResult, fail, type PgTarget, pass, warn } from './port.ts';
import { ServerError } from './wire/messages.ts';
import { Session } from './wire/session.ts';

/** too_many_connections: the server answers. Moving the active would take the crowd along. */
const FULL = '53300';

export function postgresSelect(target: PgTarget): Check {
  return {
    name: 'postgres_select',
    async run({ signal }): Promise<CheckResult> {
      try {
        const { value } = await Session.once(target, 'select 1', signal);
        return value === '1' ? pass('select 1 answered') : fail(`select 1 answered ${value}`);
      } catch (error) {
        if (signal.aborted) return fail('a fresh connection got no answer in time');
        if (error instanceof ServerError && error.code === FULL) return warn('no connection slot is left');
        return fail(`a fresh connection failed: ${explain(error)}`);
      }
    },
  };
}
