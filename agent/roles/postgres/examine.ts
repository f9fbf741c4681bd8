/**
 * What in the manager's own configuration stands in the way of a cluster. Looked at before anything changes;
 * changes nothing.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { dataVersion } from '../../platform/paths.ts';
import { askServer } from './asked.ts';
import type { ConfEntry } from './manager_conf.ts';
import type { PgOptions } from './options.ts';
import { originalConf, ownEntries, placesOf, rulesFile, sourceOf } from './originals.ts';
import { resolved } from './place.ts';
import { asList, type Kept, keptAddresses, keptPort, keptSocket, lastOf, oursOf } from './reached.ts';
import { tryRules } from './rules_check.ts';
import { wrongSsl } from './ssl_files.ts';

type Options = Omit<PgOptions, 'starter'>;

/** `mend`: what to write where. `unreadable`: the server does not take the manager's own settings at all. */
export type Objection = { what: string; mend: string; unreadable?: true };

const at = ({ name, value, file, line }: ConfEntry): string => `${name} = '${value}' (${file}, line ${line})`;

/**
 * All of it. Nothing of a directory without a database: that is said elsewhere. `untried`: why the rules
 * could not be tried, which is no objection: they are looked at again before clients are let in by them.
 */
export async function examine(o: Options, untried: (why: string) => void = () => {}): Promise<Objection[]> {
  if (dataVersion(o.dataDir) === undefined) return [];
  const wrong = await unreadable(o);
  if (wrong.length > 0) return wrong;
  return [...moved(o), ...tooFew(o), ...misnamed(o), ...ssl(o), ...(await refused(o, untried))];
}

/** The server's own word on the manager's settings. It prints one of them, and starts nothing. */
async function unreadable(o: Options): Promise<Objection[]> {
  const conf = originalConf(o);
  if (conf === null) return [];
  const { binDir, dataDir } = o;
  const said = await askServer({ binDir, name: 'data_directory', dataDir, configFile: conf, ms: 30_000 });
  if ('value' in said) return [];
  const what = `PostgreSQL does not accept ${conf}: ${said.refused.join('; ')}`;
  return [{ what, mend: 'correct that line', unreadable: true }];
}

/** Where clients find the database now, and would not any more. */
function moved(o: Options): Objection[] {
  const entries = ownEntries(o);
  const [port, addresses, socket] = [keptPort(entries, o), keptAddresses(entries, o), keptSocket(entries, o)];
  const ours = oursOf(o);
  const write = ({ line }: Kept, where = 'agent.yaml') =>
    `write the line '${line}' under 'postgres:' in ${where}`;
  return [
    port && {
      what: `clients find this database at ${at(port.entry)}; it would be moved to port ${o.port}`,
      mend: `${write(port, 'agent.yaml of every manager')}, or port = ${o.port} in ${port.entry.file}`,
    },
    addresses && {
      what: `this database listens on ${at(addresses.entry)}; it would listen on ${ours.join(' and ')} alone`,
      mend: `${write(addresses)}, or 'listen: ${asList(ours)}' there if that is enough`,
    },
    socket && {
      what: `clients find the socket of this database at ${at(socket.entry)}; it would be moved to ${o.socketDir}`,
      mend: `${write(socket)}, or unix_socket_directories = '${o.socketDir}' in ${socket.entry.file}`,
    },
  ].filter((one) => one !== null);
}

/** What superuser_reserved_connections in cluster.conf takes, and a few for clients. */
const LEAST_CONNECTIONS = 16;

function tooFew(o: Options): Objection[] {
  const set = lastOf(ownEntries(o), 'max_connections');
  const over = o.parameters?.max_connections;
  const value = Number(over ?? set?.value ?? LEAST_CONNECTIONS);
  if (!(value < LEAST_CONNECTIONS)) return [];
  const where =
    over === undefined && set !== undefined ? `${set.file}, line ${set.line}` : 'postgres.parameters';
  return [
    {
      what: `max_connections is ${value} (${where}); the cluster keeps 8 of them for itself, and the server does not start with fewer than 9`,
      mend: `set max_connections to ${LEAST_CONNECTIONS} or more there`,
    },
  ];
}

/** With certificates of the cluster, none of its own counts. */
const ssl = (o: Options): Objection[] =>
  o.replicationAuth === 'certificate' ? [] : wrongSsl(o.dataDir, ownEntries(o));

/** A file of rules that is named and is not there, or two that are named. */
function misnamed(o: Options): Objection[] {
  if (o.clientHba !== undefined) return [];
  const set = ownEntries(o).findLast((entry) => entry.name === 'hba_file');
  const named = set === undefined ? undefined : placesOf(o, set).find(existsSync);
  if (o.originalHba !== undefined && !existsSync(o.originalHba))
    return [
      {
        what: `there is no ${o.originalHba}, which postgres.original_hba names`,
        mend:
          named === undefined
            ? 'correct postgres.original_hba in agent.yaml'
            : `remove it, and ${named} is used`,
      },
    ];
  if (set !== undefined && named === undefined)
    return [{ what: `there is no ${set.value}, which ${sourceOf(set)} names`, mend: 'correct that line' }];
  const own = named ?? join(o.dataDir, 'pg_hba.conf');
  const used = rulesFile(o, 'hba')?.path ?? own;
  if (!existsSync(own) || resolved(own) === resolved(used)) return [];
  return [
    {
      what: `this database lets clients in by ${own}; postgres.original_hba names ${used}`,
      mend: `set postgres.original_hba: ${own} in agent.yaml, or take it out; rules for the cluster alone go to postgres.client_hba`,
    },
  ];
}

async function refused(o: Options, untried: (why: string) => void): Promise<Objection[]> {
  const wrong = await tryRules(o).catch((thrown: Error): string[] => {
    untried(thrown.message);
    return [];
  });
  return wrong.map((what) => ({
    what: `PostgreSQL does not accept the rules for clients: ${what}`,
    mend: 'correct that line; as it is, the server would ignore all of them',
  }));
}
