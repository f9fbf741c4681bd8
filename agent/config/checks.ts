import * as v from 'valibot';
import { bytes, flag, integer, number, positiveDuration } from './fields.ts';
import { section } from './group.ts';

export const CHECK_GROUPS = ['database', 'services', 'consul', 'heartbeat', 'filesync', 'node'] as const;
export type CheckGroup = (typeof CHECK_GROUPS)[number];

interface CheckDefault {
  readonly group: CheckGroup;
  /** Seconds, as in the file. */
  readonly every: number;
  readonly ttl: number;
  readonly critical: boolean;
}

/** Only a critical check may move the active. */
export const CHECK_DEFAULTS = {
  postgres_port: { group: 'database', every: 1, ttl: 5, critical: true },
  postgres_select: { group: 'database', every: 1, ttl: 5, critical: true },
  postgres_following: { group: 'database', every: 3, ttl: 10, critical: false },
  postgres_write: { group: 'database', every: 3, ttl: 10, critical: true },
  services: { group: 'services', every: 3, ttl: 10, critical: true },
  consul: { group: 'consul', every: 3, ttl: 10, critical: false },
  heartbeat: { group: 'heartbeat', every: 15, ttl: 30, critical: false },
  filesync: { group: 'filesync', every: 5, ttl: 20, critical: false },
  disk: { group: 'node', every: 60, ttl: 180, critical: false },
  certificates: { group: 'node', every: 60, ttl: 180, critical: false },
  // Seldom: on some machines each question starts a service of systemd's.
  clock: { group: 'node', every: 300, ttl: 900, critical: false },
} as const satisfies Record<string, CheckDefault>;

export type CheckName = keyof typeof CHECK_DEFAULTS;
export const CHECK_NAMES = Object.keys(CHECK_DEFAULTS) as CheckName[];

/** Times in milliseconds. */
export interface CheckSettings {
  readonly group: CheckGroup;
  readonly every: number;
  readonly ttl: number;
  readonly critical: boolean;
  /** This many good results in a row make a failing check pass again. */
  readonly rise: number;
  /** This many bad results in a row make a passing check fail. */
  readonly fall: number;
}

const oneCheck = (name: CheckName) =>
  section({
    every: v.optional(positiveDuration(), CHECK_DEFAULTS[name].every),
    ttl: v.optional(positiveDuration(), CHECK_DEFAULTS[name].ttl),
    critical: v.optional(flag(), CHECK_DEFAULTS[name].critical),
    rise: v.optional(integer(1, 100)),
    fall: v.optional(integer(1, 100)),
  });

const each = Object.fromEntries(CHECK_NAMES.map((name) => [name, oneCheck(name)])) as {
  [N in CheckName]: ReturnType<typeof oneCheck>;
};

/** `checks:` in the file. */
export const checksSchema = section({
  /** Scales every TTL and the lease: for unstable networks. */
  check_ttl_multiplier: v.optional(number(1, 20), 1),
  /** False: a check that throws counts as failed only once its TTL has passed. */
  check_fail_fast: v.optional(flag(), true),
  rise: v.optional(integer(1, 100), 2),
  fall: v.optional(integer(1, 100), 3),
  /** `disk` fails when less than this is free on the volume of the data directory. */
  disk_free_min: v.optional(bytes(), '512MB'),
  certificate_warning: v.optional(positiveDuration(), '14d'),
  /** `clock` warns when the machine's clock is further off than this, either way. */
  clock_max_offset: v.optional(positiveDuration(), '500ms'),
  each: section(each),
});

export type ChecksConfig = v.InferOutput<typeof checksSchema>;

/** One check's settings as they hold: defaults, overrides and `check_ttl_multiplier` applied. */
export function effectiveCheck(checks: ChecksConfig, name: CheckName): CheckSettings {
  const own = checks.each[name];
  return {
    group: CHECK_DEFAULTS[name].group,
    every: own.every,
    ttl: Math.round(own.ttl * checks.check_ttl_multiplier),
    critical: own.critical,
    rise: own.rise ?? checks.rise,
    fall: own.fall ?? checks.fall,
  };
}
