/**
 * What other parts render: the trampoline's policy, the firewall's rules and the unit that applies them at
 * boot.
 */
import { join } from 'node:path';
import type { Config } from '../config/index.ts';
import { deadlineFile, HOOKS } from '../roles/firewall/names.ts';
import { firewallFiles, removalCommands } from '../roles/firewall/render.ts';
import { ALL_SETS, POLICY_FILE, UNITS } from '../trampoline/names.ts';
import { renderPolicy } from '../trampoline/policy.ts';
import type { Machine } from './machine.ts';
import type { Step } from './steps.ts';
import { bootUnit } from './units/boot.ts';
import { rootFile, type WantedFile } from './wanted.ts';

export interface ClusterRules {
  readonly files: readonly WantedFile[];
  /** Undefined: no firewall. */
  readonly bootUnit: string | undefined;
}

/**
 * The rules are there even with the firewall off: the trampoline says so instead of failing for want of a
 * file.
 */
export function clusterRules(config: Config): ClusterRules {
  const rules = firewallFiles(config).map(({ name, content }) =>
    rootFile(join(config.paths.firewall_dir, name), content),
  );
  return {
    files: [rootFile(POLICY_FILE, renderPolicy(config)), ...rules],
    bootUnit: config.firewall.enabled ? bootUnit(config) : undefined,
  };
}

/** A hook may be there more than once, but not without end. */
const MOST = 32;

/** Ours that the kernel holds: chains and sets, by name. */
async function present(machine: Machine): Promise<string[]> {
  const ask = (...argv: string[]) => machine.run(argv).catch(() => '');
  const [v4, v6, sets] = await Promise.all([
    ask('iptables', '-w', '5', '-S'),
    ask('ip6tables', '-w', '5', '-S'),
    ask('ipset', 'list', '-name'),
  ]);
  const chains = HOOKS.map(([, chain]) => chain).filter((chain) => `${v4}\n${v6}`.includes(`-N ${chain}\n`));
  return [...chains, ...ALL_SETS.filter((set) => sets.split('\n').includes(set))];
}

/**
 * Our chains, what jumps to them, and our sets; nothing else of the machine's rules. The helper is stopped by
 * then, and the deadline it left goes too: the next one would find it passed, shut the ports and stop the
 * services.
 */
export function removeRules(config: Config, machine: Machine): Step {
  const deadline = deadlineFile(config.firewall.lease_socket);
  const ours = async (): Promise<string[]> => [
    ...(await present(machine)),
    ...(machine.look(deadline) === undefined ? [] : [deadline]),
  ];
  return {
    what: "remove the cluster's firewall rules",
    did: "removed the cluster's firewall rules",
    needed: async () => (await ours()).join(', ') || undefined,
    async act() {
      const before = await ours();
      await machine.remove(deadline);
      // It counts as run already, and would do nothing the next time.
      await machine.run(['systemctl', 'stop', '--', UNITS.firewall]).catch(() => {});
      for (const { argv, repeat } of removalCommands()) {
        for (let times = repeat ? MOST : 1; times > 0; times--) {
          const done = await machine.run(argv).then(
            () => true,
            () => false,
          );
          if (!done) break;
        }
      }
      const left = await ours();
      if (left.length > 0) throw new Error(`still there: ${left.join(', ')}`);
      return before.join(', ');
    },
  };
}
