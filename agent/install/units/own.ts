/** The units of this executable: the agent and its two helpers. They run all the time, in a cluster or not. */
import { dirname } from 'node:path';
import type { Config } from '../../config.ts';
import { dataPlaces } from '../../roles/postgres/place.ts';
import { CONFIG_FILE, OWN_SERVICES, PARTS, POSTGRES_USER, UNITS, XTABLES_LOCK } from '../names.ts';
import { execLine, openFor, pathWord, SEALED, type Section, unitText } from './text.ts';

/** sudo, and what the trampoline runs: systemctl, iptables, ipset, setpriv. Not one with which root could get the others back. */
const CALLERS =
  'CAP_SETUID CAP_SETGID CAP_AUDIT_WRITE CAP_SYS_RESOURCE CAP_DAC_OVERRIDE CAP_CHOWN CAP_FOWNER';

/**
 * What sudo survives: anything built on a system call filter implies NoNewPrivileges (PROTOCOL H), and that is half of what
 * `systemd-analyze security` counts. Not ProtectProc: the processes of services belong to other users.
 */
const sudoCalls: Section = [
  ['ProtectHome', 'read-only'],
  ['ProtectControlGroups', 'yes'],
  ['PrivateTmp', 'yes'],
];

/** Always there again, at once, however often it dies. */
const always: Section = [
  ['Restart', 'always'],
  ['RestartSec', '200ms'],
];

const forever: Section = [['StartLimitIntervalSec', 0]];

/** systemd passes over it. A helper knows the agent's user from its start: with another one its unit differs, and it is restarted. */
const known = ({ user }: Config): Section => [['X-Agent-User', user]];

const helper = (config: Config, name: string): string =>
  execLine([config.paths.executable, 'helper', name, '--config', CONFIG_FILE]);

export function agentUnit(config: Config): string {
  const { paths, user, group } = config;
  const others = [...OWN_SERVICES.filter((name) => name !== UNITS.agent), ...PARTS, UNITS.firewall];
  // The database stops after it when the machine goes down: it hands over first. So does D-Bus, which tells it that it does. Not
  // the manager's services: an agent that is restarted while its broker starts would wait for that, and lose the lease.
  return unitText(
    [
      ['Description', 'Cloudify cluster agent'],
      ['Wants', `network-online.target ${UNITS.lease} ${UNITS.postgresHelper}`],
      ['After', ['network-online.target', 'dbus.socket', 'dbus.service', ...others].join(' ')],
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
      // A call to the trampoline under way is carried to its end.
      ['KillMode', 'process'],
      ['OOMPolicy', 'continue'],
      ['OOMScoreAdjust', -900],
      ['CPUWeight', 1000],
      ['LimitNOFILE', 65_536],
      ...sudoCalls,
      ['CapabilityBoundingSet', `${CALLERS} CAP_NET_ADMIN CAP_NET_RAW CAP_KILL`],
      ['DevicePolicy', 'closed'],
      config.watchdog_device === undefined
        ? undefined
        : ['DeviceAllow', `${pathWord(config.watchdog_device)} rw`],
      // Not 'full': the trampoline works in this mount namespace, and disabling a unit writes below /etc.
      ['ProtectSystem', 'yes'],
    ],
    'multi-user.target',
  );
}

export function postgresHelperUnit(config: Config): string {
  return unitText(
    [
      ['Description', 'Cloudify cluster agent: what PostgreSQL’s own user does'],
      ['After', UNITS.postgres],
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
      ...sudoCalls,
      ['CapabilityBoundingSet', CALLERS],
      ['DevicePolicy', 'closed'],
      ['ProtectSystem', 'full'],
      // It copies and rewinds the data where that is.
      ...openFor(dataPlaces(config.postgres.data_dir)),
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
      // Not Type=notify: the agent's start would wait for it, and with it the first renewal. systemd-notify speaks for it, a child.
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
