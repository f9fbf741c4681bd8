/** Carries changes out, in their order. */
import type { Change } from './diff.ts';
import type { Hand } from './machine.ts';
import { UNIT_DIR } from './names.ts';
import type { Wanted } from './wanted.ts';

const isUnitFile = ({ wanted }: Change): boolean =>
  wanted.kind === 'file' && wanted.path.startsWith(`${UNIT_DIR}/`);

const verbOf = (what: string): string =>
  (['enable', 'disable', 'restart', 'start'] as const).find((verb) => what.startsWith(`is to be ${verb}`)) ??
  '';

/**
 * Stops at the first that fails; what was done stays, and the next run does the rest. `did` hears of each.
 */
export async function applyChanges(
  changes: readonly Change[],
  hand: Hand,
  did: (change: Change) => void,
): Promise<void> {
  let reload = changes.some(isUnitFile);
  const done = new Set<Wanted>();
  for (const change of changes) {
    const { wanted } = change;
    if (wanted.kind === 'unit') {
      if (reload) await hand.run(['systemctl', 'daemon-reload']);
      reload = false;
      await hand.run(['systemctl', '--quiet', verbOf(change.what), wanted.name], 120_000);
    } else if (!done.has(wanted)) {
      await hand.make(wanted);
      done.add(wanted);
    }
    did(change);
  }
  if (reload) await hand.run(['systemctl', 'daemon-reload']);
}
