import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, statSync } from 'node:fs';
import { AgentError, messageOf } from '../../errors.ts';
import { givenEnvironment, ownEnvironment } from '../../platform/environment.ts';
import { GROUP_READABLE, openToAppend } from '../../platform/files.ts';
import type { ServiceUnit } from './driver.ts';

function environment(unit: ServiceUnit, mark: Readonly<Record<string, string>>): Record<string, string> {
  const base = unit.managers === true ? givenEnvironment() : ownEnvironment();
  const merged = { ...base, ...unit.env, ...mark };
  // systemd's notification and watchdog belong to the agent: a child that answered for it would hide a hung
  // agent.
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID'])
    if (!unit.env?.[name]) delete merged[name];
  return Object.fromEntries(
    Object.entries(merged).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

const failed = (unit: ServiceUnit, cause: unknown) =>
  new AgentError({
    class: 'operator',
    code: 'service_not_started',
    message: `cannot start ${unit.name}: ${messageOf(cause)}`,
    hint: `check that ${unit.command ?? 'its command'} can be run and ${unit.cwd ?? 'its folder'} exists`,
    cause,
  });

/**
 * Starts a process in a session of its own with its output going to a file, so that nothing of it depends
 * on this process. Resolves once the program runs; rejects with `service_not_started`.
 */
export async function spawnDetached(
  unit: ServiceUnit,
  logFile: string,
  mark: Readonly<Record<string, string>>,
): Promise<ChildProcess & { pid: number }> {
  if (unit.command === undefined) throw failed(unit, new Error('it has no command'));
  // Runtimes report a missing folder as if the program were missing.
  if (unit.cwd !== undefined && !statSync(unit.cwd, { throwIfNoEntry: false })?.isDirectory()) {
    throw failed(unit, new Error(`there is no folder ${unit.cwd}`));
  }
  let child: ChildProcess;
  let log: number;
  try {
    log = openToAppend(logFile, GROUP_READABLE);
  } catch (cause) {
    throw failed(unit, cause);
  }
  try {
    child = spawn(unit.command, [...(unit.args ?? [])], {
      cwd: unit.cwd,
      env: environment(unit, mark),
      detached: true,
      stdio: ['ignore', log, log],
    });
  } catch (cause) {
    throw failed(unit, cause);
  } finally {
    closeSync(log);
  }
  if (child.pid === undefined) {
    const cause = await new Promise<unknown>((done) => child.once('error', done));
    throw failed(unit, cause);
  }
  child.on('error', () => {});
  child.unref();
  return child as ChildProcess & { pid: number };
}
