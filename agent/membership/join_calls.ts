/** What a joining manager asks of the cluster: to be admitted, to be kept a place for, and to be entered. */
import type { Admission, AdmitRequest } from '../api/types.ts';
import { effectiveLease, type NodeConfig } from '../config/index.ts';
import { AgentError } from '../errors.ts';
import type { createPeerCalls } from '../peers/joining_calls.ts';
import type { Time } from '../platform/clock.ts';
import { version } from '../version.ts';
import type { Joining, JoinParts } from './join.ts';
import { keepReserved } from './reservation.ts';

/** Any node may be asked: it sends on to the active. */
export type JoinCalls = ReturnType<typeof createPeerCalls>;

const ADMISSION = 10_000;
const ENROLMENT = 60_000;

/** What a joining manager says of itself. */
export function admitRequestOf(config: NodeConfig): AdmitRequest {
  const lease = effectiveLease(config);
  return {
    nodeName: config.node_name,
    hostIp: config.host_ip,
    publicIp: config.public_ip ?? null,
    apiPort: config.api.port,
    postgresPort: config.postgres.port,
    version,
    priority: config.tags.priority,
    nofailover: config.tags.nofailover,
    lease: {
      retryPeriod: lease.retry_period,
      renewDeadline: lease.renew_deadline,
      leaseDuration: lease.lease_duration,
    },
  };
}

export const isRefusal = (thrown: unknown): boolean =>
  thrown instanceof AgentError && thrown.class !== 'transient';

/** Codes of who does not answer, or knows of nobody who could. */
const NO_ANSWER: ReadonlySet<string> = new Set(['member_silent', 'no_active']);

/** The first address that answers decides: a refusal is final, silence is not. */
export async function askAdmission({ addresses, calls, request, time }: JoinParts): Promise<Admission> {
  let silence: unknown;
  const until = time.now() + ADMISSION;
  do {
    for (const address of addresses) {
      try {
        return await calls.admit(address, request);
      } catch (thrown) {
        if (isRefusal(thrown)) throw thrown;
        silence = thrown;
      }
    }
    // A change of the active takes a few seconds: nobody can admit meanwhile.
    await time.sleep(250);
  } while (time.now() < until);
  // One of them did answer, and says why not yet.
  if (silence instanceof AgentError && !NO_ANSWER.has(silence.code)) throw silence;
  throw new AgentError({
    class: 'transient',
    code: 'no_member_answers',
    message: `none of these members answers: ${addresses.join(', ')}`,
    hint: 'give the address of a node of the cluster, and see that its agent runs',
    cause: silence,
  });
}

/** The reservation lives on while the join is at work; that it is gone ends the copying. */
export function keepAlive({ parts, addresses, calls, admission, refused, ended }: Joining): void {
  if (admission === undefined) return;
  const { active, secret } = admission;
  const keep = (address: string) => calls.keep(address, secret, parts.config.node_name);
  void keepReserved([active.hostIp, ...addresses], keep, ended.signal).then((refusal) =>
    refused.abort(refusal),
  );
}

/**
 * Asked again while the outcome is not known: once the key is written this clone may become a voter, and
 * undoing the join would wipe what a vote counts on.
 */
export async function enrolSurely<T>(
  addresses: readonly string[],
  enrol: (address: string) => Promise<T>,
  time: Time,
): Promise<T> {
  const until = time.now() + ENROLMENT;
  let maybe = false;
  for (let turn = 0; ; turn++) {
    try {
      return await enrol(addresses[turn % addresses.length] ?? '');
    } catch (thrown) {
      // After one try whose outcome nobody knows, no later refusal says that it was not written.
      if (isRefusal(thrown) && !maybe) throw thrown;
      maybe = true;
      if (time.now() > until) {
        throw new AgentError({
          class: 'transient',
          code: 'enrolment_unknown',
          message: 'the cluster did not say whether this node is in it',
          hint: "it asks again when its agent restarts; see 'agent cluster nodes list' on another node",
          cause: thrown,
        });
      }
      await time.sleep(500);
    }
  }
}
