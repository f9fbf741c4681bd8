/**
 * `cluster join`: an empty manager becomes a standby, in the order of PROTOCOL F.3: admission, the database,
 * Consul, and only then its key. Anything that fails before that leaves the machine as it was found: `UNDO`
 * takes away what the steps made, here after a failure, and in the next agent after a crash, which finds the
 * mark of the join.
 */
import type { Admission, AdmitRequest } from '../api/types.ts';
import type { Logger } from '../log/log.ts';
import { forgetSecurity, type JoinSecurity, takeEnrolment } from '../node/access.ts';
import type { Parts } from '../node/parts.ts';
import type { Time } from '../platform/clock.ts';
import { durableStore, type Membership, newClone } from '../state/identity.ts';
import { askAdmission, enrolSurely, isRefusal, type JoinCalls, keepAlive } from './join_calls.ts';
import { copyDatabase, copyFiles, waitFollowing, wipeCopy } from './join_work.ts';
import type { Kept, OwnCore } from './own_core.ts';
import { refuseMissingLocales, refuseOtherVersion } from './preflight.ts';
import { runScript, type ScriptStep } from './script.ts';
import type { Steps } from './tracker.ts';

/** What an undoing has; after a restart of the agent there is no more. */
export type Undo = { parts: Parts; core: OwnCore; kept: Kept; log: Logger };

export type JoinParts = Undo & {
  readonly calls: JoinCalls;
  readonly security: JoinSecurity;
  /** Of members, as the operator gave them. */
  readonly addresses: readonly string[];
  readonly request: AdmitRequest;
  /** Settings that hold as long as the membership. */
  readonly options: Membership['options'];
  readonly time: Time;
};

/** A join under way. */
export type Joining = JoinParts & {
  /** Of this copy of the database. */
  readonly clone: string;
  /** Undefined until the first step is done. */
  admission?: Admission;
  /** Aborted with the refusal once the reservation is gone: the copy need not go on. */
  readonly refused: AbortController;
  /** Aborted when the reservation is not kept alive any longer. */
  readonly ended: AbortController;
  /** `asked`: its record may be written, and this clone a voter. */
  entry: 'not asked' | 'asked' | 'entered';
};

/** For Consul to become a voter, and to find its leader and leave it, ms. */
const CONSUL_VOTES = 60_000;
const LEAVE = 15_000;

export const JOIN: readonly ScriptStep<Joining>[] = [
  {
    name: 'asking to be admitted',
    again: 'the same joiner is reserved again; a reservation that nobody keeps alive ends by itself',
    async run(join) {
      const { config, pg } = join.parts;
      join.admission = await refuseMissingLocales(
        pg,
        await refuseOtherVersion(config, await askAdmission(join)),
      );
    },
  },
  {
    name: 'marking the join',
    quiet: true,
    again: 'no join begins while there is a mark: it is undone first',
    async run(join) {
      const { config } = join.parts;
      const { systemId } = admissionOf(join);
      join.kept.joining.save({
        nodeName: config.node_name,
        hostIp: config.host_ip,
        systemId,
        wiped: false,
      });
      join.security.accept(admissionOf(join));
      keepAlive(join);
    },
  },
  {
    name: 'taking over the machine',
    again: 'taken is taken; what Consul left of an earlier cluster is gone already',
    async run(join) {
      const { machine, consul, doors } = join.parts;
      await machine.take();
      // Not a member of anything here: what an earlier cluster left must not meet the servers of this one.
      await consul.wipe();
      // Its own doors, before it knows the list of members from Consul.
      for (const door of doors) await door.letIn(admissionOf(join).members);
    },
  },
  {
    name: 'copying the database',
    again: 'a copy is written beside the data directory and moved into place whole',
    run: (join, report) => copyDatabase(join, admissionOf(join), report),
  },
  {
    name: 'copying the files',
    again: 'Syncthing goes on where it was',
    when: ({ parts }) => parts.files.enabled,
    run: (join, report) => copyFiles(join, admissionOf(join), report),
  },
  {
    name: 'joining Consul',
    again:
      'never with the data of before: the active takes it out of Raft at each admission, and it was wiped above',
    async run(join) {
      const { consul } = join.parts;
      await consul.start({ bootstrap: false, join: admissionOf(join).consulServers });
      await consul.waitVoter(CONSUL_VOTES);
    },
  },
  {
    name: 'entering the cluster',
    again:
      'the membership is durable before its key: an agent that dies in between asks again, and is entered once',
    async run(join) {
      const { active, secret } = admissionOf(join);
      await join.core.run(join.parts, membershipOf(join), join.clone);
      join.entry = 'asked';
      const enrolled = await enrolSurely(
        [...join.addresses, active.hostIp],
        (address) => join.calls.enrol(address, secret, join.parts.config.node_name),
        join.time,
      );
      join.entry = 'entered';
      takeEnrolment(join.parts, enrolled);
      join.core.entered();
      join.kept.joining.forget();
      join.ended.abort();
    },
  },
  {
    name: 'following the active',
    again: 'only looks',
    run: waitFollowing,
  },
];

