/** Waiting for what a Consul server says of itself. */
import { AgentError } from '../../errors.ts';
import { sleep } from '../../platform/clock.ts';

/** Asks again until it is true; throws the given error (transient) after `ms`. */
export async function waitFor(
  ms: number,
  what: () => Promise<boolean>,
  otherwise: { code: string; message: string; hint: string },
): Promise<void> {
  const until = performance.now() + ms;
  while (performance.now() < until) {
    if (await what()) return;
    await sleep(100);
  }
  throw new AgentError({ class: 'transient', ...otherwise });
}

export const hasLeader = (answer: { kind: string; value?: string | undefined }): boolean =>
  answer.kind === 'ok' && answer.value !== undefined && answer.value !== '';
