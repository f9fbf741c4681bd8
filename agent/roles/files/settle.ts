/**
 * On the active during a switchover, its services stopped: nothing more is written, and the target must have
 * it all.
 */
import type { Outcome } from '../../core/postgres.ts';
import { sleep } from '../../platform/clock.ts';
import { CALL, type Context, failed, folderIds, look, member, now } from './context.ts';
import { unsentOf } from './facts_failed.ts';
import { query } from './rest.ts';

type Completion = { needItems: number; needBytes: number };
type Connections = { connections: Record<string, { connected: boolean }> };

export async function settle(ctx: Context, target: string, ms: number): Promise<Outcome> {
  const end = now() + ms;
  const left = () => Math.max(1, end - now());
  const device = member(ctx, target)?.deviceId;
  if (device === undefined) return { kind: 'failed', why: `Syncthing's id of ${target} is not known` };
  const rest = ctx.rest();
  try {
    const { connections } = (await rest.get('system/connections', CALL)) as Connections;
    if (connections[device]?.connected !== true)
      return { kind: 'failed', why: `Syncthing has no connection to ${target}` };
    await Promise.all(
      folderIds(ctx).map((folder) => rest.send('POST', query('db/scan', { folder }), left())),
    );
    for (;;) {
      const lacking = await Promise.all(
        folderIds(ctx).map(
          (folder) => rest.get(query('db/completion', { folder, device }), CALL) as Promise<Completion>,
        ),
      );
      // Deletions do not count: the target knows of them and carries them out by itself.
      const items = lacking.reduce((total, { needItems }) => total + needItems, 0);
      const unsent = items === 0 ? await unsentNow(ctx) : undefined;
      if (unsent !== undefined)
        return { kind: 'failed', why: `${target} lacks what cannot be sent: ${unsent}` };
      if (items === 0) return { kind: 'done' };
      if (left() <= 1) return { kind: 'failed', why: `${target} still lacks ${items} items` };
      await sleep(Math.min(25, left()));
    }
  } catch (thrown) {
    return failed(thrown);
  }
}

/** Of what was scanned just now. */
const unsentNow = async (ctx: Context): Promise<string | undefined> =>
  unsentOf((await look(ctx)).folders)?.words;
