/**
 * `cluster start`: this manager founds a cluster with the database it has. Nothing is undone: every step may
 * be repeated, an interrupted start is begun again by the same command, and its data is never written anew.
 */

import type { ConsulKv } from '../consul/port.ts';
import type { ConfigRecord } from '../core/config_record.ts';
import type { ClusterRecord } from '../core/records.ts';
import { AgentError } from '../errors.ts';
import type { Parts } from '../node/parts.ts';
import { device, nodeRecordOf } from '../node/self_description.ts';
import type { Time } from '../platform/clock.ts';
import { certifyPostgres } from '../security/door.ts';
import { replicationNames } from '../security/names.ts';
import type { Security } from '../security/store.ts';
import { type Membership, newId, newSecret } from '../state/identity.ts';
import { foundSecurity } from './found_security.ts';
import { foundersLease } from './lease_times.ts';
import type { OwnCore } from './own_core.ts';
import { refuseSettings, refuseUnfit } from './preflight.ts';
import { runScript, type ScriptStep } from './script.ts';
import { openedOf } from './seen.ts';
import type { Report, Steps } from './tracker.ts';

export type StartParts = {
  readonly parts: Parts;
  readonly kv: ConsulKv;
  readonly core: OwnCore;
  /** Settings that hold as long as the membership. */
  readonly options: Membership['options'];
  readonly time: Time;
};

/** A start under way: what its steps found. */
type Starting = StartParts & { systemId?: string; security?: Security | undefined; cluster?: ClusterRecord };

const CONSUL_LEADER = 30_000;
const OPEN = 60_000;
/** What failed for this long, try after try, is not waited for any more. */
const FAILING = 10_000;

export const START: readonly ScriptStep<Starting>[] = [
  {
    name: 'checking the database',
    again: 'only looks',
    async run(start, report) {
      start.systemId = await databaseHere(start, report);
    },
  },
  {
    name: 'making certificates',
    again: 'what is there is kept: Consul may have been started with it',
    when: ({ parts }) => parts.config.api.tls,
    async run(start) {
      await foundSecurity(start.parts.config);
      start.security = start.parts.security.reload();
    },
  },
  {
    name: 'starting Consul',
    again: 'a running one goes on; one with data has its leader already',
    async run({ parts: { consul } }) {
      await consul.start({ bootstrap: true, join: [] });
      await consul.waitLeader(CONSUL_LEADER);
    },
  },
  {
    name: 'taking over the database',
    again: 'taken is taken, a stopped server stays stopped, an adopted one is adopted',
    run: takeDatabase,
  },
  {
    name: 'founding the cluster',
    again: 'each key is created if it is missing; what the first start wrote counts',
    run: found,
  },
  {
    name: 'is it the database of this cluster?',
    quiet: true,
    again: 'only looks',
    async run({ cluster, systemId }) {
      if (cluster?.systemId !== systemId)
        throw refused('other_cluster', 'the Consul here belongs to a cluster with another database');
    },
  },
  {
    name: 'opening the database',
    again: 'the membership is durable first: an agent that dies here is a member when it comes back',
    async run(start, report) {
      await start.core.run(start.parts, membershipOf(start));
      await waitOpen(start, report);
    },
  },
];

export const startCluster = (parts: StartParts, steps: Steps): Promise<void> =>
  runScript<Starting>(START, { ...parts }, steps);

async function databaseHere({ parts: { config, pg } }: Starting, report: Report): Promise<string> {
  const facts = await pg.facts(3000);
  const known = facts.data === 'empty' ? [] : refuseUnfit(await pg.preflight());
  if (known.length > 0) report({ detail: known.join('; ') });
  if (facts.data !== 'ok' || facts.systemId === null) {
    throw new AgentError({
      class: 'operator',
      code: 'no_database',
      message: `there is no PostgreSQL database in ${config.postgres.data_dir}`,
      hint: "a cluster starts on the manager that has the data: set postgres.data_dir, or run 'agent cluster join' here",
    });
  }
  await refuseSettings(pg);
  return facts.systemId;
}

