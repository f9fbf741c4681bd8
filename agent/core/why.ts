/** Why a role changes, in the words of the history. Pure. */
import type { Facts } from './facts.ts';

/** Services by their names: which they were cannot be seen any more when somebody reads it. */
export function failed(f: Facts, checks: readonly string[]): string {
  const gone = [...f.services.missing, ...f.services.missingAlways];
  const named = (check: string) =>
    check === 'services' && gone.length > 0 ? `services (${gone.join(', ')})` : check;
  return `${checks.map(named).join(', ')} failed`;
}

export const switchover = ({ request }: Facts): string =>
  `switchover to ${request?.target} requested by ${request?.by}`;
