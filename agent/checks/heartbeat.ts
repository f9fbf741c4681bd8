/** Does the decision loop still go round? */
import { type Check, type CheckResult, fail, pass, type Readers } from './port.ts';

/** `maxAge`: how long ago the last completed tick may be, ms. */
export function heartbeat(readers: Pick<Readers, 'lastBeat'>, now: () => number, maxAge: number): Check {
  return {
    name: 'heartbeat',
    async run(): Promise<CheckResult> {
      if (now() - readers.lastBeat() <= maxAge) return pass('the agent decides in time');
      return fail(`the agent has not decided anything for ${Math.round(maxAge / 1000)} s`);
    },
  };
}