async function takeDatabase({ parts, security }: Starting): Promise<void> {
  const { config, machine, pg } = parts;
  await machine.take();
  const stopped = await pg.stop('fast', 60_000, false);
  if (stopped.kind !== 'stopped') throw refused('database_not_stopped', stopped.why);
  const adopted = await pg.adopt();
  if (adopted.kind !== 'done') throw refused('database_not_adopted', adopted.why);
  const own = security && {
    [config.node_name]: { ...nodeRecordOf(config), certificate: security.certificate },
  };
  await certifyPostgres(pg, parts.security, own ? replicationNames(own) : []);
}

async function found(start: Starting): Promise<void> {
  const { kv, security, systemId } = start;
  const { config, files } = start.parts;
  if (systemId === undefined) throw new TypeError('the database is checked first');
  const prefix = `${config.consul.prefix}/`;
  const cluster: ClusterRecord = { schema: 1, id: newId(), incarnation: 1, systemId };
  const settings: ConfigRecord = {
    schema: 1,
    version: 1,
    paused: false,
    pausedUntil: null,
    synchronousMode: config.synchronous_mode,
    ...foundersLease(config, new Date()),
  };
  await refuseOtherName(kv, `${prefix}nodes/`, config.node_name);
  await create(kv, `${prefix}cluster`, cluster);
  await create(kv, `${prefix}config`, settings);
  await create(kv, `${prefix}nodes/${config.node_name}`, {
    ...nodeRecordOf(config),
    ...(await device(files)),
    ...(security && { certificate: security.certificate, proof: security.proof }),
  });
  const read = await kv.get(`${prefix}cluster`);
  if (read.kind !== 'ok') throw unsettled();
  start.cluster = JSON.parse(read.entry.value) as ClusterRecord;
}

function membershipOf({ parts: { config }, cluster, options }: Starting): Membership {
  if (cluster === undefined) throw new TypeError('the cluster is founded first');
  return {
    nodeName: config.node_name,
    hostIp: config.host_ip,
    publicIp: config.public_ip ?? null,
    clusterId: cluster.id,
    incarnation: cluster.incarnation,
    systemId: cluster.systemId,
    secret: newSecret(),
    consulServers: [config.host_ip],
    options,
    entered: true,
    removed: false,
  };
}

async function waitOpen({ parts, core, time }: Starting, report: Report): Promise<void> {
  const until = time.now() + OPEN;
  for (;;) {
    const { open, reason, failingFor } = openedOf(core.member, parts.config.node_name);
    if (open) return;
    report({ detail: reason });
    if (failingFor > FAILING) throw notOpened(`the database cannot be opened: ${reason}`);
    if (time.now() > until) throw notOpened(`the database was not opened in time: ${reason}`);
    await time.sleep(50);
  }
}

/** A start that was interrupted goes on under its name: two records of one manager would count as two. */
async function refuseOtherName(kv: ConsulKv, prefix: string, own: string): Promise<void> {
  const found = await kv.recurse(prefix);
  if (found.kind !== 'ok') throw unsettled();
  const other = found.entries.map(({ key }) => key.slice(prefix.length)).find((name) => name !== own);
  if (other === undefined) return;
  throw refused(
    'other_name',
    `an earlier start here began as ${other}: continue with --cluster-node-name ${other}`,
  );
}

/** Create the key; that it exists already is what a repeated start finds. */
async function create(kv: ConsulKv, key: string, value: unknown): Promise<void> {
  const done = await kv.put(key, JSON.stringify(value), { cas: 0 });
  if (done.kind === 'unknown') throw unsettled();
}

const refused = (code: string, message: string) => new AgentError({ class: 'operator', code, message });
const notOpened = (message: string) =>
  new AgentError({
    class: 'operator',
    code: 'not_opened',
    message,
    hint: "fix that: the agent keeps trying, and 'agent cluster status' shows when it is open",
  });
const unsettled = () =>
  new AgentError({
    class: 'transient',
    code: 'consul_unknown',
    message: 'Consul did not confirm a write',
    hint: 'run the same command again',
  });
