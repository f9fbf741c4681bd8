import * as v from 'valibot';
import { isPasswordHash } from '../platform/password.ts';
import { checksSchema } from './checks.ts';
import { consulSchema, DRIVERS } from './consul.ts';
import {
  absolutePath,
  bytes,
  choice,
  flag,
  integer,
  listenAddress,
  nodeName,
  port,
  positiveDuration,
  programPath,
  text,
  unixName,
} from './fields.ts';
import { filesSchema } from './files.ts';
import { firewallSchema } from './firewall.ts';
import { group, section } from './group.ts';
import { leaseSchema } from './lease.ts';
import { memberAddress, shortText } from './member.ts';
import { policyEntries, tagsSchema } from './policy.ts';
import { postgresSchema } from './postgres.ts';
import { servicesSchema } from './services.ts';

const pathsSchema = section({
  executable: v.optional(programPath(), '/opt/cloudify/agent'),
  /** The file this configuration came from; filled in by the loader. */
  config: v.optional(absolutePath(), '/etc/cloudify/agent.yaml'),
  state_dir: v.optional(absolutePath(), '/var/lib/cloudify/agent'),
  /** Left out: `diverged` beside state_dir. */
  diverged_dir: v.optional(absolutePath()),
  run_dir: v.optional(absolutePath(), '/run/cloudify'),
  /** Left out: `agent.sock` in run_dir. */
  socket: v.optional(absolutePath()),
  log_file: v.optional(absolutePath(), '/var/log/cloudify-cluster/cloudify-cluster.log'),
  hooks_dir: v.optional(absolutePath(), '/etc/cloudify/hooks'),
  ssl_dir: v.optional(absolutePath(), '/etc/cloudify/cluster-ssl'),
  firewall_dir: v.optional(absolutePath(), '/etc/cloudify/firewall'),
});

const apiSchema = section({
  port: v.optional(port(), 8700),
  /** Left out: host_ip. */
  listen: v.optional(listenAddress()),
  /** Off only where every node is on this machine (dev cluster). */
  tls: v.optional(flag(), true),
  users: v.optional(
    v.array(
      group({
        name: v.pipe(text(), v.regex(/^[^:]+$/, 'must have no colon')),
        /** As 'agent hash-password' makes it. */
        password_hash: v.pipe(
          text(),
          v.check(isPasswordHash, "must be a hash made by 'agent hash-password', not the password itself"),
        ),
        role: v.optional(choice(['admin', 'viewer']), 'viewer'),
      }),
      'must be a list',
    ),
    [],
  ),
  /** Bearer tokens for programs. */
  tokens: v.optional(
    v.array(
      group({
        name: text(),
        /** As 'agent hash-password --token' makes it. */
        token_hash: v.pipe(
          text(),
          v.regex(/^sha256:[a-f0-9]{64}$/, "must be a hash made by 'agent hash-password --token'"),
        ),
        role: v.optional(choice(['admin', 'viewer']), 'viewer'),
      }),
      'must be a list',
    ),
    [],
  ),
});

/** agent.yaml as it is written. The parsed and completed form is `Config` (resolve.ts). */
export const fileSchema = v.nullish(
  group({
    /** Known at `cluster start` or `join` at the latest. */
    node_name: v.optional(nodeName()),
    host_ip: v.optional(memberAddress()),
    /** Left out: host_ip. */
    public_ip: v.optional(shortText()),
    /** Unix user and group of the agent. */
    user: v.optional(unixName(), 'cfyuser'),
    group: v.optional(unixName(), 'cluster'),
    /** How services are run: the manager's systemd units, or children of the agent (dev cluster). */
    driver: v.optional(choice(DRIVERS), 'systemd'),
    manager: section({
      edition: v.optional(text(), 'premium'),
      version: v.optional(text(), '0'),
      build: v.optional(v.string()),
      date: v.optional(v.string()),
      commit: v.optional(v.string()),
    }),
    paths: pathsSchema,
    log: section({
      level: v.optional(choice(['error', 'warn', 'info', 'debug']), 'info'),
      /** Lines kept in memory for `agent logs` and the API. */
      ring: v.optional(integer(100, 1_000_000), 2000),
      file_limit: v.optional(bytes(), '50MB'),
    }),
    api: apiSchema,
    consul: consulSchema,
    lease: leaseSchema,
    postgres: postgresSchema,
    ...policyEntries,
    tags: tagsSchema,
    checks: checksSchema,
    services: servicesSchema,
    hooks: section({ timeout: v.optional(positiveDuration(), '30s') }),
    files: filesSchema,
    firewall: firewallSchema,
    /** Reserved: nothing uses it yet, and the doctor says so. */
    watchdog_device: v.optional(absolutePath()),
  }),
  {},
);

export type ConfigInput = NonNullable<v.InferInput<typeof fileSchema>>;
export type FileConfig = v.InferOutput<typeof fileSchema>;
