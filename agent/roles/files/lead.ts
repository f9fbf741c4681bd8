/** This node becomes, or stays, the one whose files are everybody's. */
import type { Outcome } from '../../core/postgres.ts';
import { sleep } from '../../platform/clock.ts';
import { adopt } from './adopt.ts';
import { archive } from './archive.ts';
import { applyStance, CALL, type Context, failed, folderIds, look, now, take } from './context.ts';
import { carryOut, isMass } from './guard.ts';
import { type Item, lackedHere } from './items.ts';
import { query } from './rest.ts';

/** How long deletions that the former active had asked for may hold the promotion up, ms. */
const DELETIONS = 1_000;

export async function lead(ctx: Context, ms: number): Promise<Outcome> {
  const end = now() + ms;
  try {
    if (ctx.stance === null) await adopt(ctx);
    const led = ctx.stance?.kind === 'leading';
    if (!led) {
      const turn = ctx.turn.signal;
      // Once send-only, the former active's deletions would be overruled and the files come back.
      await smallDeletions(ctx).catch((thrown) =>
        ctx.log.warn(
          `deletions made on the former active could not all be carried out here: ${failed(thrown).why}`,
        ),
      );
      await reportMissing(ctx).catch((thrown) =>
        ctx.log.warn(`what is missing could not be listed: ${failed(thrown).why}`),
      );
      if (turn.aborted) return { kind: 'failed', why: 'a later order came in meanwhile' };
      // Before the first change: a crash from here on must count as having led.
      ctx.home.remember({ led: true, synced: true });
      take(ctx, { kind: 'leading' });
    }
    const turn = ctx.turn.signal;
    // The change of type restarts the folder, and that scans it.
    await applyStance(ctx);
    if (led) await scan(ctx, CALL).catch(() => {});
    while (!turn.aborted && now() < end && (await look(ctx)).folders.some(isScanning)) await sleep(50, turn);
    if (turn.aborted) return { kind: 'failed', why: 'a later order came in meanwhile' };
    await overrideAll(ctx);
    return { kind: 'done' };
  } catch (thrown) {
    return failed(thrown);
  }
}

const isScanning = ({ state }: { state: string }): boolean => state.startsWith('scan');

/**
 * Whatever others have that is newer or more than ours gives way. Idempotent; nothing is sent when nothing
 * differs. `after`: only what has been so for that long, ms. A former active that does not know yet that it
 * is one shall first archive what it wrote.
 */
export async function overrideAll(ctx: Context, after = 0): Promise<void> {
  for (const folder of ctx.seen?.folders ?? []) {
    if (folder.needItems + folder.needDeletes === 0) {
      ctx.otherwise.delete(folder.id);
      continue;
    }
    const since = ctx.otherwise.get(folder.id) ?? now();
    ctx.otherwise.set(folder.id, since);
    if (folder.state !== 'idle' || now() - since < after) continue;
    ctx.log.info(
      `files: overriding ${folder.needItems} items of folder ${folder.id} that differ on other nodes`,
    );
    await ctx.rest().send('POST', query('db/override', { folder: folder.id }), CALL);
  }
}

export async function scan(ctx: Context, ms: number): Promise<void> {
  for (const folder of folderIds(ctx)) await ctx.rest().send('POST', query('db/scan', { folder }), ms);
}

async function smallDeletions(ctx: Context): Promise<void> {
  if (ctx.stance?.kind !== 'following') return;
  const { folders } = await look(ctx);
  const pending = folders.filter(({ needDeletes }) => needDeletes > 0);
  if (pending.length > 0 && !pending.some((folder) => isMass(ctx.config, folder)))
    await carryOut(ctx, DELETIONS);
}

/** What only the former active had: known by name, but never received. */
async function reportMissing(ctx: Context): Promise<void> {
  if (ctx.stance?.kind !== 'following') return;
  const items: Item[] = [];
  for (const { id, needItems } of ctx.seen?.folders ?? [])
    if (needItems > 0)
      items.push(...(await lackedHere(ctx.rest(), id, CALL)).filter(({ deleted }) => !deleted));
  if (items.length === 0) return;
  const { node } = ctx.stance;
  const reason = `files that ${node} had and that had not arrived when this node took over`;
  const dir = await archive(ctx.config, { items, reason, epoch: ctx.epoch(), copy: false });
  const bytes = items.reduce((total, item) => total + item.bytes, 0);
  const names = items.slice(0, 5).map(({ folder, path }) => `${folder}/${path}`);
  ctx.log.warn(
    `files: ${items.length} items (${bytes} bytes) of ${node} are missing, listed in ${dir}: ${names.join(', ')}`,
  );
}
