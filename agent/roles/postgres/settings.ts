/** The durable settings: read once, changed one at a time, written before they are acted on. */
import { makeDir, PRIVATE, writeDurably } from '../../platform/files.ts';
import { createSerial } from '../../platform/serial.ts';
import type { Claim } from './claims.ts';
import {
  clusterConf,
  initialSettings,
  mainConf,
  newGeneration,
  parseClusterConf,
  renderClusterConf,
  renderMainConf,
  type Settings,
} from './conf.ts';
import { passFile, renderPassFile } from './conninfo.ts';
import { accessOf } from './hba.ts';
import type { PgOptions } from './options.ts';
import { originalConf } from './originals.ts';
import { createParameters } from './parameters.ts';
import { majorOf, readText } from './read_text.ts';
import { writeText } from './write_text.ts';

export interface SettingsStore {
  get(): Promise<Settings>;
  /**
   * Write the change, with a new generation. The pg_hba goes with `fenced`, in the order that errs to the
   * closed side: closed before the mark says fenced, open after it no longer does. Throws, with nothing
   * written, when `claim` is void by the time of the write.
   */
  change(part: Partial<Omit<Settings, 'generation'>>, claim: Claim): Promise<Settings>;
  /** Bring every file up to date, for a start. */
  writeAll(part: Partial<Omit<Settings, 'generation'>>, claim: Claim): Promise<Settings>;
  /** The files are gone: begin anew. */
  forget(): void;
}

export function createSettings(o: PgOptions): SettingsStore {
  let current: Settings | null = null;
  let major: number | null = null;
  const parameters = createParameters(o);
  const inTurn = createSerial();

  const load = async (): Promise<Settings> => {
    current ??= parseClusterConf(await readText(clusterConf(o))) ?? initialSettings(o);
    return current;
  };
  /** Read once: a disk that hangs is not to hold up a cut. */
  const known = async (): Promise<number | null> => {
    major ??= await majorOf(o.dataDir);
    return major;
  };
  const wanted = async (part: Partial<Settings>): Promise<Settings> => {
    const now = await load();
    return { ...now, ...part, parameters: parameters.toWrite(now) };
  };
  const write = async (part: Partial<Settings>, claim: Claim): Promise<Settings> => {
    const next = { ...(await wanted(part)), generation: newGeneration() };
    const access = await accessOf(o, next);
    const version = await known();
    claim.check();
    makeDir(o.confDir, 0o700);
    if (next.fenced) await access.write();
    // The last moment: whatever this waited for, a later change may have been asked for meanwhile.
    claim.check();
    // Cleared first: when the writing breaks off half-way, the file tells what is there.
    current = null;
    writeDurably(clusterConf(o), renderClusterConf(o, next, version), PRIVATE);
    if (!next.fenced) await access.write();
    current = next;
    return next;
  };
  /** The settings, when all their files say already what `part` wants: a start then waits for no disk. */
  const unchanged = async (part: Partial<Settings>): Promise<Settings | null> => {
    const next = await wanted(part);
    if ((await readText(clusterConf(o))) !== renderClusterConf(o, next, await known())) return null;
    await (await accessOf(o, next)).write();
    return next;
  };

  return {
    get: load,
    change: (part, claim) => inTurn(() => write(part, claim)),
    async writeAll(part, claim) {
      // Before its turn: a fence that comes meanwhile does not wait for it.
      await parameters.settle(await load());
      return await inTurn(async () => {
        claim.check();
        makeDir(o.confDir, 0o700);
        await writeText(passFile(o), renderPassFile(o));
        await writeText(mainConf(o), renderMainConf(o, originalConf(o)));
        return (await unchanged(part)) ?? (await write(part, claim));
      });
    },
    forget: () => {
      current = null;
      major = null;
    },
  };
}
