/** What `cluster start` and `cluster join` have in common. */
import type { ArgsDef } from 'citty';
import type { StartOptions } from '../../agent/api/types.ts';
import type { Given } from '../common/args.ts';

export const START_ARGS = {
  'cluster-host-ip': {
    type: 'string',
    valueHint: 'IP',
    description: 'the address of this manager in the cluster; default: host_ip of the configuration',
  },
  'cluster-node-name': {
    type: 'string',
    valueHint: 'NAME',
    description: 'the name of this manager in the cluster; default: node_name of the configuration',
  },
  options: {
    type: 'string',
    valueHint: 'K=V;K=V|FILE|JSON',
    description: 'settings that override the configuration; may be repeated',
  },
  timeout: { type: 'string', valueHint: 'SECONDS', default: '900', description: 'how long to wait' },
} as const satisfies ArgsDef;

/** The body of the call. Throws usage errors of --options. */
export async function startOptions({ options }: Given): Promise<StartOptions> {
  const last = (name: string) => options.get(name)?.at(-1);
  const hostIp = last('cluster-host-ip');
  const nodeName = last('cluster-node-name');
  const texts = options.get('options');
  const settings = texts ? (await import('../../agent/config/options.ts')).parseOptions(texts) : undefined;
  return {
    ...(hostIp === undefined ? {} : { hostIp }),
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(settings === undefined ? {} : { options: settings as Record<string, unknown> }),
  };
}
