import * as v from 'valibot';
import {
  absolutePath,
  duration,
  flag,
  integer,
  listenAddress,
  number,
  port,
  positiveDuration,
  strings,
  text,
} from './fields.ts';
import { group, section } from './group.ts';

/** `files:` in the file: what Syncthing replicates, and how. */
export const filesSchema = section({
  /** Left out: on when there are folders. */
  enabled: v.optional(flag()),
  binary: v.optional(absolutePath()),
  /** Syncthing's own: certificate, configuration, index. */
  home_dir: v.optional(absolutePath(), '/var/lib/cloudify/syncthing'),
  port: v.optional(port(), 22_000),
  /** The dev cluster gives each node its own loopback address here. */
  rest_address: v.optional(listenAddress(), '127.0.0.1'),
  rest_port: v.optional(port(), 8384),
  /** Changes are seen as they happen; this is the full look beside it. */
  rescan_interval: v.optional(positiveDuration(), '1h'),
  /** How long replaced and deleted files are kept in `.stversions` of their folder. 0: for ever. */
  versions_days: v.optional(integer(0, 3650), 30),
  /** Needs CAP_CHOWN and CAP_FOWNER, which the unit gives; off in the dev cluster. */
  keep_ownership: v.optional(flag()),
  /** Deletions from the active that are more than both wait for `accept`. */
  mass_deletion: section({
    items: v.optional(integer(1, 1_000_000_000), 100),
    percent: v.optional(number(0, 100), 50),
  }),
  /** How long deletions are gathered before they are looked at as one. */
  deletion_delay: v.optional(duration(), '5s'),
  folders: v.optional(
    v.array(
      group({
        id: v.pipe(text(), v.regex(/^[a-z0-9][a-z0-9._-]{0,62}$/i, 'must be letters, digits, . _ or -')),
        path: absolutePath(),
        /** Syncthing's ignore patterns; the same on every node. */
        ignore: v.optional(strings(), []),
      }),
      'must be a list',
    ),
    [],
  ),
});
