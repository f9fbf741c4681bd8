/** Taking the machine's services over from the boot, and giving them back as they were. */
import { type Failure, failureOf } from './failure.ts';
import type { RootPolicy } from './policy.ts';
import type { Root } from './root.ts';

/** How a unit was found. Words are systemd's own. */
interface Before {
  /** UnitFileState: enabled, disabled, static, masked, ... */
  readonly file: string;
  readonly active: boolean;
}
type Found = Readonly<Record<string, Before>>;

/** Stopping a database may take a checkpoint's time, ms. */
const STOP_LIMIT = 120_000;

const installed = (before: Before | undefined): boolean => before !== undefined && before.file !== '';

function look(unit: string, root: Root): Before {
  const { stdout } = root.run('systemctl', ['show', '--property=UnitFileState,ActiveState', '--', unit]);
  const field = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(stdout)?.[1] ?? '';
  return {
    file: field('UnitFileState'),
    active: /^(active|activating|reloading)$/.test(field('ActiveState')),
  };
}

/** What is noted first counts: a second `take` finds its own work. */
function found(policy: RootPolicy, root: Root): Found {
  const kept = root.kept.read();
  if (kept !== undefined) return JSON.parse(kept) as Found;
  const units = [...policy.distributionUnits, ...policy.managerUnits, policy.bootUnit];
  const now = Object.fromEntries(units.map((unit) => [unit, look(unit, root)]));
  root.kept.write(`${JSON.stringify(now, null, 2)}\n`);
  return JSON.parse(root.kept.read() ?? '{}') as Found;
}

/** Runs each, whatever becomes of the others; the failures in one text. */
function each(units: readonly string[], act: (unit: string) => Failure): Failure {
  const failures = units.flatMap((unit) => {
    const failure = act(unit);
    return failure === undefined ? [] : [`${unit}: ${failure}`];
  });
  return failures.length === 0 ? undefined : failures.join('; ');
}

const joined = (...failures: Failure[]): Failure => failures.filter(Boolean).join('; ') || undefined;

/**
 * Masks and stops the distribution's units, disables the manager's own (they go on running) and enables the
 * boot's firewall. May be repeated.
 */
export function takeUnits(policy: RootPolicy, root: Root): Failure {
  const before = found(policy, root);
  const systemctl = (...args: string[]) => failureOf(root.run('systemctl', args, { limit: STOP_LIMIT }));
  const here = (units: readonly string[]) => units.filter((unit) => installed(before[unit]));
  return joined(
    // Masked first: between the two nothing can start it.
    each(here(policy.distributionUnits), (unit) => systemctl('mask', '--', unit)),
    each(here(policy.distributionUnits), (unit) => systemctl('stop', '--', unit)),
    each(here(policy.managerUnits), (unit) => systemctl('disable', '--', unit)),
    each(here([policy.bootUnit]), (unit) => systemctl('enable', '--now', '--', unit)),
  );
}

/** Everything as `take` found it; nothing to do when it never ran. The note is removed once all is done. */
export function giveUnits(policy: RootPolicy, root: Root): Failure {
  const kept = root.kept.read();
  if (kept === undefined) return undefined;
  const before = JSON.parse(kept) as Found;
  const systemctl = (...args: string[]) => failureOf(root.run('systemctl', args, { limit: STOP_LIMIT }));
  const was = (test: (one: Before) => boolean, units: readonly string[] = Object.keys(before)) =>
    units.filter((unit) => installed(before[unit]) && test(before[unit] as Before));
  const masked = (one: Before) => one.file.startsWith('masked');
  const enabled = (one: Before) => one.file === 'enabled';
  const failure = joined(
    // The distribution's server cannot start on a data directory that is in use.
    each([policy.postgresUnit], (unit) => systemctl('stop', '--', unit)),
    each(
      was((one) => !masked(one), policy.distributionUnits),
      (unit) => systemctl('unmask', '--', unit),
    ),
    systemctl('daemon-reload'),
    each(was(enabled), (unit) => systemctl('enable', '--', unit)),
    each(
      was((one) => one.file === 'disabled', [policy.bootUnit]),
      (unit) => systemctl('disable', '--now', '--', unit),
    ),
    each(
      was((one) => one.active && !masked(one), [...policy.distributionUnits, ...policy.managerUnits]),
      (unit) => systemctl('start', '--', unit),
    ),
  );
  if (failure === undefined) root.kept.remove();
  return failure;
}
