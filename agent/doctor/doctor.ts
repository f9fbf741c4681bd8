import { ConfigError, loadConfig } from '../config/load.ts';
import { problemLine } from '../config/problems.ts';
import type { Config, NodeConfig } from '../config/resolve.ts';
import { asAgentError } from '../errors.ts';
import { membershipStore } from '../state/identity.ts';
import { beforeInstall, notInstalled } from './before.ts';
import { database } from './database.ts';
import { type Finding, fail, ok, warn } from './finding.ts';
import { installed } from './installed.ts';
import { machine } from './machine.ts';
import { ports } from './ports.ts';
import { programs } from './programs.ts';
import { settings } from './settings.ts';

export type { Finding, FindingState } from './finding.ts';

const hasAddress = (config: Config): config is NodeConfig => config.host_ip !== undefined;

/** A program that is not there has been said already; anything else is nobody's fault but ours. */
function notSeen(thrown: unknown): Finding {
  const { message, hint, class: kind } = asAgentError(thrown);
  return fail(
    'doctor',
    `could not check everything: ${message}`,
    kind === 'fatal' ? 'report this' : (hint ?? ''),
  );
}

/**
 * Looks at this machine with the eyes of a configuration; changes nothing. Takes a few seconds at most; never
 * rejects. `file`: what agent.yaml says, where start or join was told a name and an address besides.
 */
export async function doctor(config: Config, file: Config = config): Promise<Finding[]> {
  const all: Promise<Finding[]>[] = [
    programs(config),
    Promise.resolve().then(() => machine(config)),
    database(config, isMember(config)),
    settings(config),
    installed(config, file),
    hasAddress(config)
      ? ports(config)
      : Promise.resolve([
          warn(
            'host_ip',
            'host_ip is not set yet: ports were not checked',
            "'cluster start' and 'join' set it",
          ),
        ]),
  ];
  const settled = await Promise.allSettled(all);
  return settled.flatMap((result) =>
    result.status === 'fulfilled' ? result.value : [notSeen(result.reason)],
  );
}

/**
 * A member's database is the agent's already; one that cannot be told is not looked at as one that is to be.
 */
function isMember(config: Config): boolean | undefined {
  try {
    return membershipStore(config).load() !== undefined;
  } catch {
    return undefined;
  }
}

/** In a cluster a node has the name and the address that start or join was given. */
function asMember(config: Config): Config {
  try {
    const found = membershipStore(config).load();
    return found === undefined ? config : { ...config, node_name: found.nodeName, host_ip: found.hostIp };
  } catch {
    return config; // this user may not read it
  }
}

/**
 * The same from a file, whose own problems are findings too; with these, the machine is not looked at. Before
 * install it is looked at with what install would write.
 */
export async function doctorFile(path: string): Promise<Finding[]> {
  try {
    if (notInstalled(path)) return await beforeInstall();
    const { config } = loadConfig(path);
    return [ok('config', `${path} is right`), ...(await doctor(asMember(config), config))];
  } catch (thrown) {
    if (thrown instanceof ConfigError) {
      return thrown.problems.map((problem) =>
        fail('config', `${path}: ${problemLine(problem)}`, `correct it in ${path}`),
      );
    }
    const error = asAgentError(thrown);
    return [fail('config', error.message, error.hint ?? '')];
  }
}

/** True if nothing stands in the way of running. */
export const healthy = (findings: readonly Finding[]): boolean =>
  findings.every(({ state }) => state !== 'fail');
