import * as v from 'valibot';
import { absolutePath, flag, integer, positiveDuration, stringMap, strings, text } from './fields.ts';
import { group } from './group.ts';

const serviceName = () =>
  v.pipe(
    v.string('must be a text'),
    v.regex(/^[a-z0-9][a-z0-9_.@-]{0,62}$/i, 'must be letters, digits, . _ @ or -'),
  );

/** One entry of `services:`. Which of `unit` and `command` is needed depends on `driver` (cross.ts). */
export const serviceSchema = group({
  name: serviceName(),
  display_name: v.optional(text()),
  /** systemd driver: the manager's own unit. */
  unit: v.optional(
    v.pipe(
      v.string('must be a text'),
      v.regex(/^[\w.@\\:-]+\.service$/, 'must be a unit name that ends in .service'),
    ),
  ),
  /** child driver: program and arguments; no shell. */
  command: v.optional(v.pipe(strings(), v.minLength(1, 'must name a program'))),
  cwd: v.optional(absolutePath()),
  env: v.optional(stringMap(), {}),
  /** True: runs on the active only. False: on every node. */
  active_only: v.optional(flag(), true),
  /** Lower starts first and stops last. */
  order: v.optional(integer(0, 10_000), 100),
  /** May its failure move the active? */
  critical: v.optional(flag(), true),
  /** Kept started on standbys too, though it serves on the active only. */
  warm: v.optional(flag(), false),
  start_timeout: v.optional(positiveDuration(), '60s'),
  stop_timeout: v.optional(positiveDuration(), '30s'),
});

export type ServiceConfig = v.InferOutput<typeof serviceSchema>;

export const servicesSchema = v.nullish(v.array(serviceSchema, 'must be a list'), []);
