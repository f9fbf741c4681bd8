import * as v from 'valibot';
import {
  absolutePath,
  bytes,
  duration,
  flag,
  identifier,
  integer,
  listenAddress,
  port,
  positiveDuration,
  socketFolder,
  stringMap,
  text,
} from './fields.ts';
import { section } from './group.ts';

/** `postgres:` in the file. Sizes in bytes and times in milliseconds once parsed. */
export const postgresSchema = section({
  /**
   * Left out: the version that PG_VERSION of the data directory names, else what PATH or the distribution
   * has.
   */
  bin_dir: v.optional(absolutePath()),
  data_dir: v.optional(absolutePath(), '/var/lib/postgresql/15/main'),
  port: v.optional(port(), 5432),
  /** Left out: host_ip, and 127.0.0.1 unless host_ip is a loopback address itself (effective.ts). */
  listen: v.optional(
    v.pipe(v.array(listenAddress(), 'must be a list'), v.minLength(1, 'must name an address')),
  ),
  socket_dir: v.optional(socketFolder(), '/run/postgresql'),
  superuser: v.optional(identifier(), 'postgres'),
  replication_user: v.optional(identifier(), 'cloudify_replication'),
  /** The database that the agent's own connections use. */
  database: v.optional(identifier(), 'postgres'),
  /** Left out: as the manager's own files say. On a standby more, where the active has more. */
  max_connections: v.optional(integer(10, 10_000)),
  /** max_slot_wal_keep_size: what an absent standby may hold back before it needs a new clone. */
  wal_cap: v.optional(bytes(), '10GB'),
  /** A died postmaster that does not accept connections this soon after its restart is given up. */
  primary_start_timeout: v.optional(positiveDuration(), '5s'),
  /** A second death within this time is not repaired in place again. */
  restart_window: v.optional(duration(), '60s'),
  stop_timeout: v.optional(positiveDuration(), '30s'),
  rewind: v.optional(flag(), true),
  /**
   * The largest database that is dumped, beside its WAL, before a rewind or re-clone discards its divergence.
   */
  dump_limit: v.optional(bytes(), '1GB'),
  /** More settings for the server, over the agent's own; those that clustering rests on are refused. */
  parameters: v.optional(stringMap(), {}),
  /** The manager's own files, taken in by include, where they lie outside the data directory. */
  original_config: v.optional(absolutePath()),
  original_hba: v.optional(absolutePath()),
  /**
   * Client rules for pg_hba.conf while this node is active, one line each, instead of the original file's.
   */
  client_hba: v.optional(v.array(text(), 'must be a list')),
});

export type PostgresConfig = v.InferOutput<typeof postgresSchema>;
