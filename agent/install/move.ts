/**
 * What belonged to the users of an earlier install, given to those of this one. May be repeated; interrupted,
 * the next run does the rest.
 */
import { UNITS } from '../trampoline/names.ts';
import type { Hand, Sight } from './machine.ts';
import { PARTS } from './names.ts';
import type { WantedMove } from './wanted.ts';

/** A database takes a checkpoint's time to stop, a large Raft store some to be given away, ms. */
const PATIENCE = 600_000;

/**
 * The agent stops first, so that nothing comes back; then what it runs. chown goes down by open folders and
 * follows no link, and only what is the earlier user's changes hands: a link that somebody lays there
 * meanwhile gives nothing else away.
 */
export async function moveUsers(
  { users, group, folders }: WantedMove,
  sight: Pick<Sight, 'group' | 'look' | 'units' | 'user'>,
  run: Hand['run'],
): Promise<void> {
  const names = [UNITS.agent, ...PARTS];
  const seen = await sight.units(names);
  for (const name of names)
    if (seen.get(name)?.loaded === true) await run(['systemctl', 'stop', '--', name], PATIENCE);
  for (const [from, to] of users) {
    if (from === to || sight.user(from) === undefined) continue;
    const recursive = ['chown', '--recursive', '--no-dereference'];
    if (folders.length > 0) {
      await run([...recursive, `--from=${from}`, to, '--', ...folders], PATIENCE);
      if (sight.group(from) !== undefined)
        await run([...recursive, `--from=:${from}`, `:${to}`, '--', ...folders], PATIENCE);
    }
    if (sight.group(group)?.members.includes(from) === true) await run(['gpasswd', '--delete', from, group]);
  }
}
