/** Start. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Outcome } from '../../core/postgres.ts';
import { messageOf } from '../../errors.ts';
import { type Deadline, deadline, until } from '../../platform/clock.ts';
import { makeDir, PRIVATE, removeDurably, writeDurably } from '../../platform/files.ts';
import { runOk } from '../../platform/process.ts';
import { alive } from '../../platform/procfs.ts';
import type { Claim } from './claims.ts';
import { complaint, ENDED, type LogMarks, markLogs } from './complaint.ts';
import { mainConf, serverCommand } from './conf.ts';
import { floorNames, floorsOf, readControl } from './control.ts';
import { endServer } from './ending.ts';
import { tidy } from './exchange.ts';
import { dataState } from './facts.ts';
import { keptOfCopy } from './kept.ts';
import { brokeOff, makeLacking } from './lacking_space.ts';
import type { PgOptions } from './options.ts';
import { killLeftovers, postmasterPid, readPidFile } from './process.ts';
import { cleanAutoConf } from './reload.ts';
import { attempt, DONE, failed, type Server } from './server.ts';
import { loginProblem } from './sessions.ts';
import { whyNotToStart } from './tablespaces.ts';
import { trimHistory } from './timeline.ts';
import { OVERTAKEN, type Turn } from './turns.ts';

/** Milliseconds that a killed server may take to be gone. */
const DYING = 1000;
/** Milliseconds for the end of a server that should not have been started. */
const UNDOING = 2000;

const standbySignal = (o: PgOptions): string => join(o.dataDir, 'standby.signal');

export function putStandbySignal(o: PgOptions): void {
  if (!existsSync(standbySignal(o))) writeDurably(standbySignal(o), '', PRIVATE);
}

export async function start(server: Server, role: 'standby' | 'primary', ms: number): Promise<Outcome> {
  const end = deadline(ms);
  const claim = server.claims.take('start', role === 'primary' ? end : null);
  const early = server.backoff.early(role);
  if (early !== null && (await postmasterPid(server.o)) === null) return failed(early);
  const work = (turn: Turn) => attempt(`start as ${role}`, () => startNow(server, role, end, turn, claim));
  return await server.turns.start(end, work, () => undo(server));
}

async function startNow(
  server: Server,
  role: 'standby' | 'primary',
  end: Deadline,
  turn: Turn,
  claim: Claim,
): Promise<Outcome> {
  const running = await postmasterPid(server.o);
  if (running !== null) {
    const up = await attempt('look', () => alreadyRunning(server, running, role, end, turn));
    // One that was killed is there for a moment still: a dying server is no running one, and this start is
    // not over with it.
    if (up.kind === 'done' || turn.stale() || !(await dying(running, end))) return up;
  }
  // It may have accepted connections and ended soon after: then no start says what it lacks.
  const look = role === 'standby' && running === null && (await brokeOff(server.o).catch(() => false));
  const lacking = look ? await makeLacking(server.o, end) : null;
  if (lacking?.kind === 'failed') return noted(server, role, lacking);
  const first = await launched(server, end, turn, claim, () => prepare(server, role, end, claim));
  return noted(server, role, role === 'primary' ? first : await followed(server, end, turn, claim, first));
}

/**
 * A standby ends where its active went on with something that it lacks. What can be mended is, and it is
 * started once more.
 */
async function followed(
  server: Server,
  end: Deadline,
  turn: Turn,
  claim: Claim,
  first: Outcome,
): Promise<Outcome> {
  let last = first;
  while (last.kind === 'failed' && !end.over() && (await postmasterPid(server.o)) === null) {
    const { why } = last;
    const mended = (await raiseFloors(server, claim)) ? DONE : await makeLacking(server.o, end);
    if (mended?.kind !== 'done') return mended ?? last;
    last = await launched(server, end, turn, claim, async () => mended);
    if (last.kind === 'failed' && last.why === why) return last;
  }
  return last;
}

function noted({ backoff }: Server, role: string, outcome: Outcome): Outcome {
  if (outcome.kind === 'done') backoff.clear();
  else if (outcome.why.startsWith(ENDED)) backoff.failed(role, outcome.why);
  return outcome;
}

/** Is it gone, or about to be? Its connections break a little before its process ends. */
async function dying(pid: number, end: Deadline): Promise<boolean> {
  const gone = deadline(Math.min(DYING, end.left()));
  return (await until(() => !alive(pid), { timeout: gone, every: 5 })) === true && !end.over();
}

