import type { ClusterStatus } from '../../agent/api/types.ts';
import { EXIT } from '../../agent/errors.ts';
import { command } from '../common/command.ts';
import { time, timesText } from '../common/format.ts';
import { notInForce } from '../common/in_force.ts';
import { facts } from '../common/table.ts';
import { nodesTable } from './nodes_table.ts';
import { outageText } from './outage.ts';
import { requireCluster } from './require.ts';

function synchronous({ sync, degraded }: ClusterStatus): string {
  const warning = degraded ? 'DEGRADED: commits are not confirmed by any standby' : '';
  if (sync === null || sync.voters.length === 0) return warning || 'no standby confirms commits';
  const names = sync.voters.map(({ node }) => node).join(', ');
  return `any ${sync.k} of ${names} confirm${sync.k === 1 ? 's' : ''} each commit${warning && `; ${warning}`}`;
}

function paused({ paused, pausedUntil }: ClusterStatus): string {
  if (!paused) return '';
  return pausedUntil === null ? "yes, until 'agent cluster resume'" : `until ${time(pausedUntil)}`;
}

function survives({ quorum }: ClusterStatus): string {
  if (quorum === null) return '';
  const alive = `${quorum.alive} of ${quorum.servers} servers alive`;
  return quorum.lost === true ? `${alive}: no quorum` : `${alive}; ${quorum.survives} more may be lost`;
}

/** Who was active is not who is. */
function activeText({ active, epoch, since, last_active: last }: ClusterStatus): string {
  if (active !== null) return `${active}, epoch ${epoch}, since ${time(since)}`;
  return last == null
    ? 'NONE'
    : `NONE known; the last was ${last.node}, epoch ${last.epoch}, since ${time(last.since)}`;
}

function requested({ request }: ClusterStatus): string {
  if (request === null) return '';
  const waits = request.waiting == null ? '' : `, waits: ${request.waiting}`;
  return `switchover to ${request.target}${request.refused === null ? waits : `, refused: ${request.refused}`}`;
}

/** Only what is not as it should be. */
function leaseTimes({ lease }: ClusterStatus): string {
  if (lease === undefined) return '';
  const { note, others } = lease;
  if (note === null && others.length === 0) return '';
  const differ = others.map(({ node, file }) => `the file of ${node} says ${timesText(file)}`);
  const hint = "change with 'agent cluster lease set'";
  return `${timesText(lease.used)}; ${differ.length > 0 ? differ.join(', ') : note}; ${hint}`;
}

/** What a newer version, or a hand, wrote into Consul: the rest of what is shown does without it. */
function unreadable({ unreadable: keys }: ClusterStatus): string {
  if (keys === undefined) return '';
  const each = Object.entries(keys).map(([key, why]) => `${key} (${why})`);
  return `${each.join(', ')}; upgrade the agent of this node, or correct the value in Consul`;
}

/** A cluster of before, until every member is upgraded. */
function unsigned({ unsigned: names }: ClusterStatus): string {
  if (names === undefined) return '';
  const why =
    names.length === 0 ? 'in a moment' : `not while ${names.join(', ')} is off or runs an earlier version`;
  return `records of members count without one; they will be required ${why}`;
}

/** They are let in by databases and firewalls already, so they are said. */
const joining = ({ reservations = [] }: ClusterStatus): string =>
  reservations
    .map(({ name, hostIp, ends }) => `${name} (${hostIp}), reserved until ${time(ends)}`)
    .join('; ');

export function clusterText(cluster: ClusterStatus, colored: boolean): string {
  const { id, error, outage } = cluster;
  const head = facts([
    ['cluster', id ?? ''],
    ['active', activeText(cluster)],
    ['error', outage == null ? (error ?? '') : ''],
    ['replication', synchronous(cluster)],
    ['consul', survives(cluster)],
    ['lease times', leaseTimes(cluster)],
    ['not in force', notInForce(cluster.configuration).join('; ')],
    ['unreadable', unreadable(cluster)],
    ['signatures', unsigned(cluster)],
    ['joining', joining(cluster)],
    ['paused', paused(cluster)],
    ['request', requested(cluster)],
  ]);
  const first = outage == null ? '' : `${outageText(outage)}\n`;
  return `${first}${head}\n${nodesTable(cluster.nodes, colored)}`;
}

export default command({
  name: 'status',
  description: 'the cluster as a whole: who is active, what confirms commits, what it survives',
  examples: ['agent cluster status', 'agent cluster status --json'],
  args: {},
  async run({ agent, print, terminal }) {
    const cluster = await requireCluster(await agent());
    print(cluster, () => clusterText(cluster, terminal.color));
    return cluster.outage == null ? EXIT.done : EXIT.failed;
  },
});
