/** The files role on a real Syncthing (CONTRACTS 10). */
import type { NodeConfig } from '../../config/index.ts';
import { messageOf } from '../../errors.ts';
import type { Logger } from '../../log/log.ts';
import { until } from '../../platform/clock.ts';
import { makeDir } from '../../platform/files.ts';
import { syncthingBinary } from '../../platform/paths.ts';
import { createSerial } from '../../platform/serial.ts';
import { UNITS } from '../../trampoline/names.ts';
import type { ServiceDriver, ServiceUnit } from '../services/driver.ts';
import { keepRunning } from '../services/keep_running.ts';
import { restAddress } from './config_xml.ts';
import { CALL, type Context, judged, now, tellMembers } from './context.ts';
import { factsOf, statusOf } from './facts.ts';
import { follow } from './follow.ts';
import { carryOut } from './guard.ts';
import { type Home, missing, openHome } from './home.ts';
import { lead } from './lead.ts';
import type { Files } from './port.ts';
import { createRest, type Rest } from './rest.ts';
import { settle } from './settle.ts';
import { watch } from './watch.ts';

export type FilesDeps = {
  readonly log: Logger;
  /** The lease's epoch, for the names of archives. Left out: 0. */
  readonly epoch?: () => number;
  /** Empties Syncthing's home as its own user, where that is another one. */
  readonly purge?: () => Promise<void>;
};

const START = 30_000;

/** The process that runs Syncthing; also what the unit's ExecStart says. */
export function syncthingUnit(config: Pick<NodeConfig, 'files'>): ServiceUnit {
  const home = config.files.home_dir;
  return {
    name: 'syncthing',
    unit: UNITS.syncthing,
    command: syncthingBinary(config) ?? 'syncthing',
    args: ['serve', `--home=${home}`, '--no-browser', '--no-restart', '--no-upgrade', '--no-default-folder'],
    // One process instead of two: who watches over it is the driver.
    env: { STNOUPGRADE: '1', STMONITORED: '1', HOME: home },
    stopSignal: 'SIGTERM',
    stopTimeout: 15_000,
  };
}

export function createFilesRole(config: NodeConfig, driver: ServiceDriver, deps: FilesDeps): Files {
  const { log } = deps;
  const home = openHome(config);
  const unit = syncthingUnit(config);
  const rest = createRest(restAddress(config), () => ({
    apiKey: home.memory.apiKey,
    ca: home.memory.restCa,
  }));
  const ctx = contextOf(config, home, rest, deps);
  let wanted = false;
  let watching: { stop: AbortController; ended: Promise<void> } | null = null;

  /**
   * Whatever it was before, it comes up receive-only and cut off; the stance is told to it again once it
   * answers.
   */
  async function launch(): Promise<void> {
    for (const { path } of config.files.folders) makeDir(path);
    ctx.stance ??= { kind: 'apart' };
    await home.writeConfig();
    await driver.start(unit);
  }
  const unsubscribe = keepRunning(driver, unit, {
    firstPause: 200,
    wanted: () => wanted,
    start: launch,
    ended: () => log.warn('files: Syncthing ended by itself'),
    failed: (thrown) => log.error(`files: ${messageOf(thrown)}`),
  });

  async function endWatch(): Promise<void> {
    watching?.stop.abort();
    await watching?.ended;
    watching = null;
  }
  const files: Files = {
    enabled: true,
    facts: () => factsOf(judged(ctx), now()),
    status: () => statusOf(judged(ctx)),
    lead: (ms) => lead(ctx, ms),
    follow: (active) => follow(ctx, active),
    settle: (target, ms) => settle(ctx, target, ms),
    deviceId: () => home.deviceId(),
    async setMembers(members) {
      home.remember({ members: inOrder(members) });
      // What a silent Syncthing missed it is told by the watching when it answers again.
      if (await answers(ctx)) await tellMembers(ctx);
    },
    async start() {
      if (syncthingBinary(config) === undefined) throw missing();
      wanted = true;
      if (ctx.turn.signal.aborted) ctx.turn = new AbortController();
      const runs = (await driver.status(unit)).state === 'running';
      // One that speaks plain HTTP yet, started before the upgrade, is started anew.
      if (runs && home.memory.restCa !== undefined && (await until(() => answers(ctx), { timeout: START }))) {
        if (!(await asConfigured(ctx))) {
          await driver.stop(unit);
          await launch();
        }
      } else {
        await driver.stop(unit);
        await launch();
      }
      if ((await until(() => answers(ctx), { timeout: START, every: 100 })) === undefined) {
        // It may still come (a long index): the watching goes on.
        log.warn('files: Syncthing does not answer yet');
      }
      if (watching === null) {
        const stop = new AbortController();
        watching = { stop, ended: watch(ctx, stop.signal) };
      }
      // A first look, so that the facts are known when this returns.
      await until(() => ctx.seen !== null, { timeout: CALL, every: 20 });
    },
    async stop() {
      wanted = false;
      ctx.turn.abort();
      await endWatch();
      await driver.stop(unit);
      ctx.stance = null;
      ctx.seen = null;
    },
    async wipe() {
      await files.stop();
      await deps.purge?.();
      home.wipe();
    },
    async accept(ms) {
      const done = await carryOut(ctx, ms, true);
      if (done > 0) log.warn(`files: ${done} held deletions were confirmed and are carried out`);
      return done;
    },
    async close() {
      wanted = false;
      unsubscribe();
      ctx.turn.abort();
      await endWatch();
    },
  };
  return files;
}

/** No files are replicated. */
export const filesOff: Files = {
  enabled: false,
  facts: () => ({ state: 'off', needItems: 0, needBytes: 0, errors: 0, mode: 'unknown' }),
  status: () => ({ silent: null, seenAt: null, connected: null, folders: [], held: [], notes: [] }),
  lead: async () => ({ kind: 'done' }),
  follow: async () => ({ kind: 'done' }),
  settle: async () => ({ kind: 'done' }),
  deviceId: async () => '',
  setMembers: async () => {},
  start: async () => {},
  stop: async () => {},
  wipe: async () => {},
  accept: async () => 0,
  close: async () => {},
};

function contextOf(config: NodeConfig, home: Home, rest: Rest, deps: FilesDeps): Context {
  return {
    config,
    home,
    rest: () => rest,
    log: deps.log,
    epoch: deps.epoch ?? (() => 0),
    inTurn: createSerial(),
    stance: null,
    told: null,
    turn: new AbortController(),
    seen: null,
    looks: { begun: 0, ended: 0 },
    silent: 'Syncthing has not been started yet',
    connectedAt: null,
    indexAt: 0,
    settledOn: null,
    held: [],
    returning: false,
    otherwise: new Map(),
    reverts: new Map(),
    notes: new Map(),
  };
}

const answers = (ctx: Context): Promise<boolean> =>
  ctx
    .rest()
    .get('system/ping', 1_000)
    .then(() => true)
    .catch(() => false);

/** Are the folders those of the configuration? They only change with a start. */
async function asConfigured(ctx: Context): Promise<boolean> {
  const found = (await ctx.rest().get('config/folders', CALL)) as { id: string; path: string }[];
  const names = (folders: readonly { id: string; path: string }[]) =>
    folders.map(({ id, path }) => `${id} ${path}`).sort();
  return names(found).join('\n') === names(ctx.config.files.folders).join('\n');
}

/** The same members are the same list. */
const inOrder = (members: Parameters<Files['setMembers']>[0]) =>
  [...members]
    .sort((a, b) => (a.node < b.node ? -1 : 1))
    .map(({ node, deviceId, address }) => ({ node, deviceId, address }));
