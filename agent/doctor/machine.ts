import { accessSync, constants, existsSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import { isLoopback } from '../config/effective.ts';
import type { Config } from '../config/resolve.ts';
import { spacesOf } from '../roles/postgres/tablespaces.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

/** The folder itself, or the nearest above that exists. */
function nearestExisting(path: string): string {
  let here = path;
  while (!existsSync(here) && here !== '/') here = dirname(here);
  return here;
}

function writable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

const TMPFS = 0x01021994;

function folder(id: string, path: string, user: string): Finding {
  const existing = nearestExisting(path);
  if (!writable(existing)) {
    return fail(
      id,
      `${user} may not write in ${existing}`,
      `make ${path} and give it to ${user}, or run 'agent install'`,
    );
  }
  if (id === 'folder_state' && statfsSync(existing).type === TMPFS) {
    const mend = 'set paths.state_dir to a folder on a disk';
    return warn(id, `${path} is in memory: a reboot would forget what this node voted for`, mend);
  }
  return ok(id, existing === path ? `${path} can be written` : `${path} can be made`);
}

function folders(config: Config, user: string): Finding[] {
  const { state_dir, run_dir, log_file, diverged_dir } = config.paths;
  const all: [string, string][] = [
    ['folder_state', state_dir],
    ['folder_run', run_dir],
    ['folder_log', dirname(log_file)],
    ['folder_diverged', diverged_dir],
  ];
  if (config.driver === 'child') {
    all.push(['folder_postgres', config.postgres.data_dir], ['folder_consul', config.consul.data_dir]);
  }
  return all.map(([id, path]) => folder(id, path, user));
}

const size = (bytes: number): string =>
  bytes >= 1024 ** 3 ? `${(bytes / 1024 ** 3).toFixed(1)} GB` : `${Math.round(bytes / 1024 ** 2)} MB`;

/** The data directory, and tablespaces that lie on other filesystems, where this user may see them. */
function disks(config: Config): Finding[] {
  const { data_dir: dir } = config.postgres;
  const seen = new Set([statSync(nearestExisting(dir)).dev]);
  const others = spacesOf(dir).flatMap(({ location }) => {
    const { dev } = statSync(nearestExisting(location));
    if (seen.has(dev)) return [];
    seen.add(dev);
    const free = freeAt(location);
    const [what, least] = [
      `${size(free)} free for the tablespace in ${location}`,
      config.checks.disk_free_min,
    ];
    return free >= least
      ? [ok('disk_space', what)]
      : [fail('disk_space', `${what}; at least ${size(least)} are needed`, SPACE)];
  });
  return [disk(config), ...others];
}

const SPACE = 'free some space, or lower checks.disk_free_min';

function freeAt(path: string): number {
  const { bavail, bsize } = statfsSync(nearestExisting(path));
  return bavail * bsize;
}

function disk(config: Config): Finding {
  const free = freeAt(config.postgres.data_dir);
  const least = config.checks.disk_free_min;
  const what = `${size(free)} free for ${config.postgres.data_dir}`;
  if (free < least) return fail('disk_space', `${what}; at least ${size(least)} are needed`, SPACE);
  if (free < config.postgres.wal_cap) {
    const more = `, less than postgres.wal_cap (${size(config.postgres.wal_cap)}): an absent standby could fill the disk`;
    return warn('disk_space', `${what}${more}`, 'free some space, or lower postgres.wal_cap');
  }
  return ok('disk_space', what);
}

/** Counted by software, or read from a slow chip: rates may be off, or a look at the clock cost too much. */
const POOR_CLOCKS = ['jiffies', 'refined-jiffies', 'acpi_pm', 'pit'];

function clock(): Finding {
  let source: string;
  try {
    source = readFileSync('/sys/devices/system/clocksource/clocksource0/current_clocksource', 'utf8').trim();
  } catch {
    return warn('clock_source', 'the clock source cannot be determined', 'see that /sys is mounted');
  }
  if (!POOR_CLOCKS.includes(source)) return ok('clock_source', `the clock source is ${source}`);
  const mend = 'let the hypervisor offer a better one (kvm-clock, tsc), and keep to the default lease preset';
  return warn(
    'clock_source',
    `the clock source is ${source}; the lease relies on clocks that run at the same rate`,
    mend,
  );
}

function account(config: Config, user: string, uid: number): Finding {
  if (uid === 0) {
    // Root sees more than the agent, which does not run as root here: its unit says as whom.
    if (config.driver === 'systemd') return ok('user', `this is root; the agent runs as ${config.user}`);
    return fail('user', 'this is root, and PostgreSQL refuses to run as root', 'run it as another user');
  }
  if (config.driver === 'systemd' && user !== config.user) {
    return warn('user', `this is ${user}, the agent's user is ${config.user}`, `run it as ${config.user}`);
  }
  return ok('user', `this is ${user}`);
}

function watchdog(config: Config): Finding[] {
  const device = config.watchdog_device;
  if (device === undefined) return [];
  if (existsSync(device))
    return [
      warn('watchdog', `${device} is there, but no version of the agent uses it yet`, 'do not rely on it'),
    ];
  return [fail('watchdog', `there is no ${device}`, 'load its kernel module, or take watchdog_device out')];
}

function address({ driver, host_ip }: Config): Finding[] {
  if (host_ip === undefined || driver !== 'systemd' || !isLoopback(host_ip)) return [];
  const mend = "set it to the address of a network card, like 10.0.0.11: 'ip -brief address' lists them";
  return [
    fail(
      'host_ip',
      `host_ip ${host_ip} can be reached only from this machine: the other managers cannot use it`,
      mend,
    ),
  ];
}

/** Address, space, clock, devices: whatever is installed. */
export const resources = (config: Config): Finding[] => [
  ...address(config),
  ...disks(config),
  clock(),
  ...watchdog(config),
];

/** The machine itself: user, folders, space, clock. */
export function machine(config: Config): Finding[] {
  const { username, uid } = userInfo();
  return [account(config, username, uid), ...folders(config, username), ...resources(config)];
}
