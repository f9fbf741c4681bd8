/** `systemd-analyze security` of the units that install wrote: 0 is shut, 10 is open. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from './machine.ts';

/** None of ours is above, and none above what docs/machine.md says of it. */
const HIGHEST = 4.9;

/** By unit, from the table in docs/machine.md. */
export function documented(): Map<string, number> {
  const text = readFileSync(join(import.meta.dirname, '../../docs/machine.md'), 'utf8');
  return new Map(
    [...text.matchAll(/^\| (cloudify-[\w-]+@?) \| (\d+\.\d) \|/gm)].map(([, name, number]) => [
      `${name}.service`,
      Number(number),
    ]),
  );
}

/** Unit and number, as `systemd-analyze` prints them. */
export const parseExposure = (text: string): [unit: string, number: number][] =>
  [...text.matchAll(/Overall exposure level for (\S+\.service): (\d+(?:\.\d+)?)/g)].map(
    // Of a template it looks at an instance that it makes up.
    ([, unit = '', number]) => [unit.replace(/@.*\.service$/, '@.service'), Number(number)],
  );

/** Above the limits; one that is not documented is named too. */
export const tooOpen = (seen: readonly (readonly [string, number])[], limits = documented()): string[] =>
  seen
    .filter(([unit, number]) => number > Math.min(HIGHEST, limits.get(unit) ?? -1))
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
