/**
 * The units of this executable: the agent and its two helpers. They run all the time, in a cluster or not.
 */
import { dirname } from 'node:path';
import type { Config } from '../../config/index.ts';
import { postgresBinDir } from '../../platform/paths.ts';
import { dataPlaces } from '../../roles/postgres/place.ts';
import { POSTGRES_USER, UNITS } from '../../trampoline/names.ts';
import { CONFIG_FILE, OWN_SERVICES, PARTS, postgresConfDir, ROOT_CALLS, XTABLES_LOCK } from '../names.ts';
import { execLine, pathWord, SEALED, type Section, sealedServer, unitText } from './text.ts';

/** Always there again, at once, however often it dies. */
const always: Section = [
  ['Restart', 'always'],
  ['RestartSec', '200ms'],
];

const forever: Section = [['StartLimitIntervalSec', 0]];

/**
 * systemd passes over it. A helper knows the agent's user from its start: with another one its unit differs,
 * and it is restarted.
 */
const known = ({ user }: Config): Section => [['X-Agent-User', user]];

const helper = (config: Config, name: string): string =>
  execLine([config.paths.executable, 'helper', name, '--config', CONFIG_FILE]);

/** The one device it may be given to open; without it none. */
const watchdog = ({ watchdog_device: device }: Config): Section =>
  device === undefined
    ? []
    : [
        ['PrivateDevices', 'no'],
        ['DevicePolicy', 'closed'],
        ['DeviceAllow', `${pathWord(device)} rw`],
      ];

export function agentUnit(config: Config): string {
  const { paths, user, group } = config;
  const others = [...OWN_SERVICES.filter((name) => name !== UNITS.agent), ...PARTS, UNITS.firewall];
  // The database stops after it when the machine goes down: it hands over first. So does D-Bus, which tells
  // it that it does. Not the manager's services: an agent that is restarted while its broker starts would
  // wait for that, and lose the lease.
  return unitText(
    [
      ['Description', 'Cloudify cluster agent'],
      ['Wants', `network-online.target ${UNITS.lease} ${UNITS.postgresHelper} ${ROOT_CALLS.agent}.socket`],
      [
        'After',
        [
          'network-online.target',
          'dbus.socket',
          'dbus.service',
          ...others,
          `${ROOT_CALLS.agent}.socket`,
        ].join(' '),
      ],
      // A socket that systemd could not serve, for want of memory say, stays down by itself.
      ['Upholds', `${ROOT_CALLS.agent}.socket`],
      ...forever,
    ],
    [
      ['Type', 'notify'],
      // systemd-notify speaks for it: a child, not the main process.
      ['NotifyAccess', 'all'],
      ['ExecStart', execLine([paths.executable, 'run', '--config', CONFIG_FILE])],
      ['User', user],
      ['Group', user],
      ['SupplementaryGroups', group],
      ['UMask', '0027'],
      ...always,
      ['WatchdogSec', 10],
      // A hung process does not answer anything milder.
      ['WatchdogSignal', 'SIGKILL'],
      ['TimeoutStartSec', 60],
      ['TimeoutStopSec', 60],
      // A hook under way is carried to its end. So is a call as root, which is no child of it.
      ['KillMode', 'process'],
      ['OOMPolicy', 'continue'],
      ['OOMScoreAdjust', -900],
      ['CPUWeight', 1000],
      ['LimitNOFILE', 65_536],
      ...sealedServer([config.postgres.socket_dir]),
      // Looks at the processes of services, which are other users'.
      ['ProtectProc', 'default'],
      // Hooks are the manager's affair. Not 'full': the agent writes in folders below /etc.
      ['ProtectHome', 'read-only'],
      ['ProtectSystem', 'yes'],
      ...watchdog(config),
    ],
    'multi-user.target',
  );
}

/**
 * As shut in as the server, but that it sees `/home`: settings that were the server's before may lie there.
 */
function besideServer(config: Config): Section {
  const { data_dir, socket_dir, original_config } = config.postgres;
  const read = [postgresBinDir(config), original_config].filter((path) => path !== undefined);
  // It copies and rewinds the data where that is.
  const written = [...dataPlaces(data_dir), postgresConfDir(config), socket_dir, config.paths.diverged_dir];
  return sealedServer(written, read).map((line) =>
    line?.[0] === 'ProtectHome' && line[1] === 'yes' ? ['ProtectHome', 'read-only'] : line,
  );
}

export function postgresHelperUnit(config: Config): string {
  return unitText(
    [
      ['Description', 'Cloudify cluster agent: what PostgreSQL’s own user does'],
      ['Wants', `${ROOT_CALLS.postgres}.socket`],
      ['Upholds', `${ROOT_CALLS.postgres}.socket`],
      ['After', `${UNITS.postgres} ${ROOT_CALLS.postgres}.socket`],
      ...forever,
    ],
    [
      ['Type', 'exec'],
      ['ExecStart', helper(config, 'postgres')],
      ...known(config),
      ['User', POSTGRES_USER],
      ['Group', POSTGRES_USER],
      ['SupplementaryGroups', config.group],
      ['UMask', '0027'],
      ...always,
      // A copy it was making ends with it: the next one must find nobody at work on the data.
      ['KillMode', 'mixed'],
      ['TimeoutStopSec', 20],
      ['OOMPolicy', 'continue'],
      ['OOMScoreAdjust', -900],
      ['CPUWeight', 1000],
      ['LimitNOFILE', 65_536],
      ...besideServer(config),
      // As long as systemd has a process of the server's unit under root, it must be seen.
      ['ProtectProc', 'default'],
    ],
    'multi-user.target',
  );
}

export function leaseUnit(config: Config): string {
  return unitText(
    [['Description', 'Cloudify cluster agent: the kernel lease'], ...forever],
    [
      ['Type', 'exec'],
      ['ExecStart', helper(config, 'lease')],
      ...known(config),
      ['User', 'root'],
      ...always,
      // Not Type=notify: the agent's start would wait for it, and with it the first renewal. systemd-notify
      // speaks for it, a child.
      ['NotifyAccess', 'all'],
      ['WatchdogSec', 10],
      ['WatchdogSignal', 'SIGKILL'],
      ['KillMode', 'control-group'],
      ['TimeoutStopSec', 5],
      ['OOMPolicy', 'continue'],
      ['OOMScoreAdjust', -1000],
      ['CPUWeight', 10_000],
      ...SEALED,
      ['CapabilityBoundingSet', 'CAP_NET_ADMIN CAP_NET_RAW CAP_KILL CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER'],
      ['RestrictAddressFamilies', 'AF_UNIX AF_NETLINK AF_INET AF_INET6'],
      ['ReadWritePaths', `${pathWord(dirname(config.firewall.lease_socket))} -${XTABLES_LOCK}`],
    ],
    'multi-user.target',
  );
}
