/** What many runs add up to. */
import type { RunResult } from './run.ts';
import type { Stats } from './world.ts';

export function summary(results: RunResult[], realSeconds: number): string {
  const sum = (of: (r: RunResult) => number) => results.reduce((total, r) => total + of(r), 0);
  const stat = (name: keyof Stats) => sum((r) => r.stats[name]);
  const virtual = sum((r) => r.virtualMs) / 1000;
  const share = (ms: number) => `${(ms / 10 / virtual).toFixed(1)} %`;
  const failed = results.filter((r) => r.violations.length > 0).length;
  return [
    `${results.length} seeds, ${failed} failed; ${virtual.toFixed(0)} virtual s in ${realSeconds.toFixed(1)} s (${(virtual / realSeconds).toFixed(0)} per s), ${sum((r) => r.events)} events`,
    `${stat('faults')} faults, ${stat('takeovers')} failovers, ${stat('handovers')} handovers and releases, ${stat('promotions')} promotions, ${stat('failsafeAsked')} failsafe answers`,
    `${stat('acknowledged')} acknowledgements, ${stat('acknowledgedAlone')} of them while degraded; closed ${share(stat('closedMs'))}, degraded ${share(stat('degradedMs'))} of the time`,
    `two open with an excuse (frozen, killed or hung): ${stat('excusedTwoOpen')}; left to the operator: ${stat('excusedClosed')} (PROTOCOL D.3), ${stat('excusedStrict')} (strict)`,
  ].join('\n');
}
