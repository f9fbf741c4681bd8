export {
  CHECK_DEFAULTS,
  CHECK_GROUPS,
  CHECK_NAMES,
  type CheckGroup,
  type CheckName,
  type CheckSettings,
  type ChecksConfig,
} from './config/checks.ts';
export type { DriverName } from './config/consul.ts';
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
} from './config/effective.ts';
export { folderConfig } from './config/folder.ts';
export { LEASE_PRESETS, type LeaseConfig, type LeasePreset, type LeaseTimes } from './config/lease.ts';
export {
  ConfigError,
  type ConfigResult,
  checkConfig,
  loadConfig,
  makeConfig,
  parseConfig,
  type RawConfig,
} from './config/load.ts';
export { merge, parseOptions, withOptions } from './config/options.ts';
export { RAISED_PARAMETERS, RESERVED_PARAMETERS } from './config/parameters.ts';
export { SYNCHRONOUS_MODES, type SynchronousMode } from './config/policy.ts';
export type { PostgresConfig } from './config/postgres.ts';
export type { Problem } from './config/problems.ts';
export { REDACTED, redact } from './config/redact.ts';
export type { Config, ConsulConfig, FilesConfig, NodeConfig, Paths } from './config/resolve.ts';
export type { ConfigInput } from './config/schema.ts';
export type { ServiceConfig } from './config/services.ts';
export {
  CLUSTER_KEYS,
  type ClusterKey,
  type ClusterSettings,
  changeSettings,
  clusterSettings,
  clusterSettingsSchema,
  withClusterSettings,
} from './config/settings.ts';
