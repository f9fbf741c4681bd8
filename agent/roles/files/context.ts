/**
 * What the parts of the files role share: one Syncthing, the stance it was told to take, and what was last
 * seen of it.
 */
import { isDeepStrictEqual } from 'node:util';
import type { NodeConfig } from '../../config/index.ts';
import { messageOf } from '../../errors.ts';
import type { Logger } from '../../log/log.ts';
import type { Serial } from '../../platform/serial.ts';
import { applyIgnores, applySettings } from './apply.ts';
import { type Judged, observe, type Seen } from './facts.ts';
import type { Home } from './home.ts';
import type { FileMember, HeldDeletions } from './port.ts';
import type { Rest } from './rest.ts';
import { type Stance, settingsOf } from './settings.ts';

/** One call that reads or sets something small, ms. */
export const CALL = 3_000;
/**
 * A new connection brings the index in several messages: it is complete when nothing came for this long, ms.
 */
const QUIET = 2_000;
/** An active that writes all the time is never quiet, ms. */
const NEVER_QUIET = 30_000;

export type Context = {
  readonly config: NodeConfig;
  readonly home: Home;
  readonly rest: () => Rest;
  readonly log: Logger;
  readonly epoch: () => number;
  /** One at a time: Syncthing's configuration is read, changed and written as a whole. */
  readonly inTurn: Serial;
  /** null: the core has not said yet (the agent was started beside a running Syncthing). */
  stance: Stance | null;
  /** The members that Syncthing was told of last. */
  told: readonly FileMember[] | null;
  /** Cut short by the next change of stance. */
  turn: AbortController;
  seen: Seen | null;
  /** Of the looks under way the one that began last counts. */
  looks: { begun: number; ended: number };
  silent: string | null;
  /** When the followed node was first seen connected, and when it last told of changes; monotonic ms. */
  connectedAt: number | null;
  indexAt: number;
  /** The connection (by `connectedAt`) whose index has come. */
  settledOn: number | null;
  held: readonly HeldDeletions[];
  /** The archive of a former active is being made. */
  returning: boolean;
  /** Reverts that left local changes, by folder. */
  /** Since when others have something that this active has not, by folder; monotonic ms. */
  readonly otherwise: Map<string, number>;
  readonly reverts: Map<string, { tries: number; dir: string; version: number }>;
  readonly notes: Map<string, string>;
};

export const now = (): number => performance.now();

export const folderIds = (ctx: Context): string[] => ctx.config.files.folders.map(({ id }) => id);

export function member(ctx: Context, node: string): FileMember | undefined {
  return ctx.home.memory.members.find((one) => one.node === node);
}

/** Looks anew; throws when Syncthing does not answer. */
export async function look(ctx: Context, ms = CALL): Promise<Seen> {
  const turn = ++ctx.looks.begun;
  const seen = await observe(ctx.rest(), folderIds(ctx), ms);
  ctx.silent = null;
  if (turn < ctx.looks.ended) return seen;
  ctx.looks.ended = turn;
  const { stance } = ctx;
  const id = stance?.kind === 'following' ? member(ctx, stance.node)?.deviceId : undefined;
  const connected = id !== undefined && seen.connected.has(id);
  ctx.connectedAt = connected ? (ctx.connectedAt ?? seen.at) : null;
  ctx.seen = seen;
  return seen;
}

/**
 * The configuration as the stance of this moment wants it. `deletions`: what is held or pending is carried
 * out.
 */
export async function applyStance(ctx: Context, deletions = false): Promise<void> {
  const { config, home } = ctx;
  const own = await home.deviceId();
  await ctx.inTurn(async () => {
    const { stance } = ctx;
    if (stance === null) return;
    const { members } = home.memory;
    const settings = settingsOf({ config, own, members, stance, deletions });
    const changed = await applySettings(ctx.rest(), settings, CALL * 2);
    if (changed)
      for (const { id, ignore } of config.files.folders) await applyIgnores(ctx.rest(), id, ignore, CALL);
    ctx.told = members;
  });
  await look(ctx);
}

/** Members that became known while Syncthing did not answer are told to it when it does. */
export async function tellMembers(ctx: Context): Promise<void> {
  if (ctx.stance !== null && !isDeepStrictEqual(ctx.told, ctx.home.memory.members)) await applyStance(ctx);
}

/** From here on `stance` holds, and what went on under the former one ends. */
export function take(ctx: Context, stance: Stance): void {
  ctx.turn.abort();
  ctx.turn = new AbortController();
  ctx.stance = stance;
  ctx.held = [];
  ctx.notes.clear();
  ctx.reverts.clear();
  ctx.otherwise.clear();
  ctx.returning = false;
  ctx.connectedAt = null;
}

/** Has the followed node told all it has? Once complete, a copy stays one while nobody is connected. */
export function heard(ctx: Context): boolean {
  const { stance, home } = ctx;
  if (stance === null) return home.memory.synced;
  if (stance.kind === 'leading') return true;
  if (home.memory.synced) return true;
  return stance.kind === 'following' && settledConnection(ctx);
}

/**
 * Connected, and quiet for a while since: the index of the other side is here. Holds until the connection
 * ends.
 */
export function settledConnection(ctx: Context): boolean {
  const { connectedAt, indexAt } = ctx;
  if (connectedAt === null) return false;
  const quiet = now() - Math.max(connectedAt, indexAt) > QUIET || now() - connectedAt > NEVER_QUIET;
  if (quiet) ctx.settledOn = connectedAt;
  return ctx.settledOn === connectedAt;
}

export function judged(ctx: Context): Judged {
  const stuck = [...ctx.reverts.values()].filter(({ tries }) => tries >= 3).length;
  return {
    seen: ctx.seen,
    silent: ctx.silent,
    stance: ctx.stance,
    heard: heard(ctx),
    connected: ctx.stance?.kind === 'following' ? ctx.connectedAt !== null : null,
    held: ctx.held,
    busy: ctx.returning,
    stuck,
    notes: [...ctx.notes.values()],
  };
}

export const failed = (thrown: unknown): { kind: 'failed'; why: string } => ({
  kind: 'failed',
  why: messageOf(thrown),
});
