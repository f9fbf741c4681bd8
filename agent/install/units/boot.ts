/**
 * The fenced rules at boot, before the network: until its agent knows the role, a machine shows no client
 * anything.
 */
import type { Config } from '../../config/index.ts';
import { bootExec, bootStopExec } from '../../roles/firewall/render.ts';
import { execLine, pathWord, RULE_LOADER, unitText } from './text.ts';

/** Whoever loads rules at boot by throwing all others away comes first. */
const OTHERS =
  'nftables.service iptables.service ip6tables.service netfilter-persistent.service firewalld.service ufw.service';

/** Enabled by the trampoline while this machine is clustered. */
export function bootUnit(config: Config): string {
  return unitText(
    [
      ['Description', 'Cloudify cluster: no clients until the role is known'],
      ['DefaultDependencies', 'no'],
      ['Wants', 'network-pre.target'],
      // Not stopped at a shutdown: the rules stay until the kernel ends.
      ['Before', 'network-pre.target'],
      ['After', `local-fs.target systemd-modules-load.service ${OTHERS}`],
      ['RequiresMountsFor', pathWord(config.paths.firewall_dir)],
    ],
    [
      ['Type', 'oneshot'],
      ['RemainAfterExit', 'yes'],
      ...bootExec(config).map((argv) => ['ExecStart', execLine(argv)] as const),
      ...bootStopExec().map((argv) => ['ExecStop', `-${execLine(argv)}`] as const),
      ['TimeoutStartSec', 30],
      ...RULE_LOADER,
    ],
    'multi-user.target',
  );
}
