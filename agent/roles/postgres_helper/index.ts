/** Both ends of the PostgreSQL helper, as the configuration says. */
import process from 'node:process';
import { loadConfig, makeConfig, type NodeConfig, requireNode, withOptions } from '../../config/index.ts';
import { AgentError, explain } from '../../errors.ts';
import { ROOT_SOCKETS } from '../../platform/paths.ts';
import { version } from '../../version.ts';
import type { Postgres } from '../postgres/port.ts';
import { createTrampoline } from '../root/call.ts';
import type { ServiceDriver } from '../services/driver.ts';
import { systemdDriver } from '../services/systemd.ts';
import { createHelperClient } from './client.ts';
import { postgresOf } from './driver.ts';
import type { Names } from './messages.ts';
import { serveHelper } from './server.ts';

/**
 * Where the helper listens: /run/cloudify-postgres/helper.sock (a folder of the user postgres and the agent's
 * group).
 */
export const HELPER_SOCKET = '/run/cloudify-postgres/helper.sock';

/**
 * The driver in the helper, for the agent of this node. Connects by itself, and again whenever that is lost.
 */
export function helperPostgres(
  config: NodeConfig,
  socketPath: string,
  say: (line: string) => void,
): Postgres {
  const names = { node: config.node_name, hostIp: config.host_ip, publicIp: config.public_ip ?? null };
  return createHelperClient({ socketPath, names, say });
}

/**
 * `agent helper postgres`, as the user that owns the server. Binaries and paths come from the configuration
 * file alone, which is root's; the agent says who this node is. Runs until SIGTERM; the exit code.
 */
export async function runPostgresHelper(
  configPath: string,
  // The end of the server shows by its closed connection at once; looking for it costs, ten times a second.
  driver: ServiceDriver = systemdDriver({
    watchEvery: 1000,
    trampoline: createTrampoline({ socket: ROOT_SOCKETS.postgres }),
  }),
  socketPath: string = HELPER_SOCKET,
): Promise<number> {
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const { promise: ended, resolve: end } = Promise.withResolvers<string>();
  const helper = await serveHelper({
    socketPath,
    say,
    outdated: () => end('an agent of another version has connected: ending, to be started again'),
    driverFor(names, said) {
      const config = configFor(configPath, names);
      return {
        // Read anew for each agent: a changed file makes a new driver.
        key: JSON.stringify(config),
        make: () =>
          postgresOf(config, driver, (line) => {
            say(line);
            said(line);
          }),
      };
    },
  });
  say(`PostgreSQL helper ${version} listens on ${socketPath}`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => end(`ended by ${signal}`));
  say(await ended);
  await helper.close();
  await driver.close();
  return 0;
}

/** The file's configuration with this node's names, which are checked as if they stood in it. */
function configFor(configPath: string, names: Names): NodeConfig {
  try {
    const { input } = loadConfig(configPath);
    const over = {
      node_name: names.node,
      host_ip: names.hostIp,
      ...(names.publicIp === null ? {} : { public_ip: names.publicIp }),
    };
    return requireNode(makeConfig(withOptions(input, over), configPath));
  } catch (thrown) {
    throw new AgentError({
      class: 'operator',
      code: 'bad_configuration',
      message: `the configuration cannot be used: ${explain(thrown)}`,
      cause: thrown,
    });
  }
}
