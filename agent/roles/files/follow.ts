/** This node takes its files from the active, and from nobody else. */
import type { Outcome } from '../../core/postgres.ts';
import { sleep } from '../../platform/clock.ts';
import { archive } from './archive.ts';
import { applyStance, CALL, type Context, failed, folderIds, look, member, take } from './context.ts';
import { type Item, lackedBy, localChanges } from './items.ts';
import { scan } from './lead.ts';
import { replaced } from './replaced.ts';
import { query } from './rest.ts';

export async function follow(ctx: Context, active: string | null): Promise<Outcome> {
  try {
    const known = active === null ? undefined : member(ctx, active);
    const already = ctx.stance?.kind === 'following' && ctx.stance.node === active;
    if (!already || known === undefined) {
      const returning = known !== undefined && ctx.home.memory.led;
      const open = known !== undefined && !returning;
      take(ctx, open ? { kind: 'following', node: known.node } : { kind: 'apart' });
      ctx.returning = returning;
      if (returning) void comeBack(ctx, known.node, ctx.turn.signal);
    }
    await applyStance(ctx);
    if (active !== null && known === undefined) {
      const why = `Syncthing's id of ${active} is not known (is file replication switched on there?)`;
      ctx.notes.set('follow', why);
      return { kind: 'failed', why };
    }
    return { kind: 'done' };
  } catch (thrown) {
    return failed(thrown);
  }
}

const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;
/** A scan of everything ends when it ends, ms. */
const SCAN = 3_600_000;

/**
 * A former active, cut off from the others until what they lack of it is in the archive: the new active
 * overrides it the moment it sees it.
 */
async function comeBack(ctx: Context, active: string, turn: AbortSignal): Promise<void> {
  ctx.notes.set('return', 'what only this node has is being archived');
  for (let pause = FIRST_PAUSE; !turn.aborted; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
    try {
      await applyStance(ctx);
      await scan(ctx, SCAN);
      const device = member(ctx, active)?.deviceId;
      if (device === undefined) throw new Error(`${active} is no longer a member`);
      const items = await only(ctx, device);
      if (turn.aborted) return;
      if (items.some(({ deleted }) => !deleted)) {
        const reason = `files of this former active that ${active} had not received`;
        const dir = await archive(ctx.config, { items, reason, epoch: ctx.epoch(), copy: true });
        ctx.log.warn(`files: ${items.length} items that ${active} lacks are saved in ${dir}`);
      }
      if (turn.aborted) return;
      // Saved, so that they need not be found and saved again once the others are there.
      for (const folder of folderIds(ctx))
        await ctx.rest().send('POST', query('db/revert', { folder }), CALL * 10);
      if (turn.aborted) return;
      ctx.home.remember({ led: false });
      take(ctx, { kind: 'following', node: active });
      await applyStance(ctx);
      return;
    } catch (thrown) {
      if (turn.aborted) return;
      const { why } = failed(thrown);
      if (ctx.notes.get('return') !== why) ctx.log.warn(`files: not following ${active} yet: ${why}`);
      ctx.notes.set('return', why);
      await sleep(pause, turn);
    }
  }
}

/**
 * What this node has and the other lacks, what the other has overruled already, and what was changed here
 * since the folders are receive-only; each once.
 */
async function only(ctx: Context, device: string): Promise<Item[]> {
  const found = new Map<string, Item>();
  const { folders } = await look(ctx);
  for (const { id: folder, path } of ctx.config.files.folders) {
    const seen = folders.find(({ id }) => id === folder);
    const lists = [
      await lackedBy(ctx.rest(), folder, device, CALL * 10),
      await replaced(ctx.rest(), folder, path, (seen?.needDeletes ?? 0) > 0, CALL * 10),
      await localChanges(ctx.rest(), folder, CALL * 10),
    ];
    for (const item of lists.flat()) found.set(`${folder}/${item.path}`, item);
  }
  return [...found.values()];
}

/**
 * Changes made on a standby: archived, then reverted. A revert that leaves some is told (ST#8684), not
 * repeated for ever.
 */
export async function revertChanges(ctx: Context): Promise<void> {
  for (const folder of ctx.seen?.folders ?? []) {
    const before = ctx.reverts.get(folder.id);
    if (folder.localChanges === 0) {
      ctx.reverts.delete(folder.id);
      ctx.notes.delete(`revert ${folder.id}`);
      continue;
    }
    if (folder.state !== 'idle' || folder.needItems > 0 || ctx.turn.signal.aborted) continue;
    if (before !== undefined && before.tries >= 3 && before.version === folder.version) continue;
    const items = await localChanges(ctx.rest(), folder.id, CALL * 10);
    if (items.length === 0) continue;
    const reason = 'changes made on a standby';
    const dir = await archive(ctx.config, { items, reason, epoch: ctx.epoch(), copy: true });
    if (ctx.turn.signal.aborted) return;
    // The same changes go into the same archive: that tells a revert that left them from new ones.
    const tries = before?.dir === dir ? before.tries + 1 : 1;
    if (tries === 1)
      ctx.log.warn(
        `files: ${items.length} local changes in folder ${folder.id} are saved in ${dir} and reverted`,
      );
    await ctx.rest().send('POST', query('db/revert', { folder: folder.id }), CALL * 10);
    const after = (await look(ctx)).folders.find(({ id }) => id === folder.id);
    ctx.reverts.set(folder.id, { tries, dir, version: after?.version ?? 0 });
    if (tries < 3) continue;
    const note = `${after?.localChanges ?? items.length} local changes in folder ${folder.id} remain after reverting (are there ignored files in their folders?)`;
    if (ctx.notes.get(`revert ${folder.id}`) !== note) ctx.log.warn(`files: ${note}`);
    ctx.notes.set(`revert ${folder.id}`, note);
  }
}
