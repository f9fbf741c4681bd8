/** Nothing is founded or joined by an agent whose user others are too: they would own the cluster. */
import type { Config } from '../config/index.ts';
import { sharedUser } from '../install/own_user.ts';
import { realTenants } from '../install/real_tenants.ts';

/** Throws operator `user_shared`. Not where there are no units: there the agent is whoever starts it. */
export function refuseSharedUser(
  { driver, user, paths }: Pick<Config, 'driver' | 'user' | 'paths'>,
  look: typeof realTenants = realTenants,
): void {
  if (driver !== 'systemd') return;
  const reasons = look(user, paths.executable);
  if (reasons.length === 0) return;
  throw sharedUser(
    `${user} is not the agent's alone: ${reasons.join('; ')}`,
    "run 'agent install' as root: it gives the agent a user of its own",
  );
}
