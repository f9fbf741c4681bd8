export {
  CHECK_DEFAULTS,
  CHECK_GROUPS,
  CHECK_NAMES,
  type CheckGroup,
  type CheckName,
  type CheckSettings,
  type ChecksConfig,
} from './checks.ts';
export type { DriverName } from './consul.ts';
export {
  apiListen,
  consulBind,
  consulShowsCertificate,
  consulUrls,
  effectiveChecks,
  effectiveLease,
  hostPort,
  isLoopback,
  localConsulUrl,
  memberConsulUrl,
  postgresListen,
  publicIp,
  requireNode,
} from './effective.ts';
export { folderConfig } from './folder.ts';
export { LEASE_PRESETS, type LeaseConfig, type LeasePreset, type LeaseTimes } from './lease.ts';
export {
  ConfigError,
  type ConfigResult,
  checkConfig,
  loadConfig,
  makeConfig,
  parseConfig,
  type RawConfig,
} from './load.ts';
export { merge, parseOptions, withOptions } from './options.ts';
export { RAISED_PARAMETERS, RESERVED_PARAMETERS } from './parameters.ts';
export { SYNCHRONOUS_MODES, type SynchronousMode } from './policy.ts';
export type { PostgresConfig } from './postgres.ts';
export type { Problem } from './problems.ts';
export { REDACTED, redact } from './redact.ts';
export type { Config, ConsulConfig, FilesConfig, NodeConfig, Paths } from './resolve.ts';
export type { ConfigInput } from './schema.ts';
export type { ServiceConfig } from './services.ts';
export {
  CLUSTER_KEYS,
  type ClusterKey,
  type ClusterSettings,
  changeSettings,
  clusterSettings,
  clusterSettingsSchema,
  withClusterSettings,
} from './settings.ts';
