import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { apiListen, consulBind, consulShowsCertificate } from '../config/effective.ts';
import type { Config, NodeConfig } from '../config/resolve.ts';
import { errno } from '../platform/files.ts';
import { lockHolder } from '../platform/lockfile.ts';
import { agentFiles } from '../platform/paths.ts';
import { alive } from '../platform/procfs.ts';
import { consulApi } from './consul_api.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

export type Use = 'free' | 'taken' | 'not_here' | 'unknown';

/** Tries to listen there, for a moment. */
export function portUse(host: string, port: number): Promise<Use> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', (error) => {
      const code = errno(error);
      done(code === 'EADDRINUSE' ? 'taken' : code === 'EADDRNOTAVAIL' ? 'not_here' : 'unknown');
    });
    server.listen({ host, port, exclusive: true }, () => server.close(() => done('free')));
  });
}

/** Is the server of this data directory the one that has the port? */
function ownPostgres(config: Config): boolean {
  try {
    const lines = readFileSync(join(config.postgres.data_dir, 'postmaster.pid'), 'utf8').split('\n');
    return alive(Number(lines[0])) && Number(lines[3]) === config.postgres.port;
  } catch {
    return false;
  }
}

async function one(id: string, host: string, port: number, ours: boolean, key: string): Promise<Finding> {
  const use = await portUse(host, port);
  const where = `${host}:${port}`;
  if (use === 'free') return ok(id, `${where} is free`);
  if (use === 'not_here') {
    return fail(
      id,
      `${host} is not an address of this machine`,
      'set host_ip to the address by which the others reach it',
    );
  }
  if (use === 'unknown')
    return warn(id, `it cannot be determined whether ${where} is free`, "try as the agent's user");
  if (ours) return ok(id, `${where} is in use by this agent or what it runs`);
  return fail(
    id,
    `${where} is in use by another program`,
    `stop that program, or set ${key} to another port`,
  );
}

/** Are the ports free, or held by what belongs here? Needs host_ip. */
export async function ports(config: NodeConfig): Promise<Finding[]> {
  const { lockDir, lockName } = agentFiles(config);
  const agentRuns = lockHolder(lockDir, lockName) !== undefined;
  const { consul, postgres, api } = config;
  const all = [
    one('port_api', apiListen(config), api.port, agentRuns, 'api.port'),
    one('port_postgres', config.host_ip, postgres.port, agentRuns || ownPostgres(config), 'postgres.port'),
  ];
  if (consul.mode !== 'external') {
    all.push(
      consulShowsCertificate(config)
        ? one('port_consul_https', config.host_ip, consul.https_port, agentRuns, 'consul.https_port')
        : one('port_consul_http', consul.http_address, consul.http_port, agentRuns, 'consul.http_port'),
      one('port_consul_server', consulBind(config), consul.server_port, agentRuns, 'consul.server_port'),
      one('port_consul_serf', consulBind(config), consul.serf_port, agentRuns, 'consul.serf_port'),
    );
  }
  if (config.files.enabled)
    all.push(one('port_files', config.host_ip, config.files.port, agentRuns, 'files.port'));
  return [...(await Promise.all(all)), ...(await consulApi(config, portUse))];
}
