/**
 * `agent uninstall`: takes away what install made. Never the database; the configuration and what is kept
 * only with `purge`.
 */
import { dirname, join } from 'node:path';
import type { Config } from '../config/index.ts';
import { AgentError } from '../errors.ts';
import { POLICY_FILE, ROOT_STATE_DIR, UNITS, UNITS_TAKEN_FILE } from '../trampoline/names.ts';
import { folders } from './folders.ts';
import type { Machine } from './machine.ts';
import { MADE_FILE, type Made, madeBefore } from './made.ts';
import {
  CONFIG_FILE,
  INSTALLED_FILE,
  LOGROTATE,
  OWN_SERVICES,
  PARTS,
  ROOT_CALL_SERVICES,
  ROOT_CALL_SOCKETS,
  SUDOERS,
  TMPFILES,
  trampolinePath,
  UNIT_DIR,
} from './names.ts';
import { clusterRules, removeRules } from './rules.ts';
import type { Step } from './steps.ts';
import { membership } from './teardown.ts';

/** Throws `still_clustered` where the machine is not its own master yet. */
export function refuseInCluster(config: Config, machine: Machine): void {
  const name = membership(config, machine);
  const taken = machine.look(UNITS_TAKEN_FILE) !== undefined;
  if (name === undefined && !taken) return;
  throw new AgentError({
    class: 'operator',
    code: 'still_clustered',
    message:
      name === undefined
        ? "the cluster still has this manager's services"
        : `this manager is '${name}' of a cluster: nothing would look after its database and services`,
    hint: "run 'agent teardown -f' first; it makes this a stand-alone manager again",
  });
}

function units(machine: Machine): Step {
  const names = [...OWN_SERVICES, ...PARTS, UNITS.firewall, ...ROOT_CALL_SOCKETS];
  const there = async () => {
    const seen = await machine.units(names);
    return names.filter((name) => seen.get(name)?.active === true || seen.get(name)?.enabled === true);
  };
  return {
    what: 'stop and disable the units',
    did: 'stopped and disabled the units',
    needed: async () => (await there()).join(', ') || undefined,
    async act() {
      const found = await there();
      await machine.run(['systemctl', '--quiet', 'disable', '--now', '--', ...found], 330_000);
      return found.join(', ');
    },
  };
}

function files(config: Config, machine: Machine, purge: boolean): Step {
  const all = [
    ...[...Object.values(UNITS), ...ROOT_CALL_SOCKETS, ...ROOT_CALL_SERVICES].map((name) =>
      join(UNIT_DIR, name),
    ),
    // Before the executable: what sudo may run must not be anybody's to put there.
    ...[SUDOERS, TMPFILES, LOGROTATE, POLICY_FILE, INSTALLED_FILE],
    ...clusterRules(config).files.map(({ path }) => path),
    ...[trampolinePath(config), config.paths.executable],
    ...(purge ? [CONFIG_FILE] : []),
  ];
  const there = () => [...new Set(all)].filter((path) => machine.look(path) !== undefined);
  return {
    what: 'remove files',
    did: 'removed files',
    needed: () => there().join(', ') || undefined,
    async act() {
      const found = there();
      for (const path of found) await machine.remove(path);
      await machine.run(['systemctl', 'daemon-reload']);
      // One that failed is remembered without its file; those that did not are no names any more, and said
      // so.
      await machine.run(['systemctl', 'reset-failed', '--', ...Object.values(UNITS)]).catch(() => {});
      return found.join(', ');
    },
  };
}

/** Innermost first. Empty ones always; the others, which hold something of the manager's, with `purge`. */
function dirs(config: Config, machine: Machine, purge: boolean): Step {
  const all = folders(config)
    .reverse()
    .map(({ path }) => path)
    .filter((path) => path !== ROOT_STATE_DIR);
  const volatile = (path: string) => path.startsWith('/run/');
  const goes = (path: string): boolean => {
    if (machine.look(path)?.type !== 'folder') return false;
    if (purge || volatile(path)) return true;
    return machine.list(path).every((name) => all.includes(join(path, name)) && goes(join(path, name)));
  };
  const which = purge ? 'folders with what is in them' : 'empty folders';
  const there = () => all.filter(goes);
  return {
    what: `remove ${which}`,
    did: `removed ${which}`,
    needed: () => there().join(', ') || undefined,
    async act() {
      const found = there();
      for (const path of found) await machine.remove(path, purge || volatile(path));
      return found.join(', ');
    },
  };
}

/** Users stay as long as a folder of theirs does: their numbers would pass to whoever comes next. */
function users(config: Config, machine: Machine, made: Made): Step {
  const kept = () =>
    new Set(
      folders(config).flatMap(({ path, owner, group }) =>
        machine.look(path) === undefined ? [] : [owner, group],
      ),
    );
  const there = () => {
    // One that install made and something else runs as by now is not ours to take away.
    const used = (name: string) => machine.tenants(name, config.paths.executable).length > 0;
    const users = made.users.filter(
      (name) => machine.user(name) !== undefined && !kept().has(name) && !used(name),
    );
    const staying = made.users.filter((name) => machine.user(name) !== undefined && !users.includes(name));
    const groups = staying.length > 0 ? [] : made.groups.filter((name) => machine.group(name) !== undefined);
    return { users, groups };
  };
  const say = () => {
    const { users, groups } = there();
    return [...new Set([...users, ...groups])].join(', ') || undefined;
  };
  return {
    what: 'remove the users and groups that install made',
    did: 'removed the users and groups that install made',
    needed: say,
    async act() {
      const said = say();
      const { users, groups } = there();
      for (const name of users) await machine.run(['userdel', name]);
      // userdel takes a user's own group along.
      for (const name of groups) if (machine.group(name)) await machine.run(['groupdel', name]);
      return said;
    },
  };
}

/** Last: as long as a user of ours is there, the next uninstall has to know it. */
function note(machine: Machine, made: Made): Step {
  const unneeded = () =>
    !made.users.some((name) => machine.user(name)) && !made.groups.some((name) => machine.group(name));
  return {
    what: 'remove the note of what install made',
    did: 'removed the note of what install made',
    needed: () => (machine.look(ROOT_STATE_DIR) !== undefined && unneeded() ? '' : undefined),
    async act() {
      await machine.remove(MADE_FILE);
      await machine.remove(ROOT_STATE_DIR);
      return undefined;
    },
  };
}

export function uninstallSteps(config: Config, machine: Machine, purge: boolean): Step[] {
  // Read now: the note itself is removed before the users.
  const made = madeBefore(machine);
  return [
    units(machine),
    removeRules(config, machine),
    files(config, machine, purge),
    dirs(config, machine, purge),
    users(config, machine, made),
    note(machine, made),
  ];
}

/** What is left of ours, to be told. */
export const leftovers = (config: Config, machine: Machine): string[] =>
  [...new Set([CONFIG_FILE, ...folders(config).map(({ path }) => path)])].filter(
    (path, _, all) => machine.look(path) !== undefined && !all.includes(dirname(path)),
  );
