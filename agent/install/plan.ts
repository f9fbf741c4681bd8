/** The plan of a manager's machine, from its configuration. Pure but for asking where programs are. */
import { basename, dirname, join } from 'node:path';
import type { Config } from '../config/index.ts';
import { agentNote, leaseNote, leasePrints, noteText, printsOf } from '../config/prints.ts';
import { consulUser, POSTGRES_USER, syncthingUser, UNITS } from '../trampoline/names.ts';
import { renderLogrotate, renderSudoers, renderTmpfiles } from './accounts.ts';
import { folders } from './folders.ts';
import {
  CONFIG_FILE,
  INSTALLED_FILE,
  LOGROTATE,
  OWN_SERVICES,
  PARTS,
  ROOT_CALL_SOCKETS,
  SUDOERS,
  TMPFILES,
  trampolinePath,
  UNIT_DIR,
} from './names.ts';
import { clusterRules } from './rules.ts';
import { agentUnit, leaseUnit, postgresHelperUnit } from './units/own.ts';
import { consulUnit, postgresUnit, syncthingUnit } from './units/parts.ts';
import { rootCallUnits } from './units/root_calls.ts';
import {
  type Plan,
  rootFile,
  type Wanted,
  type WantedFile,
  type WantedMove,
  type WantedUnit,
} from './wanted.ts';

export interface PlanOptions {
  /** The executable that is to be put in place; undefined: what is there stays. */
  readonly source?: string | undefined;
  /** agent.yaml: written where there is none, or always with `replace`. */
  readonly configText: string;
  readonly replace?: boolean;
  /** Why agent.yaml is written anew. */
  readonly why?: string | undefined;
  /** From the users of an earlier install. */
  readonly move?: WantedMove | undefined;
}

/** Groups and users, and who is in which. */
export function accountsWanted(config: Config): Wanted[] {
  const own = [config.user, consulUser(config), syncthingUser(config)];
  const homes = [config.paths.state_dir, config.consul.data_dir, dirname(config.paths.state_dir)];
  return [
    { kind: 'group', name: config.group },
    ...own.map((name): Wanted => ({ kind: 'group', name })),
    ...own.map((name, i): Wanted => ({ kind: 'user', name, group: name, home: homes[i] ?? '/' })),
    ...[...own, POSTGRES_USER].map((user): Wanted => ({ kind: 'member', user, group: config.group })),
  ];
}

/** Every unit file; Syncthing's only with files to carry. Throws `program_missing`. */
export function unitFiles(config: Config): WantedFile[] {
  const texts: [string, string | undefined][] = [
    [UNITS.lease, leaseUnit(config)],
    [UNITS.postgresHelper, postgresHelperUnit(config)],
    [UNITS.postgres, postgresUnit(config)],
    [UNITS.consul, config.consul.mode === 'external' ? undefined : consulUnit(config)],
    [UNITS.syncthing, syncthingUnit(config)],
    [UNITS.firewall, clusterRules(config).bootUnit],
    ...rootCallUnits(config),
    [UNITS.agent, agentUnit(config)],
  ];
  return texts.flatMap(([name, text]) => (text === undefined ? [] : [rootFile(join(UNIT_DIR, name), text)]));
}

/**
 * The agent reads all of it when it starts, the lease's helper its part; PostgreSQL's helper reads it anew
 * for each agent.
 */
function readsOf(config: Config, unit: string): Pick<WantedUnit, 'reads'> {
  if (unit === UNITS.agent) return { reads: { note: agentNote(config), prints: printsOf(config) } };
  if (unit === UNITS.lease) return { reads: { note: leaseNote(config), prints: leasePrints(config) } };
  return {};
}

export function planOf(config: Config, options: PlanOptions): Plan {
  const { paths, group } = config;
  const units = unitFiles(config);
  const configFile: WantedFile = {
    ...rootFile(CONFIG_FILE, options.configText, 0o640),
    group,
    keep: options.replace !== true,
    ...(options.why === undefined ? {} : { why: options.why }),
  };
  const written = new Set(units.map(({ path }) => basename(path)));
  return [
    ...accountsWanted(config),
    ...(options.move === undefined ? [] : [options.move]),
    ...folders(config),
    ...(options.source === undefined
      ? []
      : [{ kind: 'executable', path: paths.executable, source: options.source } as const]),
    { kind: 'link', path: trampolinePath(config), target: basename(paths.executable) },
    configFile,
    ...clusterRules(config).files,
    rootFile(TMPFILES, renderTmpfiles(config)),
    rootFile(LOGROTATE, renderLogrotate()),
    { ...rootFile(SUDOERS, renderSudoers(config), 0o440), check: 'sudoers' },
    ...units,
    // After all that it tells of: interrupted before, it tells of the last time.
    { ...rootFile(INSTALLED_FILE, noteText(printsOf(config)), 0o640), group },
    ...PARTS.filter((name) => written.has(name)).map(
      (name): Wanted => ({ kind: 'unit', name, enabled: false }),
    ),
    // Root's ear and the helpers first: the agent asks them.
    ...ROOT_CALL_SOCKETS.map((name): Wanted => ({ kind: 'unit', name, enabled: true, running: true })),
    ...[...OWN_SERVICES]
      .reverse()
      .map(
        (name): Wanted => ({ kind: 'unit', name, enabled: true, running: true, ...readsOf(config, name) }),
      ),
  ];
}
