/** What is said before anything else when this manager hears nothing of the cluster. */

import type { Outage } from '../../agent/api/status.ts';
import type { NodeRow } from '../../agent/api/types.ts';
import { duration, time } from '../common/format.ts';

/** '' where Consul answers, or an older agent does not tell. */
export function outageText(outage: Outage | null | undefined): string {
  if (outage == null) return '';
  const since =
    outage.since === null
      ? `Consul has not answered since the agent was started, ${duration(outage.silent_for)} ago`
      : `Consul last answered at ${time(outage.since)}, ${duration(outage.silent_for)} ago`;
  return `${[outage.message, ...[since, ...outage.notes].map((note) => `  ${note}`)].join('\n')}\n`;
}

/** '' for a node that speaks. */
export function lastWord({ silent, silent_for, last_word }: NodeRow): string {
  if (silent !== true) return '';
  if (silent_for == null || last_word == null) return 'never';
  return `${duration(silent_for)} ago`;
}
