/** The configuration with what start or join was told; refuses before anything changes. */
import {
  type Config,
  type ConfigInput,
  makeConfig,
  type NodeConfig,
  requireNode,
  withOptions,
} from '../config.ts';
import type { StartOptions } from '../http/port.ts';

/** `input` is the file as written, `config` what it means. Throws ConfigError, or `node_not_named` (operator). */
export function namedConfig(input: ConfigInput, config: Config, options: StartOptions): NodeConfig {
  const over = {
    ...options.options,
    ...(options.nodeName === undefined ? {} : { node_name: options.nodeName }),
    ...(options.hostIp === undefined ? {} : { host_ip: options.hostIp }),
    ...(options.publicIp === undefined ? {} : { public_ip: options.publicIp }),
  };
  return requireNode(
    Object.keys(over).length === 0 ? config : makeConfig(withOptions(input, over), 'options'),
  );
}
