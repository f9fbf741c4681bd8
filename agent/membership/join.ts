/**
 * `cluster join`: an empty manager becomes a standby, in the order of PROTOCOL F: admission, the database, Consul, and only
 * then its key. Anything that fails before that leaves the machine as it was found.
 */

import type { Admission, AdmitRequest, Enrolled } from '../api/types.ts';
import { effectiveLease, type NodeConfig } from '../config/index.ts';
import { standbyName } from '../core/records.ts';
import { AgentError } from '../errors.ts';
import type { Parts } from '../node/parts.ts';
import { sleep } from '../platform/clock.ts';
import type { Files } from '../roles/files/port.ts';
import { type Membership, newClone } from '../state/identity.ts';
import { version } from '../version.ts';
import { refuseOtherVersion } from './preflight.ts';
import { keepReserved } from './reservation.ts';
import { refuseCopy } from './settings.ts';
import type { Report, Steps } from './tracker.ts';

export type JoinParts = {
  parts: Parts;
  addresses: readonly string[];
  request: AdmitRequest;
  /** Ask the active to admit this manager: any node may be asked, and sends on to the active. */
  admit(address: string, request: AdmitRequest): Promise<Admission>;
  enrol(address: string, secret: string): Promise<Enrolled>;
  keep(address: string, secret: string): Promise<void>;
  /** Make the join itself durable, before it changes anything: an agent that dies in it has its work undone by the next. */
  begin(systemId: string): void;
  /** Writes the certificates and secrets that came with the admission. */
  accept(admission: Admission): void;
  /** Make clone id and membership durable and run the core. */
  become(membership: Membership, clone: string): Promise<void>;
  /** The active has entered this node, and gave it what members hold. */
  entered(enrolled: Enrolled): void;
  /** Undo everything since `begin`. */
  undo(): Promise<void>;
  following(): { streaming: boolean; reason: string };
};

const ADMISSION = 10_000;
const ENROLMENT = 60_000;
const CONSUL_VOTES = 60_000;
const FOLLOWS = 60_000;
/** Files that come no closer for this long are not waited for. */
const FILES_STALL = 30_000;

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

export async function joinCluster(parts: JoinParts, { step }: Steps): Promise<void> {
  const { config, pg, consul, machine, files, doors } = parts.parts;
  const admission = await step('asking to be admitted', async () =>
    refuseOtherVersion(config, await admitSomewhere(parts)),
  );
  let entering = false;
  const [ended, given] = [new AbortController(), new AbortController()];
  const keepers = [admission.active.hostIp, ...parts.addresses];
  const keep = (address: string) => parts.keep(address, admission.secret);
  try {
    parts.begin(admission.systemId);
    parts.accept(admission);
    void keepReserved(keepers, keep, ended.signal).then((refusal) => given.abort(refusal));
    const clone = newClone();
    await step('taking over the machine', async () => {
      await machine.take();
      // Not a member of anything here: what an earlier cluster left must not meet the servers of this one.
      await consul.wipe();
      // Its own doors, before it knows the list of members from Consul.
      for (const door of doors) await door.letIn(admission.members);
    });
    await step('copying the database', async (report) => {
      await pg.setIdentity(standbyName({ node: config.node_name, clone }));
      const from = {
        node: admission.active.node,
        host: admission.active.hostIp,
        port: admission.active.postgresPort,
      };
      const done = await pg.basebackup(
        from,
        ({ what, ...sizes }) => report({ detail: what, ...sizes }),
        given.signal,
      );
      await refuseCopy(done, pg);
    });
    if (files.enabled) await step('copying the files', (report) => copyFiles(files, admission, report));
    await step('joining Consul', async () => {
      await consul.start({ bootstrap: false, join: admission.consulServers });
      await consul.waitVoter(CONSUL_VOTES);
    });
    await step('entering the cluster', async () => {
      await parts.become(
        {
          nodeName: config.node_name,
          hostIp: config.host_ip,
          publicIp: config.public_ip ?? null,
          clusterId: admission.clusterId,
          incarnation: admission.incarnation,
          systemId: admission.systemId,
          secret: admission.secret,
          consulServers: [...new Set([...admission.consulServers, config.host_ip])],
          options: {},
          entered: false,
          removed: false,
        },
        clone,
      );
      entering = true;
      const active = admission.active.hostIp;
      parts.entered(
        await enrolSurely([...parts.addresses, active], (address) => parts.enrol(address, admission.secret)),
      );
    });
  } catch (thrown) {
    // Once its key may be written, this clone may be a voter, and what it has is no longer its own to wipe.
    if (!entering || isRefusal(thrown)) await parts.undo();
    throw thrown;
  } finally {
    ended.abort();
  }
  await step('following the active', async (report) => {
    const until = performance.now() + FOLLOWS;
    for (;;) {
      const { streaming, reason } = parts.following();
      if (streaming) return;
      report({ detail: reason });
      if (performance.now() > until) {
        throw new AgentError({
          class: 'transient',
          code: 'still_going',
          message: `joined, but not following yet: ${reason}`,
          hint: "see 'agent cluster nodes list'",
        });
      }
      await sleep(50);
    }
  });
}

