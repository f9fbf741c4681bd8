/** Stop, and know that nothing of the server is left. */
import type { StopOutcome } from '../../core/postgres.ts';
import { deadline } from '../../platform/clock.ts';
import { readControl } from './control.ts';
import { endServer, type Mode } from './ending.ts';
import { dataState } from './facts.ts';
import { putStandbySignal } from './lifecycle.ts';
import { attempt, failed, type Server } from './server.ts';

export async function stop(
  server: Server,
  mode: Mode,
  ms: number,
  thenStandby: boolean,
): Promise<StopOutcome> {
  const end = deadline(ms);
  const { loss, turns } = server;
  // In memory alone: a stop must not wait for a disk, and its backends end with the server.
  server.claims.outdate('promotion');
  const outcome = await turns.stop(() =>
    attempt('stop', async (): Promise<StopOutcome> => {
      loss.want(true);
      const left = await endServer(server, mode, end);
      return left === null ? await stopped(server, thenStandby) : failed(left);
    }),
  );
  if (outcome.kind !== 'stopped') loss.want(false);
  return outcome;
}

async function stopped(server: Server, thenStandby: boolean): Promise<StopOutcome> {
  const { o } = server;
  if ((await dataState(o)) === 'empty')
    return { kind: 'stopped', clean: false, checkpoint: null, timeline: 0 };
  if (thenStandby) putStandbySignal(o);
  const control = await readControl(o);
  const primary = control.state === 'shut down';
  return {
    kind: 'stopped',
    clean: primary || control.state === 'shut down in recovery',
    checkpoint: primary ? control.checkpoint : null,
    timeline: control.timeline,
  };
}
