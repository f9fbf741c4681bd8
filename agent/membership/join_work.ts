/** The steps of a join that take their time, and the undoing of the one that matters. */
import type { Admission } from '../api/types.ts';
import { standbyName } from '../core/records.ts';
import { AgentError } from '../errors.ts';
import type { Joining, JoinParts, Undo } from './join.ts';
import { refuseCopy } from './preflight.ts';
import { followingOf } from './seen.ts';
import type { Report } from './tracker.ts';

const FOLLOWS = 60_000;
/** Files that come no closer for this long are not waited for. */
const FILES_STALL = 30_000;

export async function copyDatabase(
  { parts: { config, pg }, clone, refused }: Joining,
  { active }: Admission,
  report: Report,
): Promise<void> {
  await pg.setIdentity(standbyName({ node: config.node_name, clone }));
  const from = { node: active.node, host: active.hostIp, port: active.postgresPort };
  const done = await pg.basebackup(
    from,
    ({ what, ...sizes }) => report({ detail: what, ...sizes }),
    refused.signal,
  );
  await refuseCopy(done, pg);
}

/**
 * Receive-only, until the copy is complete; while it comes closer it is waited for. What is missing then goes
 * on beside, and is a fact in every decision.
 */
export async function copyFiles(
  { parts: { files }, time }: JoinParts,
  { active }: Admission,
  report: Report,
): Promise<void> {
  await files.start();
  await files.follow(active.node, FILES_STALL);
  let least = Number.POSITIVE_INFINITY;
  let until = time.now() + FILES_STALL;
  while (time.now() < until) {
    const { state, needItems, needBytes } = files.facts();
    if (state === 'complete') return;
    if (state === 'behind' && needBytes < least) {
      least = needBytes;
      until = time.now() + FILES_STALL;
    }
    report({ detail: state === 'behind' ? `${needItems} items, ${needBytes} bytes left` : 'connecting' });
    await time.sleep(200);
  }
  report({ detail: 'not complete yet: continues in the background' });
}

export async function waitFollowing({ core, time }: JoinParts, report: Report): Promise<void> {
  const until = time.now() + FOLLOWS;
  for (;;) {
    const { streaming, reason } = followingOf(core.member);
    if (streaming) return;
    report({ detail: reason });
    if (time.now() > until) {
      throw new AgentError({
        class: 'transient',
        code: 'still_going',
        message: `joined, but not following yet: ${reason}`,
        hint: "see 'agent cluster nodes list'",
      });
    }
    await time.sleep(50);
  }
}

/**
 * Wiped once: the mark remembers that, so that a database which somebody makes here afterwards is left alone.
 */
export async function wipeCopy({ parts: { pg }, kept, log }: Undo): Promise<void> {
  const mark = kept.joining.load();
  if (mark === undefined || mark.wiped) return;
  const { systemId } = await pg.inspect();
  if (systemId !== null && systemId !== mark.systemId) {
    log.error('the database here is not the one that the join copied: it is left alone');
  } else {
    const wiped = await pg.wipe();
    if (wiped.kind !== 'done')
      throw new AgentError({ class: 'transient', code: 'database_not_wiped', message: wiped.why });
  }
  kept.joining.save({ ...mark, wiped: true });
}
