/**
 * The machine under the manager: taken over while it is in a cluster, given back afterwards. Taken means: the
 * distribution's own PostgreSQL unit is stopped and masked, the manager's services no longer start at boot by
 * themselves, and the firewall comes up fenced. Both are idempotent.
 */
import { callTrampoline } from './call.ts';

export interface Machine {
  take(): Promise<void>;
  give(): Promise<void>;
}

/** Where every service is a child of the agent there is nothing to take. */
export const noMachine: Machine = { take: async () => {}, give: async () => {} };

export const systemdMachine: Machine = {
  take: () => callTrampoline('units', 'take'),
  give: () => callTrampoline('units', 'give'),
};
