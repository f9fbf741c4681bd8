/**
 * The units that the agent starts and stops: never enabled, so that nothing comes back by itself after a
 * boot.
 */
import type { Config } from '../../config/index.ts';
import { AgentError } from '../../errors.ts';
import { consulBinary, postgresBinDir, syncthingBinary } from '../../platform/paths.ts';
import { syncthingUnit as syncthingProcess } from '../../roles/files/index.ts';
import { serverCommand } from '../../roles/postgres/conf.ts';
import { dataPlaces } from '../../roles/postgres/place.ts';
import { consulUser, POSTGRES_LOG, POSTGRES_USER, syncthingUser } from '../../trampoline/names.ts';
import { postgresConfDir } from '../names.ts';
import { DIRECT, execLine, literal, pathWord, SEALED, type Section, sealedServer, unitText } from './text.ts';

function found<T>(value: T | undefined, what: string, hint: string): T {
  if (value !== undefined) return value;
  throw new AgentError({
    class: 'operator',
    code: 'program_missing',
    message: `there is no ${what} here`,
    hint,
  });
}

/** Throws `program_missing` where there is no server. */
export function postgresUnit(config: Config): string {
  const binDir = found(
    postgresBinDir(config),
    'PostgreSQL server',
    'install PostgreSQL 13 to 18, or set postgres.bin_dir',
  );
  const dataDir = config.postgres.data_dir;
  return unitText(
    [
      ['Description', 'PostgreSQL of the Cloudify cluster'],
      ['After', 'network.target'],
      ['RequiresMountsFor', pathWord(dataDir)],
      // How often it may be started is the agent's to say: systemd would refuse the sixth start in ten
      // seconds.
      ['StartLimitIntervalSec', 0],
    ],
    [
      ['Type', 'notify'],
      ['User', POSTGRES_USER],
      ['Group', POSTGRES_USER],
      ['ExecStart', execLine(serverCommand({ binDir, dataDir, confDir: postgresConfDir(config) }))],
      ['ExecReload', '/bin/kill -HUP $MAINPID'],
      // The agent decides whether, and as what, it comes back.
      ['Restart', 'no'],
      ['KillMode', 'mixed'],
      ['KillSignal', 'SIGINT'],
      // Recovery takes as long as it takes.
      ['TimeoutStartSec', 'infinity'],
      ['TimeoutStopSec', 300],
      ['OOMPolicy', 'continue'],
      ['OOMScoreAdjust', -900],
      ['Environment', 'PG_OOM_ADJUST_FILE=/proc/self/oom_score_adj PG_OOM_ADJUST_VALUE=0'],
      ['StandardOutput', `append:${POSTGRES_LOG}`],
      ['StandardError', `append:${POSTGRES_LOG}`],
      ['UMask', '0077'],
      ['LimitNOFILE', 65_536],
      ...sealedServer(
        [...dataPlaces(dataDir), postgresConfDir(config), config.postgres.socket_dir],
        [binDir],
      ),
    ],
  );
}

/** Throws `program_missing` where there is no consul. */
export function consulUnit(config: Config): string {
  const binary = found(consulBinary(config), 'consul', 'install Consul 1.8 or later, or set consul.binary');
  const user = consulUser(config);
  return unitText(
    [
      ['Description', 'Consul server of the Cloudify cluster'],
      ['After', 'network.target'],
      ['RequiresMountsFor', pathWord(config.consul.data_dir)],
      ['StartLimitIntervalSec', 0],
    ],
    [
      ['Type', 'exec'],
      ['User', user],
      ['Group', user],
      ['SupplementaryGroups', config.group],
      ['ExecStart', execLine([binary, 'agent', `-config-dir=${config.consul.config_dir}`])],
      ['ExecReload', '/bin/kill -HUP $MAINPID'],
      // The whole line is the folder: no quotes.
      ['WorkingDirectory', `-${literal(config.consul.data_dir)}`],
      // Not before the agent has seen that its data is there: an empty server has no vote to give (PROTOCOL
      // F.6).
      ['Restart', 'no'],
      // SIGTERM leaves nothing: leave_on_terminate is off.
      ['KillSignal', 'SIGTERM'],
      ['TimeoutStopSec', 10],
      ['OOMScoreAdjust', -800],
      ['CPUWeight', 1000],
      ['LimitNOFILE', 65_536],
      ...DIRECT,
      ...SEALED,
      ['CapabilityBoundingSet', ''],
      ['RestrictAddressFamilies', 'AF_UNIX AF_INET AF_INET6 AF_NETLINK'],
      ['ReadWritePaths', pathWord(config.consul.data_dir)],
    ],
  );
}

