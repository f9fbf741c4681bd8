/**
 * `agent teardown`: the manager as a stand-alone one again, with its data and the distribution's own units.
 */
import { dirname, join } from 'node:path';
import type { Config } from '../config/index.ts';
import { agentFiles } from '../platform/paths.ts';
import { UNITS, UNITS_TAKEN_FILE } from '../trampoline/names.ts';
import { settingsLacking, writeSettings } from './debian_settings.ts';
import { folders } from './folders.ts';
import { giveBackDatabase, isStandby } from './give_back_database.ts';
import type { Machine } from './machine.ts';
import { OWN_SERVICES, PARTS, postgresConfDir, trampolinePath } from './names.ts';
import { removeRules } from './rules.ts';
import type { Step } from './steps.ts';

export interface TeardownOptions {
  /** Leave the data directory and the settings it is run with as they are. */
  readonly skipDatabase?: boolean;
  /** Names the folders that the cluster's state is kept in: `former-STAMP`. */
  readonly stamp: string;
}

/** The node's name in its cluster, from the agent's own record; undefined when it is in none. */
export function membership(config: Config, machine: Pick<Machine, 'read'>): string | undefined {
  const text = machine.read(agentFiles(config).state('membership'));
  if (text === undefined) return undefined;
  try {
    const { nodeName } = JSON.parse(text) as { nodeName?: unknown };
    return typeof nodeName === 'string' ? nodeName : 'unknown';
  } catch {
    return 'unknown';
  }
}

async function activeOf(machine: Machine, names: readonly string[]): Promise<string[]> {
  const seen = await machine.units(names);
  return names.filter((name) => seen.get(name)?.active === true);
}

function stop(machine: Machine, what: string, names: readonly string[]): Step {
  return {
    what: `stop ${what}`,
    did: `stopped ${what}`,
    needed: async () => (await activeOf(machine, names)).join(', ') || undefined,
    async act() {
      const stopped = await activeOf(machine, names);
      for (const name of stopped) await machine.run(['systemctl', 'stop', '--', name], 330_000);
      return stopped.join(', ');
    },
  };
}

/** The folders that hold the cluster's state, by the folder of root's that they lie in. */
function stateFolders(config: Config): string[] {
  const { paths, consul, files } = config;
  return [paths.state_dir, consul.data_dir, files.home_dir, paths.ssl_dir, consul.config_dir];
}

function setAside(config: Config, machine: Machine, stamp: string): Step {
  const files = (path: string): boolean =>
    machine.list(path).some((name) => {
      const inner = join(path, name);
      return machine.look(inner)?.type === 'folder' ? files(inner) : !name.startsWith('agent.lock');
    });
  const used = () => stateFolders(config).filter(files);
  const place = (path: string) => join(dirname(path), `former-${stamp}`);
  return {
    what: "set the cluster's state, certificates and keys aside",
    did: "set the cluster's state, certificates and keys aside",
    needed: () => used().join(', ') || undefined,
    async act() {
      const places = new Set<string>();
      for (const path of used()) {
        await machine.setAside(path, place(path));
        places.add(place(path));
      }
      for (const wanted of folders(config))
        if (machine.look(wanted.path) === undefined) await machine.make(wanted);
      return `kept in ${[...places].join(' and ')}`;
    },
  };
}

/** Of a cluster, as long as its settings are there. */
const hasDatabase = (config: Config, machine: Machine): boolean =>
  machine.look(join(postgresConfDir(config), 'cluster.conf')) !== undefined &&
  machine.look(join(config.postgres.data_dir, 'PG_VERSION')) !== undefined;

function settings(config: Config, machine: Machine): Step {
  return {
    what: "write the distribution's settings for it, which this machine lacks",
    did: "wrote the distribution's settings for it, which this machine lacked",
    needed: () => (hasDatabase(config, machine) ? settingsLacking(config, machine)?.dir : undefined),
    act: () => writeSettings(config, machine),
  };
}

function database(config: Config, machine: Machine): Step {
  return {
    what: 'make the database a stand-alone one',
    did: 'made the database a stand-alone one',
    needed() {
      if (!hasDatabase(config, machine)) return undefined;
      return isStandby(config, machine) ? 'it is a standby and will be promoted' : 'it is a primary';
    },
    act: () => giveBackDatabase(config, machine),
  };
}

function giveUnits(config: Config, machine: Machine): Step {
  const note = UNITS_TAKEN_FILE;
  return {
    what: "give the distribution's units and the manager's services back to systemd, as they were",
    did: "gave the distribution's units and the manager's services back to systemd, as they were",
    needed: () =>
      machine.look(note) === undefined ? undefined : Object.keys(unitsIn(machine.read(note))).join(', '),
    async act() {
      await machine.run([trampolinePath(config), 'units', 'give'], 600_000);
      return undefined;
    },
  };
}

function unitsIn(text: string | undefined): object {
  try {
    return JSON.parse(text ?? '{}') as object;
  } catch {
    return {};
  }
}

/** In this order: nothing may write the database or take the lease while it is given back. */
export function teardownSteps(config: Config, machine: Machine, options: TeardownOptions): Step[] {
  const parts = stop(machine, 'Syncthing, PostgreSQL and Consul of the cluster', PARTS);
  const work = [
    parts,
    ...(options.skipDatabase === true ? [] : [database(config, machine), settings(config, machine)]),
    removeRules(config, machine),
    setAside(config, machine, options.stamp),
    giveUnits(config, machine),
  ];
  const own = stop(machine, 'the agent and its helpers for the time being', OWN_SERVICES);
  return [
    {
      ...own,
      async needed() {
        for (const step of work) if ((await step.needed()) !== undefined) return own.needed();
        return undefined;
      },
    },
    ...work,
    forgetFailed(machine),
    startAgain(machine),
  ];
}

/**
 * A program that ends by its signal with another code than systemd expects leaves its unit failed: nobody is
 * to look for a fault.
 */
function forgetFailed(machine: Machine): Step {
  const failed = async () => {
    const all = Object.values(UNITS);
    const seen = await machine.units(all);
    return all.filter((name) => seen.get(name)?.failed === true);
  };
  return {
    what: 'clear what systemd remembers of failed units of the cluster',
    did: 'cleared what systemd remembered of failed units of the cluster',
    needed: async () => (await failed()).join(', ') || undefined,
    async act() {
      const names = await failed();
      await machine.run(['systemctl', 'reset-failed', '--', ...names]);
      return names.join(', ');
    },
  };
}

/** Also after a teardown that was interrupted. Not what install never enabled. */
function startAgain(machine: Machine): Step {
  const idle = async () => {
    const seen = await machine.units(OWN_SERVICES);
    return [...OWN_SERVICES].reverse().filter((name) => {
      const unit = seen.get(name);
      return unit?.enabled === true && !unit.active;
    });
  };
  return {
    what: 'start the agent, which is in no cluster now',
    did: 'started the agent, which is in no cluster now',
    needed: async () => (await idle()).join(', ') || undefined,
    async act() {
      const names = await idle();
      await machine.run(['systemctl', 'start', '--', ...names], 60_000);
      return names.join(', ');
    },
  };
}
