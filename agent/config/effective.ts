import { AgentError } from '../errors.ts';
import { CHECK_NAMES, type CheckName, type CheckSettings, effectiveCheck } from './checks.ts';
import { type LeaseTimes, scaleLease } from './lease.ts';
import type { Config, NodeConfig } from './resolve.ts';

/** The lease times that hold: preset, overrides and `check_ttl_multiplier` applied. Milliseconds. */
export function effectiveLease(config: Config): LeaseTimes {
  return scaleLease(config.lease, config.checks.check_ttl_multiplier);
}

/** The settings of every check that hold. Milliseconds. */
export function effectiveChecks(config: Config): Record<CheckName, CheckSettings> {
  return Object.fromEntries(CHECK_NAMES.map((name) => [name, effectiveCheck(config.checks, name)])) as Record<
    CheckName,
    CheckSettings
  >;
}

/** In whatever spelling. */
export const isLoopback = (ip: string): boolean => ip.startsWith('127.') || /^[0:]*:0*1$/.test(ip);

/** Where PostgreSQL listens. A node on a loopback address keeps to it: 127.0.0.1 belongs to all of them. */
export function postgresListen(config: NodeConfig): string[] {
  if (config.postgres.listen) return [...config.postgres.listen];
  return isLoopback(config.host_ip) ? [config.host_ip] : [config.host_ip, '127.0.0.1'];
}

export const apiListen = (config: NodeConfig): string => config.api.listen ?? config.host_ip;

export const consulBind = (config: NodeConfig): string => config.consul.bind ?? config.host_ip;

export const hostPort = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

/**
 * Does our own server show a certificate? Plain HTTP then listens nowhere: whoever took its port would be
 * sent the tokens.
 */
export const consulShowsCertificate = ({ consul }: Pick<Config, 'consul'>): boolean =>
  consul.tls && consul.mode !== 'external';

/** The own server's HTTP API. A server that somebody else runs is asked where it was configured. */
export const localConsulUrl = (config: NodeConfig): string =>
  consulShowsCertificate(config)
    ? memberConsulUrl(config, config.host_ip)
    : `http://${hostPort(config.consul.http_address, config.consul.http_port)}`;

/** Another member's Consul API. */
export const memberConsulUrl = ({ consul }: Config, host: string): string =>
  consul.tls ? `https://${hostPort(host, consul.https_port)}` : `http://${hostPort(host, consul.http_port)}`;

/** Base URLs of Consul's HTTP API, the local server first. */
export function consulUrls(config: NodeConfig): string[] {
  const scheme = config.consul.tls ? 'https' : 'http';
  return [...new Set([localConsulUrl(config), ...config.consul.peers.map((peer) => `${scheme}://${peer}`)])];
}

export const publicIp = (config: NodeConfig): string => config.public_ip ?? config.host_ip;

/** The configuration with a name and an address, or an operator error that says what to set. */
export function requireNode(config: Config): NodeConfig {
  const { node_name, host_ip } = config;
  if (node_name === undefined || host_ip === undefined) {
    const missing = [node_name === undefined ? 'node_name' : '', host_ip === undefined ? 'host_ip' : ''];
    throw new AgentError({
      class: 'operator',
      code: 'node_not_named',
      message: `${missing.filter(Boolean).join(' and ')} not set in ${config.paths.config}`,
      hint: "set them there, or give them to 'agent cluster start' or 'agent cluster join'",
    });
  }
  return { ...config, node_name, host_ip };
}
