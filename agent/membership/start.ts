/**
 * `cluster start`: this manager founds a cluster with the database it has. Every step may be repeated; an interrupted start
 * is begun again by the same command, and its data is never written anew.
 */

import type { ConsulKv } from '../consul/port.ts';
import type { ClusterRecord, ConfigRecord } from '../core/records.ts';
import { AgentError } from '../errors.ts';
import type { Parts } from '../node/parts.ts';
import { nodeRecordOf } from '../node/self_description.ts';
import { sleep } from '../platform/clock.ts';
import { certifyPostgres } from '../security/door.ts';
import { replicationNames } from '../security/names.ts';
import { type Membership, newId, newSecret } from '../state/identity.ts';
import { foundSecurity } from './found_security.ts';
import { foundersLease } from './lease_times.ts';
import { refuseUnfit } from './preflight.ts';
import { refuseSettings } from './settings.ts';
import type { Steps } from './tracker.ts';

export type StartParts = {
  parts: Parts;
  kv: ConsulKv;
  /** Make the membership durable and run the core on it. */
  become(membership: Membership): Promise<void>;
  /** Is this node open as the active? Says why not otherwise. `failingFor`: ms, without a try that worked. */
  opened(): { open: boolean; reason: string; failingFor: number };
};

const CONSUL_LEADER = 30_000;
const OPEN = 60_000;
/** What failed for this long, try after try, is not waited for any more. */
const FAILING = 10_000;

export async function startCluster(parts: StartParts, { step }: Steps): Promise<void> {
  const { kv } = parts;
  const { config, pg, consul, files, machine } = parts.parts;
  const prefix = `${config.consul.prefix}/`;
  const systemId = await step('checking the database', async (report) => {
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
  });
  const security = config.api.tls
    ? await step('making certificates', async () => {
        await foundSecurity(config);
        return parts.parts.security.reload();
      })
    : undefined;
  await step('starting Consul', async () => {
    await consul.start({ bootstrap: true, join: [] });
    await consul.waitLeader(CONSUL_LEADER);
  });
  await step('taking over the database', async () => {
    await machine.take();
    const stopped = await pg.stop('fast', 60_000, false);
    if (stopped.kind !== 'stopped') throw refused('database_not_stopped', stopped.why);
    const adopted = await pg.adopt();
    if (adopted.kind !== 'done') throw refused('database_not_adopted', adopted.why);
    await certifyPostgres(
      pg,
      parts.parts.security,
      security
        ? replicationNames({
            [config.node_name]: { ...nodeRecordOf(config), certificate: security.certificate },
          })
        : [],
    );
  });
  const cluster = await step('founding the cluster', async () => {
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
    const deviceId = files.enabled ? { deviceId: await files.deviceId() } : {};
    await create(kv, `${prefix}nodes/${config.node_name}`, {
      ...nodeRecordOf(config),
      ...deviceId,
      ...(security && { certificate: security.certificate, proof: security.proof }),
    });
    const read = await kv.get(`${prefix}cluster`);
    if (read.kind !== 'ok') throw unsettled();
    return JSON.parse(read.entry.value) as ClusterRecord;
  });
  if (cluster.systemId !== systemId) {
    throw refused('other_cluster', 'the Consul here belongs to a cluster with another database');
  }
  await step('opening the database', async (report) => {
    await parts.become({
      nodeName: config.node_name,
      hostIp: config.host_ip,
      publicIp: config.public_ip ?? null,
      clusterId: cluster.id,
      incarnation: cluster.incarnation,
      systemId,
      secret: newSecret(),
      consulServers: [config.host_ip],
      options: {},
      entered: true,
      removed: false,
    });
    const until = performance.now() + OPEN;
    for (;;) {
      const { open, reason, failingFor } = parts.opened();
      if (open) return;
      report({ detail: reason });
      if (failingFor > FAILING) throw notOpened(`the database cannot be opened: ${reason}`);
      if (performance.now() > until) throw notOpened(`the database was not opened in time: ${reason}`);
      await sleep(50);
    }
  });
}

/** A start that was interrupted goes on under its name: two records of one manager would count as two. */
async function refuseOtherName(kv: ConsulKv, prefix: string, own: string): Promise<void> {
  const found = await kv.recurse(prefix);
  if (found.kind !== 'ok') throw unsettled();
  const other = found.entries.map(({ key }) => key.slice(prefix.length)).find((name) => name !== own);
  if (other === undefined) return;
  throw refused(
    'other_name',
    `an earlier start here began as ${other}: go on with --cluster-node-name ${other}`,
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
    hint: "put that right: the agent goes on trying, and 'agent cluster status' shows when it is open",
  });
const unsettled = () =>
  new AgentError({
    class: 'transient',
    code: 'consul_unknown',
    message: 'Consul did not confirm a write',
    hint: 'run the same command again',
  });
