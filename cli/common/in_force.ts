import type { ConfigurationReport } from '../../agent/api/settings.ts';

/**
 * What of agent.yaml is not in force on this manager, with the next step; empty when all is, and with an
 * older agent.
 */
export const notInForce = (configuration: ConfigurationReport | undefined): string[] =>
  (configuration?.problems ?? []).map(({ what, next }) => `${what}; ${next}`);
