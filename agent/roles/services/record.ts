import { join } from 'node:path';
import * as v from 'valibot';
import { readJson, removeDurably, writeAtomically } from '../../platform/files.ts';
import { alive, bootId, processesWithEnv, readStat } from '../../platform/procfs.ts';

/** In every child's environment, so that it is found even if the agent died before it noted the pid. */
export const UNIT_VARIABLE = 'CLOUDIFY_AGENT_UNIT';

const schema = v.object({
  name: v.string(),
  /** Absent between the decision to start and the start. */
  pid: v.optional(v.number()),
  /** Clock ticks since boot. */
  start_time: v.optional(v.number()),
  boot_id: v.string(),
  started_at: v.string(),
});

/** A process that was started; pid, start time and boot id together name it for good. */
export interface ServiceRecord {
  readonly name: string;
  readonly pid: number;
  readonly startTime: number;
  readonly startedAt: Date;
}

export type Remembered =
  | { readonly kind: 'running'; readonly record: ServiceRecord }
  /** It was meant to run, and does not. */
  | { readonly kind: 'died' }
  /** Never started, stopped on purpose, or of an earlier boot. */
  | { readonly kind: 'none' };

/** What outlives the agent about its services: a file each, removed when one is stopped on purpose. */
export interface Records {
  /** To be called before the process is made; `started` after. */
  intend(name: string, startedAt: Date): void;
  started(name: string, pid: number, startedAt: Date): ServiceRecord;
  recall(name: string): Remembered;
  remove(name: string): void;
  /** UNIT_VARIABLE's value for a service, unique to this folder. */
  mark(name: string): string;
}

export function fileRecords(dir: string): Records {
  const file = (name: string) => join(dir, `${name}.json`);
  const mark = (name: string) => join(dir, name);
  const save = (name: string, startedAt: Date, process: { pid?: number; start_time?: number }) =>
    writeAtomically(
      file(name),
      `${JSON.stringify({ name, ...process, boot_id: bootId(), started_at: startedAt.toISOString() })}\n`,
    );

  return {
    mark,
    intend: (name, startedAt) => save(name, startedAt, {}),
    started(name, pid, startedAt) {
      const startTime = readStat(pid)?.startTime ?? 0;
      try {
        save(name, startedAt, { pid, start_time: startTime });
      } catch {
        // It runs, and the intention on disk lets a later agent find it by its mark.
      }
      return { name, pid, startTime, startedAt };
    },
    recall(name) {
      const saved = readJson(file(name), schema);
      if (!saved || saved.boot_id !== bootId()) return { kind: 'none' };
      const startedAt = new Date(saved.started_at);
      // Only an unfinished start is looked for by its mark: later, children of a dead process carry it too.
      const found = saved.pid === undefined ? processesWithEnv(UNIT_VARIABLE, mark(name))[0] : undefined;
      const pid = found?.pid ?? saved.pid;
      const startTime = found?.startTime ?? saved.start_time;
      if (pid === undefined || startTime === undefined || !alive(pid, startTime)) return { kind: 'died' };
      return { kind: 'running', record: { name, pid, startTime, startedAt } };
    },
    remove: (name) => removeDurably(file(name)),
  };
}
