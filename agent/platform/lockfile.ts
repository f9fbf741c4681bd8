import { existsSync, linkSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { AgentError } from '../errors.ts';
import { errno, makeDir, writeAtomically } from './files.ts';
import { alive, bootId, readStat } from './procfs.ts';

export interface Lock {
  /** Gives it up; may be repeated. */
  release(): void;
}

interface Owner {
  pid: number;
  start_time: number;
  boot_id: string;
}

const parseOwner = (text: string): Owner | undefined => {
  try {
    return JSON.parse(text) as Owner;
  } catch {
    return undefined;
  }
};

const lives = (owner: Owner): boolean => owner.boot_id === bootId() && alive(owner.pid, owner.start_time);

/**
 * One holder per folder and name, for as long as its process lives; there is nothing to clean up after a
 * crash.
 *
 * The lock is the file NAME.N with the highest N whose owner is alive. Taking over from a dead owner means
 * *linking* a complete file as NAME.(N+1), which only one of several can do; nobody removes a file that may
 * have become somebody else's. Rejects with `already_running` (operator) when another process holds it.
 */
export function acquireLock(dir: string, name: string): Lock {
  makeDir(dir);
  const owner: Owner = {
    pid: process.pid,
    start_time: readStat(process.pid)?.startTime ?? 0,
    boot_id: bootId(),
  };
  const draft = join(dir, `.${name}.${process.pid}.${Math.random().toString(36).slice(2)}`);
  writeAtomically(draft, `${JSON.stringify(owner)}\n`);
  try {
    for (;;) {
      const before = generations(dir, name);
      refuseIfHeld(before, dir, name);
      const mine = (before[0]?.number ?? 0) + 1;
      if (!link(draft, join(dir, `${name}.${mine}`))) continue;
      // One who looked at a much older listing may have linked a lower number: the highest holds.
      const after = generations(dir, name).filter(({ number }) => number !== mine);
      const higher = after.filter(({ number }) => number > mine);
      if (higher.length > 0) {
        rmSync(join(dir, `${name}.${mine}`), { force: true });
        continue;
      }
      for (const { number } of before) rmSync(join(dir, `${name}.${number}`), { force: true });
      return { release: () => rmSync(join(dir, `${name}.${mine}`), { force: true }) };
    }
  } finally {
    rmSync(draft, { force: true });
  }
}

interface Generation {
  readonly number: number;
  readonly owner: Owner | undefined;
}

/** Highest first. */
function generations(dir: string, name: string): Generation[] {
  return readdirSync(dir)
    .filter((file) => file.startsWith(`${name}.`) && /^\d+$/.test(file.slice(name.length + 1)))
    .flatMap((file) => {
      try {
        return [
          {
            number: Number(file.slice(name.length + 1)),
            owner: parseOwner(readFileSync(join(dir, file), 'utf8')),
          },
        ];
      } catch {
        return [];
      }
    })
    .sort((a, b) => b.number - a.number);
}

/** The pid of the living process that holds the lock; undefined when nobody does. */
export function lockHolder(dir: string, name: string): number | undefined {
  if (!existsSync(dir)) return undefined;
  return generations(dir, name).find(({ owner }) => owner !== undefined && lives(owner))?.owner?.pid;
}

function refuseIfHeld(all: readonly Generation[], dir: string, name: string): void {
  const holder = all.find(({ owner }) => owner !== undefined && lives(owner));
  if (!holder?.owner) return;
  throw new AgentError({
    class: 'operator',
    code: 'already_running',
    message: `process ${holder.owner.pid} holds ${join(dir, name)}`,
    hint: 'an agent is already running here: stop that one first, or give this one another state_dir',
  });
}

function link(draft: string, path: string): boolean {
  try {
    linkSync(draft, path);
    return true;
  } catch (cause) {
    if (errno(cause) === 'EEXIST') return false;
    throw cause;
  }
}
