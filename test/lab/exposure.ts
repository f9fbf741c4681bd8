/** `systemd-analyze security` of the units that install wrote: 0 is shut, 10 is open. */
import type { Machine } from './machine.ts';

/** None of ours is above, but those that call sudo: what forbids that is half of the count (docs/machine.md). */
export const HIGHEST = 4.9;
export const HIGHEST_WITH_SUDO: Readonly<Record<string, number>> = {
  'cloudify-agent.service': 7.2,
  'cloudify-postgres-helper.service': 6.6,
};

/** Unit and number, as `systemd-analyze` prints them. */
export const parseExposure = (text: string): [unit: string, number: number][] =>
  [...text.matchAll(/Overall exposure level for (\S+\.service): (\d+(?:\.\d+)?)/g)].map(
    ([, unit = '', number]) => [unit, Number(number)],
  );

export const tooOpen = (seen: readonly (readonly [string, number])[]): string[] =>
  seen
    .filter(([unit, number]) => number > (HIGHEST_WITH_SUDO[unit] ?? HIGHEST))
    .map(([unit, number]) => `${unit} ${number}`);

/** Of every unit of ours that is there; throws when none could be looked at. */
export async function exposure(vm: Machine): Promise<[string, number][]> {
  const text = await vm.must(
    'for unit in $(ls /etc/systemd/system | grep "^cloudify-.*service$"); do systemd-analyze security --no-pager $unit | tail -n 1; done',
    { timeout: 60_000 },
  );
  const seen = parseExposure(text);
  if (seen.length === 0) throw new Error(`no exposure: ${text}`);
  return seen;
}
