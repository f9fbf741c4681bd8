/** Follows Syncthing's events, so that the facts cost nothing to ask for and next to nothing to keep. */
import { effectiveLease } from '../../config/index.ts';
import { sleep } from '../../platform/clock.ts';
import { adopt } from './adopt.ts';
import {
  applyStance,
  CALL,
  type Context,
  failed,
  heard,
  look,
  now,
  settledConnection,
  tellMembers,
} from './context.ts';
import { revertChanges } from './follow.ts';
import { carryOut, type Gathering, gather, isMass } from './guard.ts';
import { overrideAll } from './lead.ts';
import { query } from './rest.ts';

type Event = { id: number; type: string; data?: { device?: string } };

const EVENTS =
  'LocalIndexUpdated,RemoteIndexUpdated,StateChanged,FolderErrors,DeviceConnected,DeviceDisconnected';
/**
 * How long Syncthing may keep a question for events open, s: also how often everything is looked at when
 * nothing happens.
 */
const STAND = 10;
/** In a flood of events everything is looked at this often, ms. */
const PAUSE = 500;
const AFTER_FAILURE = 1_000;

export async function watch(ctx: Context, stop: AbortSignal): Promise<void> {
  let since = 0;
  let lost = true;
  let gathering: Gathering | null = null;
  while (!stop.aborted) {
    try {
      if (lost) {
        await takeUp(ctx);
        since = 0;
        lost = false;
      }
      // A standing question is not asked while something is pending that time alone will ripen.
      const stand = gathering === null && ctx.otherwise.size === 0 && heard(ctx) ? STAND : 1;
      const events = await eventsSince(ctx, since, stand, stop);
      since = events.at(-1)?.id ?? since;
      if (events.some(({ type }) => type === 'RemoteIndexUpdated')) ctx.indexAt = now();
      await look(ctx);
      await tellMembers(ctx);
      gathering = await upkeep(ctx, gathering);
      if (events.length > 0) await sleep(PAUSE, stop);
    } catch (thrown) {
      if (stop.aborted) return;
      const { why } = failed(thrown);
      if (ctx.silent !== why) ctx.log.warn(`files: ${why}`);
      // Only a call that got no answer means that Syncthing may have been started anew.
      lost = true;
      ctx.silent = why;
      await sleep(AFTER_FAILURE, stop);
    }
  }
}

async function eventsSince(ctx: Context, since: number, stand: number, stop: AbortSignal): Promise<Event[]> {
  const first = since === 0 ? { limit: 1 } : {};
  const path = query('events', { events: EVENTS, since, timeout: since === 0 ? 0 : stand, ...first });
  return (await ctx.rest().get(path, CALL + stand * 1000, stop)) as Event[];
}

/**
 * After a start of the agent or of Syncthing: the stance that was told holds on, else the one found is taken.
 */
async function takeUp(ctx: Context): Promise<void> {
  if (ctx.stance === null) await adopt(ctx);
  else await applyStance(ctx);
}

/** What a role does all the time. Returns the deletions that are being gathered. */
async function upkeep(ctx: Context, gathering: Gathering | null): Promise<Gathering | null> {
  if (ctx.stance?.kind === 'leading') {
    await overrideAll(ctx, effectiveLease(ctx.config).lease_duration * 2);
    return null;
  }
  if (ctx.stance?.kind !== 'following' || !settledConnection(ctx)) return gathering;
  const folders = ctx.seen?.folders ?? [];
  if (
    folders.every(({ needItems, localChanges, state }) => needItems + localChanges === 0 && state === 'idle')
  )
    ctx.home.remember({ synced: true });
  if (ctx.reverts.size > 0 || folders.some(({ localChanges }) => localChanges > 0))
    await revertChanges(ctx).catch((thrown) => ctx.notes.set('archive', failed(thrown).why));
  return await guardDeletions(ctx, gathering);
}

async function guardDeletions(ctx: Context, before: Gathering | null): Promise<Gathering | null> {
  const folders = ctx.seen?.folders ?? [];
  const count = folders.reduce((total, { needDeletes }) => total + needDeletes, 0);
  const { next, ripe } = gather(before, count, now(), ctx.config.files.deletion_delay);
  const mass = folders.filter((folder) => isMass(ctx.config, folder));
  hold(ctx, mass);
  // Held ones hold the folder's other deletions too: they cannot be told apart.
  if (mass.length > 0) return null;
  if (next === null || !ripe) return next;
  await carryOut(ctx, 30_000);
  return null;
}

function hold(ctx: Context, mass: readonly { id: string; needDeletes: number; globalItems: number }[]): void {
  const held = mass.map(({ id, needDeletes, globalItems }) => ({
    folder: id,
    deletions: needDeletes,
    of: needDeletes + globalItems,
  }));
  for (const { folder, deletions, of } of held)
    if (!ctx.held.some((one) => one.folder === folder))
      ctx.log.warn(
        `files: ${deletions} of ${of} items of folder ${folder} were deleted on the active: held until somebody confirms it`,
      );
  ctx.held = held;
  for (const [key] of ctx.notes) if (key.startsWith('held')) ctx.notes.delete(key);
  for (const { folder, deletions, of } of held)
    ctx.notes.set(
      `held ${folder}`,
      `${deletions} deletions of ${of} items in folder ${folder} await confirmation`,
    );
}
