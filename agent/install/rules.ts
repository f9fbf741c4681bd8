/** What other parts render: the trampoline's policy, the firewall's rules and the unit that applies them at boot. */
import type { Config } from '../config.ts';
import { renderPolicy } from '../trampoline/policy.ts';
import type { Machine } from './machine.ts';
import { POLICY_FILE } from './names.ts';
import type { Step } from './steps.ts';
import { rootFile, type WantedFile } from './wanted.ts';

export interface ClusterRules {
  readonly files: readonly WantedFile[];
  /** Undefined: no firewall. */
  readonly bootUnit: string | undefined;
}

export function clusterRules(config: Config): ClusterRules {
  return { files: [rootFile(POLICY_FILE, renderPolicy(config))], bootUnit: undefined };
}

/** Our chains, what jumps to them, and our sets; nothing else of the machine's rules. */
export function removeRules(_config: Config, _machine: Machine): Step {
  return { what: "remove the cluster's firewall rules", needed: () => undefined, act: async () => undefined };
}
