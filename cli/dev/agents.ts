import { spawn } from 'node:child_process';
import { closeSync, existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import * as v from 'valibot';
import { AgentError } from '../../agent/errors.ts';
import { until } from '../../agent/platform/clock.ts';
import { givenEnvironment } from '../../agent/platform/environment.ts';
import { openToAppend, readJson, writeAtomically } from '../../agent/platform/files.ts';
import { alive, bootId, readStat } from '../../agent/platform/procfs.ts';
import { type DevNode, lastLines } from './layout.ts';
import { killNode, NODE_VARIABLE, nodeProcesses, signalProcess } from './processes.ts';
import { asUser, type DevUser, giveTo } from './user.ts';

const recordSchema = v.object({ pid: v.number(), start_time: v.number(), boot_id: v.string() });

const recordFile = (node: DevNode) => join(node.dir, 'agent.pid.json');
export const agentLog = (node: DevNode) => join(node.logDir, 'agent.out');

/** The running agent of a node. */
export function runningAgent(node: DevNode): { pid: number; startTime: number } | undefined {
  const record = readJson(recordFile(node), recordSchema);
  if (!record || record.boot_id !== bootId() || !alive(record.pid, record.start_time)) return undefined;
  return { pid: record.pid, startTime: record.start_time };
}

/** Does somebody listen on the agent's socket? */
export function answers(node: DevNode): Promise<boolean> {
  if (!existsSync(node.socket)) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = connect(node.socket);
    const settle = (value: boolean) => {
      socket.destroy();
      resolve(value);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}

/**
 * Starts `agent run` as a daemon of its own session; nothing when it runs. Resolves with its pid once it
 * answers.
 */
export async function startAgent(node: DevNode, program: readonly string[], user: DevUser): Promise<number> {
  const running = runningAgent(node);
  if (running) return running.pid;
  const log = openToAppend(agentLog(node), 0o644);
  giveTo(user, agentLog(node));
  const [command, ...args] = asUser(user, [...program, 'run', '--config', node.config]);
  const child = spawn(command, args, {
    cwd: node.dir,
    // HOME and the caches of a runtime: the user's own may not be writable, or not exist.
    env: {
      ...givenEnvironment(),
      [NODE_VARIABLE]: node.dir,
      HOME: node.dir,
      DENO_DIR: join(node.dir, 'deno'),
    },
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  let ended = false;
  child.once('exit', () => {
    ended = true;
  });
  child.once('error', () => {
    ended = true;
  });
  child.unref();
  const { pid } = child;
  const up = await until(async () => ended || (await answers(node)), { timeout: 30_000, every: 50 });
  if (pid === undefined || ended || !up) {
    throw new AgentError({
      class: 'operator',
      code: 'agent_not_started',
      message: `the agent of ${node.name} ${ended ? 'ended at once' : 'does not answer'}:\n${lastLines(agentLog(node), 15)}`,
      hint: `its output is in ${agentLog(node)}`,
    });
  }
  const record = { pid, start_time: readStat(pid)?.startTime ?? 0, boot_id: bootId() };
  writeAtomically(recordFile(node), `${JSON.stringify(record)}\n`);
  return pid;
}

/** Ends a node's agent alone: SIGTERM, after `patience` ms SIGKILL. What it had started goes on. */
export async function stopAgent(node: DevNode, patience = 5000): Promise<void> {
  const running = runningAgent(node);
  if (!running) return;
  const stat = readStat(running.pid);
  if (stat?.state === 'T') signalProcess(running, 'SIGCONT');
  signalProcess(running, 'SIGTERM');
  const isGone = () => !alive(running.pid, running.startTime);
  if (await until(isGone, { timeout: patience, every: 20 })) return;
  signalProcess(running, 'SIGKILL');
  await until(isGone, { timeout: 5000, every: 20 });
}

/** The node's postmaster, by the pid file of its data directory, if it lives. */
export function postmaster(node: DevNode): { pid: number; startTime: number } | undefined {
  try {
    const pid = Number.parseInt(readFileSync(join(node.pgData, 'postmaster.pid'), 'utf8'), 10);
    const stat = nodeProcesses(node).find((found) => found.pid === pid);
    return stat && { pid, startTime: stat.startTime };
  } catch {
    return undefined;
  }
}

/**
 * Ends everything of a node whose agent has ended: PostgreSQL by a fast shutdown, the rest politely, then by
 * force.
 */
export async function stopRest(node: DevNode, patience = 10_000): Promise<void> {
  const server = postmaster(node);
  if (server) {
    signalProcess(server, 'SIGINT');
    await until(() => !alive(server.pid, server.startTime), { timeout: patience, every: 20 });
  }
  for (const stat of nodeProcesses(node)) signalProcess(stat, 'SIGTERM');
  await until(() => nodeProcesses(node).length === 0, { timeout: 3000, every: 50 });
  await killNode(node);
}
