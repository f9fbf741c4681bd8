/**
 * What the trampoline may do on this machine: trampoline.json, which root renders from agent.yaml at install.
 * The agent.yaml itself is not read as root: others may write it.
 */
import type { Config } from '../config/index.ts';
import { consulUser, POSTGRES_USER, syncthingUser, UNITS } from './names.ts';

export interface RootPolicy {
  readonly schema: 1;
  /** May ask for everything. */
  readonly agentUser: string;
  /** May start, stop and kill `postgresUnit`. */
  readonly postgresUser: string;
  /** The agent's own units. */
  readonly units: readonly string[];
  readonly postgresUnit: string;
  /** The distribution's, which stand still while this node is clustered. */
  readonly distributionUnits: readonly string[];
  /** The manager's services: the agent starts them, the boot does not. */
  readonly managerUnits: readonly string[];
  /** Applies the fenced rules at boot. */
  readonly bootUnit: string;
  readonly firewallDir: string;
  readonly consulUnit: string;
  readonly consulDataDir: string;
  readonly consulUser: string;
  readonly filesUnit: string;
  readonly filesDataDir: string;
  readonly filesUser: string;
}

/** The policy for this configuration. Pure. */
export function rootPolicyOf(config: Config): RootPolicy {
  return {
    schema: 1,
    agentUser: config.user,
    postgresUser: POSTGRES_USER,
    units: [UNITS.postgres, UNITS.consul, UNITS.syncthing],
    postgresUnit: UNITS.postgres,
    distributionUnits: distributionUnits(config.postgres.data_dir),
    managerUnits: config.services.flatMap(({ unit }) => (unit === undefined ? [] : [unit])),
    bootUnit: UNITS.firewall,
    firewallDir: config.paths.firewall_dir,
    consulUnit: UNITS.consul,
    consulDataDir: config.consul.data_dir,
    consulUser: consulUser(config),
    filesUnit: UNITS.syncthing,
    filesDataDir: config.files.home_dir,
    filesUser: syncthingUser(config),
  };
}

/** The file's text. */
export const renderPolicy = (config: Config): string => `${JSON.stringify(rootPolicyOf(config), null, 2)}\n`;

/** Units that packages bring for the server of this data directory; names that do not exist do no harm. */
function distributionUnits(dataDir: string): string[] {
  const debian = /^\/var\/lib\/postgresql\/(\d+)\/([A-Za-z0-9_.]+)$/.exec(dataDir);
  if (debian) return ['postgresql.service', `postgresql@${debian[1]}-${debian[2]}.service`];
  const pgdg = /^\/var\/lib\/pgsql\/(\d+)\/data$/.exec(dataDir);
  return ['postgresql.service', ...(pgdg ? [`postgresql-${pgdg[1]}.service`] : [])];
}

const UNIT = /^[A-Za-z0-9_][\w.@\\:-]{0,200}\.service$/;
const USER = /^[a-z_][a-z0-9_-]{0,31}$/;
/** Absolute, without `.` and `..`, of characters that need no quoting. */
const PATH = /^(\/(?!\.{1,2}(\/|$))[\w.@+-]+)+$/;

const TEXTS = {
  agentUser: USER,
  postgresUser: USER,
  postgresUnit: UNIT,
  bootUnit: UNIT,
  firewallDir: PATH,
  consulUnit: UNIT,
  consulDataDir: PATH,
  consulUser: USER,
  filesUnit: UNIT,
  filesDataDir: PATH,
  filesUser: USER,
} as const;
const LISTS = ['units', 'distributionUnits', 'managerUnits'] as const;

/** Undefined when it is not exactly a policy. By hand: a schema library is more code to run as root. */
export function parsePolicy(text: string): RootPolicy | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = value as Record<string, unknown>;
  if (fields.schema !== 1) return undefined;
  for (const [name, form] of Object.entries(TEXTS)) {
    const field = fields[name];
    if (typeof field !== 'string' || !form.test(field)) return undefined;
  }
  for (const name of LISTS) {
    const list = fields[name];
    if (!Array.isArray(list) || !list.every((unit) => typeof unit === 'string' && UNIT.test(unit)))
      return undefined;
  }
  const names = [...Object.keys(TEXTS), ...LISTS, 'schema'];
  if (Object.keys(fields).some((name) => !names.includes(name))) return undefined;
  // Root's own folders are not to be emptied, whatever the file says.
  const emptied = [fields.consulDataDir, fields.filesDataDir] as string[];
  if (emptied.some((path) => path.split('/').length < 4)) return undefined;
  return value as RootPolicy;
}