/**
 * Undefined without files to carry. Throws `program_missing` where they are wanted and there is no syncthing.
 */
export function syncthingUnit(config: Config): string | undefined {
  if (!config.files.enabled) return undefined;
  const hint = 'install Syncthing 1.19 or later, or set files.binary';
  const binary = found(syncthingBinary(config), 'syncthing', hint);
  const { home_dir: home, folders } = config.files;
  const user = syncthingUser(config);
  const { command = 'syncthing', args = [], env = {} } = syncthingProcess(config);
  return unitText(
    [
      ['Description', 'Syncthing of the Cloudify cluster'],
      ['After', 'network.target'],
      ['RequiresMountsFor', [home, ...folders.map(({ path }) => path)].map(pathWord).join(' ')],
      ['StartLimitIntervalSec', 0],
    ],
    [
      ['Type', 'exec'],
      ['User', user],
      ['Group', user],
      ['SupplementaryGroups', config.group],
      ['UMask', '0027'],
      ...Object.entries(env).map(([name, value]) => ['Environment', pathWord(`${name}=${value}`)] as const),
      ['ExecStart', execLine([command, ...args])],
      ['Restart', 'no'],
      ['TimeoutStopSec', 15],
      ['Nice', 5],
      ['LimitNOFILE', 65_536],
      // Files of other owners are read and written, and keep their owners.
      ['AmbientCapabilities', 'CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE'],
      ['CapabilityBoundingSet', 'CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE'],
      ...DIRECT,
      ...SEALED,
      ...allowed(config, binary),
      ['RestrictAddressFamilies', 'AF_INET AF_INET6 AF_UNIX AF_NETLINK'],
    ],
  );
}

/** Of the system, what a program needs that reads files and speaks TCP. */
const SYSTEM = [
  '/usr',
  '/bin',
  '/sbin',
  '/lib',
  '/lib32',
  '/lib64',
  '/libx32',
  '/proc',
  '/etc/ssl',
  '/etc/ld.so.cache',
].concat(
  ['passwd', 'group', 'nsswitch.conf', 'hosts', 'resolv.conf', 'localtime', 'mime.types'].map(
    (f) => `/etc/${f}`,
  ),
);

/**
 * An empty root, and in it what is listed here: with capabilities over files, and a command of its own
 * (Syncthing can be told to run one), it could be root otherwise. A socket, a secret or a database that
 * somebody puts anywhere is not there for it.
 */
function allowed(config: Config, binary: string): Section {
  const { home_dir: home, folders } = config.files;
  const own = [home, ...folders.map(({ path }) => path)];
  const words = (paths: readonly string[]) => paths.map((path) => pathWord(`-${path}`)).join(' ');
  return [
    ['TemporaryFileSystem', '/:ro'],
    // Both of these are about the root, and systemd keeps one: the stricter one would show everything again,
    // read-only (seen).
    ['ProtectSystem', 'no'],
    ['BindReadOnlyPaths', words([...SYSTEM, ...(binary.startsWith('/usr/') ? [] : [binary])])],
    ['BindPaths', words(own)],
    ['ReadWritePaths', words(own)],
  ];
}
