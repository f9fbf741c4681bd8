import { AgentError } from '../errors.ts';
import type { Parts } from '../node/parts.ts';

/** Refuses a manager that is not empty, or where no copy could be put. Changes nothing. */
export async function refuseUnlessEmpty({ config, pg }: Pick<Parts, 'config' | 'pg'>): Promise<void> {
  const { empty, unfit } = await pg.inspect();
  if (empty && unfit === undefined) return;
  const there = `this manager is not empty: there is data in ${config.postgres.data_dir}`;
  throw new AgentError({
    class: 'operator',
    code: unfit === undefined ? 'manager_not_empty' : 'data_dir_unfit',
    message: unfit === undefined ? there : `no database can be copied here: ${unfit}`,
    hint: 'join a manager without data; what is here would be lost. Move it away first if it can be given up',
  });
}