type UndoStep = {
  /** The step of `JOIN` whose traces it takes away. */
  readonly of: string;
  readonly what: string;
  run(o: Undo): Promise<void> | void;
};

/**
 * Each may be repeated, also where the join never came so far. One that fails ends the undoing, and the mark
 * stays.
 */
export const UNDO: readonly UndoStep[] = [
  { of: 'entering the cluster', what: 'the core ends', run: ({ core }) => core.end() },
  {
    of: 'entering the cluster',
    what: 'the membership is forgotten: an agent that finds the mark alone goes on here',
    run: ({ kept }) => kept.memberships.forget(),
  },
  {
    of: 'copying the database',
    what: "the copy, once: whatever database comes later is somebody's own",
    run: wipeCopy,
  },
  {
    of: 'joining Consul',
    what: 'out of Raft while its data is there, so that those who stay keep their quorum; then its data',
    async run({ parts: { consul }, log }) {
      if (!(await consul.leave(LEAVE)))
        log.warn('Consul did not confirm that it left: the others count this server until it joins again');
      await consul.wipe();
    },
  },
  {
    of: 'copying the files',
    what: 'members, index and identity; not the files',
    run: ({ parts }) => parts.files.wipe(),
  },
  {
    of: 'entering the cluster',
    what: 'the clone id',
    run: ({ parts }) => durableStore(parts.config).forget(),
  },
  {
    of: 'marking the join',
    what: 'certificates and secrets: after Consul, which leaves with them',
    run: ({ parts }) => forgetSecurity(parts),
  },
  {
    of: 'taking over the machine',
    what: 'the machine is given back, its firewall with it',
    run: ({ parts }) => parts.machine.give(),
  },
  { of: 'marking the join', what: 'the mark, last', run: ({ kept }) => kept.joining.forget() },
];

export async function joinCluster(parts: JoinParts, steps: Steps): Promise<void> {
  const join: Joining = {
    ...parts,
    clone: newClone(),
    refused: new AbortController(),
    ended: new AbortController(),
    entry: 'not asked',
  };
  try {
    await runScript(JOIN, join, steps);
  } catch (thrown) {
    if (mayUndo(join, thrown)) {
      // An undoing that fails has an error of its own.
      join.log.warn('the join is undone:', thrown);
      await undoJoin(join);
    }
    throw thrown;
  } finally {
    join.ended.abort();
  }
}

/** Takes away everything a join made here. The manager was empty before it: nothing of its own is lost. */
export async function undoJoin(o: Undo): Promise<void> {
  for (const { run } of UNDO) await run(o);
}

/** Once its key may be written, this clone may be a voter, and what it has is no longer its own to wipe. */
function mayUndo({ admission, entry }: Joining, thrown: unknown): boolean {
  if (admission === undefined) return false;
  return entry === 'not asked' || (entry === 'asked' && isRefusal(thrown));
}

function admissionOf({ admission }: Joining): Admission {
  if (admission === undefined) throw new TypeError('no step before the admission needs it');
  return admission;
}

function membershipOf(join: Joining): Membership {
  const { config } = join.parts;
  const { clusterId, incarnation, systemId, secret, consulServers } = admissionOf(join);
  return {
    nodeName: config.node_name,
    hostIp: config.host_ip,
    publicIp: config.public_ip ?? null,
    clusterId,
    incarnation,
    systemId,
    secret,
    consulServers: [...new Set([...consulServers, config.host_ip])],
    options: join.options,
    entered: false,
    removed: false,
  };
}
