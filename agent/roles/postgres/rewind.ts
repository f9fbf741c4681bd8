/** pg_rewind: throw away what this node alone wrote and take the source's from the fork on (PROTOCOL E.2). */
import { join } from 'node:path';
import type { Outcome, Upstream } from '../../core/postgres.ts';
import { type Deadline, deadline, until } from '../../platform/clock.ts';
import { run, runOk } from '../../platform/process.ts';
import { mainConf } from './conf.ts';
import { conninfoTo } from './conninfo.ts';
import { readControl } from './control.ts';
import { putStandbySignal } from './lifecycle.ts';
import { clearMark, hasMark, setMark } from './marks.ts';
import type { PgOptions } from './options.ts';
import type { Progress } from './port.ts';
import { killLeftovers, postmasterPid } from './process.ts';
import { majorOf } from './read_text.ts';
import { cleanAutoConf } from './reload.ts';
import { sourceSpaces } from './room.ts';
import { attempt, DONE, failed, type Server } from './server.ts';
import { lookAtAll } from './tablespace_folders.ts';
import { type Space, spacesOf } from './tablespaces.ts';
import { longest, reporter, toolEnv } from './tools.ts';

const checkpointed = `select not r and (select timeline_id from pg_control_checkpoint()) =
    case when not r then ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int end
  from (select pg_is_in_recovery() as r) as x`;

/** How long the source's checkpoint on its new timeline is waited for: it was asked for by the promotion. */
const checkpointWait = 60_000;

export async function rewind(
  server: Server,
  from: Upstream,
  progress: Progress,
  signal: AbortSignal,
): Promise<Outcome> {
  const { o } = server;
  return await attempt('rewind', async () => {
    if ((await postmasterPid(o)) !== null) return failed("this node's server is running: stop it first");
    if (!(await killLeftovers(o, deadline(2000))))
      return failed("processes of this node's server do not end");
    if (hasMark(o)) return failed('an earlier rewind or copy broke off half-way: clone instead');
    const { state } = await readControl(o);
    if (!state.startsWith('shut down')) {
      return failed(
        `this node's server was not stopped cleanly (${state}): start it as a cut standby and stop it`,
      );
    }
    const { tls } = await server.settings.writeAll({}, server.claims.take('copy', null));
    const source = conninfoTo(o, tls, from, 'agent_rewind', o.database);
    progress({ what: 'waiting for the checkpoint of the source' });
    const ready = await sourceReady(o, source, deadline(checkpointWait), signal);
    if (ready.kind !== 'done') return ready;
    const spaces = await sourceSpaces(o, source, signal);
    refuseOther(o.dataDir, spaces);
    lookAtAll(o.dataDir, spaces);
    await rewindFrom(o, from, source, progress, signal);
    await cleanAutoConf(o);
    putStandbySignal(o);
    clearMark(o);
    return DONE;
  });
}

async function rewindFrom(
  o: PgOptions,
  from: Upstream,
  source: string,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const report = reporter('rewind', progress);
  await runOk(
    join(o.binDir, 'pg_rewind'),
    ['-D', o.dataDir, `--source-server=${source}`, '-P', ...(await configFile(o))],
    {
      deadline: longest,
      signal,
      env: toolEnv(o),
      onLine: (line) => {
        // From this line on the data directory is neither the old one nor the new one.
        if (line.includes('need to copy')) setMark(o, `rewind from ${from.node}`);
        report(line);
      },
    },
  );
}

/**
 * pg_rewind leaves a link that is there as it is. After tablespaces were made on either side of the fork a
 * number can mean two of them, and the source's tables would come into the other one's folder.
 */
function refuseOther(dataDir: string, spaces: readonly Space[]): void {
  const own = new Map(spacesOf(dataDir).map(({ oid, location }) => [oid, location]));
  for (const { oid, location } of spaces) {
    const here = own.get(oid);
    if (here !== undefined && here !== location)
      throw new Error(`tablespace ${oid} is in ${here} here and in ${location} at the source: clone instead`);
  }
}

/** Where the settings are not in the data directory, 14 and later want to be told. */
async function configFile(o: PgOptions): Promise<string[]> {
  const major = (await majorOf(o.dataDir)) ?? 0;
  return major >= 14 ? [`--config-file=${mainConf(o)}`] : [];
}

/**
 * pg_rewind compares timelines by the control files: a source that was promoted and has not checkpointed
 * since still shows the old one there, and "no rewind required" would be the answer.
 */
async function sourceReady(
  o: PgOptions,
  source: string,
  end: Deadline,
  signal: AbortSignal,
): Promise<Outcome> {
  // Asked by the same library that rewinds, so that what lets the one in lets in the other.
  const args = ['--no-psqlrc', '--no-password', '-A', '-t', '-q', '-c', checkpointed, source];
  let last = '';
  const ready = await until(
    async () => {
      if (signal.aborted) return 'cancelled';
      const asked = await run(join(o.binDir, 'psql'), args, {
        deadline: 2 * o.walTimeout,
        signal,
        env: toolEnv(o),
      });
      last = asked.stderr.trim();
      if (asked.code !== 0) return asked.ended === 'cancelled' ? 'cancelled' : null;
      return asked.stdout.trim() === 't';
    },
    { timeout: end, every: 100 },
  );
  if (ready === 'cancelled') return failed('cancelled');
  return ready
    ? DONE
    : failed(`the source has not checkpointed on its timeline, or is not a primary ${last}`.trim());
}