/** Prepares and starts, with no stop between, and waits until it accepts connections. */
async function launched(
  server: Server,
  end: Deadline,
  turn: Turn,
  claim: Claim,
  prepared: () => Promise<Outcome>,
): Promise<Outcome> {
  const { o } = server;
  let pid = null as number | null;
  let marks: LogMarks = new Map();
  const begun = await turn.launch(async () => {
    const ready = await prepared();
    if (ready.kind !== 'done') return ready;
    if (turn.stale()) return failed(OVERTAKEN);
    marks = await markLogs(o);
    claim.check();
    try {
      await o.starter.start(serverCommand(o));
    } catch (thrown) {
      // Its unit says that it failed; why, the server said itself, if it came so far.
      const said = await complaint(o, marks);
      if (said === ENDED) throw thrown;
      return failed(said);
    }
    pid = (await until(() => postmasterPid(o), { timeout: Math.min(1000, end.left()), every: 5 })) ?? null;
    return pid === null ? failed(await complaint(o, marks)) : DONE;
  });
  return begun.kind === 'done' && pid !== null ? await accepting(server, pid, end, turn, marks) : begun;
}

/** Nobody may be left with a server that a stop forbade and gave up waiting for. */
async function undo(server: Server): Promise<void> {
  server.loss.want(true);
  const left = await attempt('stop', async () => {
    const why = await endServer(server, 'fast', deadline(UNDOING));
    return why === null ? DONE : failed(why);
  });
  if (left.kind !== 'done') server.loss.want(false);
}

/** True when there was something to raise: the start is worth another try. */
async function raiseFloors({ o, settings }: Server, claim: Claim): Promise<boolean> {
  const raised = floorsOf(await readControl(o), await configuredOf(o));
  if (Object.keys(raised).length === 0) return false;
  await settings.change({ floors: { ...(await settings.get()).floors, ...raised } }, claim);
  return true;
}

/** Files as this start needs them; nothing of a former server is left when this is done. */
async function prepare(
  server: Server,
  role: 'standby' | 'primary',
  end: Deadline,
  claim: Claim,
): Promise<Outcome> {
  const { o, settings, loss, claims } = server;
  const data = await dataState(o);
  if (data !== 'ok') return failed(`the data directory is ${data}`);
  const unsafe = whyNotToStart(o.dataDir);
  if (unsafe !== null) return failed(unsafe);
  if (!(await killLeftovers(o, end))) return failed('processes of a former server do not end');
  const restoring = join(o.dataDir, 'recovery.signal');
  // No copy or rewind leaves it: somebody restores a backup here, and as a primary that would end where it is
  // now.
  if (role === 'primary' && existsSync(restoring))
    return failed(`${restoring} exists: a backup is being restored; let that finish, or remove the file`);
  tidy(o.dataDir);
  makeDir(o.socketDir, 0o700);
  const shut = claims.take('fence', null);
  const part =
    role === 'primary' ? { floors: {} } : { kept: await keptOfCopy(o, (await settings.get()).kept) };
  await settings.writeAll({ fenced: true, ...part }, shut);
  await cleanAutoConf(o);
  removeDurably(restoring);
  claim.check();
  if (role === 'primary') removeDurably(standbySignal(o));
  else putStandbySignal(o);
  await trimHistory(o);
  loss.want(false);
  return DONE;
}

async function alreadyRunning(
  server: Server,
  pid: number,
  role: 'standby' | 'primary',
  end: Deadline,
  turn: Turn,
): Promise<Outcome> {
  const up = await accepting(server, pid, end, turn, await markLogs(server.o));
  if (up.kind !== 'done') return up;
  const [row] = await server.link.query('select pg_is_in_recovery() as r', Math.max(1, end.left()));
  const is = row?.r === true ? 'standby' : 'primary';
  return is === role ? DONE : failed(`it already runs as a ${is}`);
}

async function accepting(
  server: Server,
  pid: number,
  end: Deadline,
  turn: Turn,
  marks: LogMarks,
): Promise<Outcome> {
  let last = 'it is still starting';
  const up = await until(
    async () => {
      if (turn.stale()) return failed(OVERTAKEN);
      if (!alive(pid)) return failed(await complaint(server.o, marks));
      // Its own word first: knocking at a server that recovers costs it a process each time.
      if ((await readPidFile(server.o.dataDir))?.status !== 'ready') return null;
      try {
        await server.link.query('select 1', Math.max(1, end.left()));
        return DONE;
      } catch (error) {
        last = messageOf(error);
        const problem = loginProblem(error);
        return problem === null ? null : failed(problem);
      }
    },
    { timeout: end, every: 8 },
  );
  return up ?? failed(`not accepting connections in time: ${last}`);
}

/**
 * The values of these settings as the stopped server would read them, its own configuration files included.
 */
async function configuredOf(o: PgOptions): Promise<Record<string, number>> {
  const values: Record<string, number> = {};
  for (const name of Object.values(floorNames)) {
    const args = ['-D', o.dataDir, '-c', `config_file=${mainConf(o)}`, '-C', name];
    const { stdout } = await runOk(join(o.binDir, 'postgres'), args, { deadline: 5000 });
    values[name] = Number(stdout.trim());
  }
  return values;
}
