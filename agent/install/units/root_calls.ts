/**
 * Calls as root without setuid: the agent and PostgreSQL's helper may gain no privileges, so root listens for
 * each on a socket that its user alone can open, and systemd starts the trampoline anew for each connection.
 * Nothing of root's waits in between.
 */
import type { Config } from '../../config/index.ts';
import { ROOT_SOCKETS } from '../../platform/paths.ts';
import { POSTGRES_USER, ROOT_LOG_DIR, ROOT_STATE_DIR } from '../../trampoline/names.ts';
import { ROOT_CALLS, trampolinePath, XTABLES_LOCK } from '../names.ts';
import { BRIEF, execLine, pathWord, type Section, socketText, unitText } from './text.ts';

/**
 * While the machine goes down the agent hands over, for which it calls root. systemd takes no connection on a
 * socket that is to stop, and starts no service that the shutdown is to stop: so neither of the two is
 * (DefaultDependencies).
 */
const untilTheEnd: Section = [['DefaultDependencies', 'no']];

/** At once. What one user can have root do at a time; whoever comes then is hung up on, and asks again. */
const CONNECTIONS = 16;

function socket(path: string, user: string): string {
  return socketText(
    [
      ['Description', `Cloudify cluster agent: calls as root by ${user}`],
      ...untilTheEnd,
      ['After', 'systemd-tmpfiles-setup.service'],
      ['Before', 'sockets.target'],
    ],
    [
      ['ListenStream', pathWord(path)],
      ['SocketUser', user],
      ['SocketGroup', user],
      ['SocketMode', '0600'],
      ['Accept', 'yes'],
      ['MaxConnections', CONNECTIONS],
      // Too many calls in a row would end the socket for good, and with it what the agent can do about it.
      ['TriggerLimitIntervalSec', 0],
    ],
    'sockets.target',
  );
}

function service(config: Config, user: string, more: Section): string {
  return unitText(
    [
      ['Description', `Cloudify cluster agent: a call as root by ${user}`],
      ...untilTheEnd,
      ['CollectMode', 'inactive-or-failed'],
    ],
    [
      ['ExecStart', execLine([trampolinePath(config), 'answer', user])],
      ['User', 'root'],
      ['StandardInput', 'socket'],
      ['StandardOutput', 'socket'],
      ['StandardError', 'journal'],
      // systemd has a line for each start and end; the trampoline has its own log.
      ['LogLevelMax', 'notice'],
      ['SyslogLevel', 'notice'],
      // Its own one would be stopped when the machine goes down.
      ['Slice', 'system.slice'],
      ['OOMPolicy', 'continue'],
      ['OOMScoreAdjust', -900],
      ['CPUWeight', 1000],
      ['TasksMax', 64],
      // With no /tmp of its own: that needs the mount of /tmp, which goes when the machine goes down. Nothing
      // is written there.
      ...BRIEF,
      ...more,
    ],
  );
}

/**
 * systemctl, iptables, ipset, and setpriv for what is emptied. Unit files are systemd's to change; links of
 * init scripts are not.
 */
function forAgent(config: Config): Section {
  const links = ['0', '1', '2', '3', '4', '5', '6', 'S'].map((level) => `-/etc/rc${level}.d`);
  const emptied = [config.consul.data_dir, config.files.home_dir].map((path) => pathWord(`-${path}`));
  const written = [`-${ROOT_LOG_DIR}`, `-${ROOT_STATE_DIR}`, `-${XTABLES_LOCK}`, ...emptied, ...links];
  return [
    ['CapabilityBoundingSet', 'CAP_SETUID CAP_SETGID CAP_KILL CAP_NET_ADMIN CAP_NET_RAW'],
    ['RestrictAddressFamilies', 'AF_UNIX AF_NETLINK AF_INET AF_INET6'],
    ['ReadWritePaths', written.join(' ')],
  ];
}

/** systemctl alone. */
const forPostgres: Section = [
  ['CapabilityBoundingSet', ''],
  ['RestrictAddressFamilies', 'AF_UNIX'],
  ['ReadWritePaths', `-${ROOT_LOG_DIR}`],
];

/** Name and text of each unit. */
export const rootCallUnits = (config: Config): [name: string, text: string][] => [
  [`${ROOT_CALLS.agent}@.service`, service(config, config.user, forAgent(config))],
  [`${ROOT_CALLS.postgres}@.service`, service(config, POSTGRES_USER, forPostgres)],
  [`${ROOT_CALLS.agent}.socket`, socket(ROOT_SOCKETS.agent, config.user)],
  [`${ROOT_CALLS.postgres}.socket`, socket(ROOT_SOCKETS.postgres, POSTGRES_USER)],
];