/**
 * Receive-only, until the copy is complete; while it comes closer it is waited for. What is missing then goes on beside, and is
 * a fact in every decision.
 */
async function copyFiles(files: Files, admission: Admission, report: Report): Promise<void> {
  await files.start();
  await files.follow(admission.active.node, FILES_STALL);
  let least = Number.POSITIVE_INFINITY;
  let until = performance.now() + FILES_STALL;
  while (performance.now() < until) {
    const { state, needItems, needBytes } = files.facts();
    if (state === 'complete') return;
    if (state === 'behind' && needBytes < least) {
      least = needBytes;
      until = performance.now() + FILES_STALL;
    }
    report({ detail: state === 'behind' ? `${needItems} items, ${needBytes} bytes to come` : 'connecting' });
    await sleep(200);
  }
  report({ detail: 'not complete yet: goes on in the background' });
}

const isRefusal = (thrown: unknown): boolean => thrown instanceof AgentError && thrown.class !== 'transient';

/**
 * Asked again while the outcome is not known: once the key is written this clone may become a voter, and undoing the join
 * would wipe what a vote counts on.
 */
export async function enrolSurely<T>(
  addresses: readonly string[],
  enrol: (address: string) => Promise<T>,
): Promise<T> {
  const until = performance.now() + ENROLMENT;
  let maybe = false;
  for (let turn = 0; ; turn++) {
    try {
      return await enrol(addresses[turn % addresses.length] ?? '');
    } catch (thrown) {
      const refused = thrown instanceof AgentError && thrown.class !== 'transient';
      // After one try whose outcome nobody knows, no later refusal says that it was not written.
      if (refused && !maybe) throw thrown;
      maybe = true;
      if (performance.now() > until) {
        throw new AgentError({
          class: 'transient',
          code: 'enrolment_unknown',
          message: 'the cluster did not say whether this node is in it',
          hint: "it asks again when its agent restarts; see 'agent cluster nodes list' on another node",
          cause: thrown,
        });
      }
      await sleep(500);
    }
  }
}

/** The first address that answers decides: a refusal is final, silence is not. */
async function admitSomewhere(parts: JoinParts): Promise<Admission> {
  let silence: unknown;
  const until = performance.now() + ADMISSION;
  do {
    for (const address of parts.addresses) {
      try {
        return await parts.admit(address, parts.request);
      } catch (thrown) {
        if (thrown instanceof AgentError && thrown.class !== 'transient') throw thrown;
        silence = thrown;
      }
    }
    // A change of the active takes a few seconds: nobody can admit meanwhile.
    await sleep(250);
  } while (performance.now() < until);
  throw new AgentError({
    class: 'transient',
    code: 'no_member_answers',
    message: `none of these members answers: ${parts.addresses.join(', ')}`,
    hint: 'give the address of a node of the cluster, and see that its agent runs',
    cause: silence,
  });
}
