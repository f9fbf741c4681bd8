/** The units of this executable: the agent and its two helpers. They run all the time, in a cluster or not. */
import { dirname } from 'node:path';
import type { Config } from '../../config.ts';
import { CONFIG_FILE, OWN_SERVICES, PARTS, POSTGRES_USER, UNITS, XTABLES_LOCK } from '../names.ts';
import { execLine, pathWord, SEALED, type Section, unitText } from './text.ts';

/** Neither sudo nor anything it is allowed to run needs these. */
const NEVER_NEEDED =
  '~CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_BOOT CAP_SYS_TIME CAP_SYSLOG CAP_MKNOD CAP_MAC_ADMIN CAP_MAC_OVERRIDE ' +
  'CAP_BPF CAP_PERFMON CAP_WAKE_ALARM CAP_SYS_PTRACE CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_LEASE CAP_BLOCK_SUSPEND ' +
  'CAP_SYS_PACCT CAP_SYS_TTY_CONFIG';

/** What sudo survives: anything built on a system call filter implies NoNewPrivileges (PROTOCOL H). */
const sudoCalls: Section = [
  ['CapabilityBoundingSet', NEVER_NEEDED],
  ['ProtectHome', 'read-only'],
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
      ['ProtectSystem', 'full'],
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
