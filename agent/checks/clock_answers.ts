/**
 * What chronyc and timedatectl print, read. They are asked with LC_ALL=C. Whatever does not look as it should
 * is null: not known.
 */

export type Tracking =
  /** chrony has no server, or follows this machine's own clock by its setting `local`. */
  | { readonly follows: 'nothing' | 'itself' }
  | {
      readonly follows: 'servers';
      /** How far off, ms, either way. */
      readonly offset: number;
      /** When a server was last heard, ms since 1970. */
      readonly heardAt: number;
      /** Between the last two times, ms. */
      readonly interval: number;
    };

const NUMBER = /^[+-]?\d+(?:\.\d+)?$/;
const numberOf = (text: string | undefined): number => (NUMBER.test(text ?? '') ? Number(text) : Number.NaN);

/**
 * `chronyc -c tracking`: one line. Counted from its end, since one version left out the server's name, the
 * second field.
 */
export function readTracking(text: string): Tracking | null {
  const fields = text.trim().split(',');
  if (fields.length < 13 || fields.length > 14) return null;
  const leap = fields.at(-1) ?? '';
  if (leap === 'Not synchronised') return { follows: 'nothing' };
  if (!/^(?:Normal|Insert second|Delete second)$/.test(leap)) return null;
  // 127.127.1.1, of the local reference.
  if (fields[0]?.toUpperCase() === '7F7F0101') return { follows: 'itself' };
  const [heard, offset, interval] = [fields.at(-11), fields.at(-10), fields.at(-2)].map(
    (field) => numberOf(field) * 1000,
  );
  if (heard === undefined || offset === undefined || interval === undefined) return null;
  if (![heard, offset, interval].every(Number.isFinite)) return null;
  return { follows: 'servers', offset: Math.abs(offset), heardAt: heard, interval };
}

export interface Shown {
  /** The kernel was told so within the last hours, by whatever keeps the clock; null: it is not said. */
  readonly synchronized: boolean | null;
  /** A service that systemd knows as one for the time runs. */
  readonly service: boolean | null;
}

/** `timedatectl show`: lines of NAME=yes or no, among others. */
export function readShown(text: string): Shown {
  const flag = (name: string) => {
    const value = new RegExp(`^${name}=(yes|no)$`, 'm').exec(text)?.[1];
    return value === undefined ? null : value === 'yes';
  };
  return { synchronized: flag('NTPSynchronized'), service: flag('NTP') };
}

const MS_PER_UNIT: Readonly<Record<string, number>> = {
  ...{ us: 0.001, μs: 0.001, µs: 0.001, ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 },
  ...{ w: 604_800_000, month: 2_629_800_000, y: 31_557_600_000 },
};

/**
 * `timedatectl timesync-status`: its line `Offset: +1min 2.5s`, in ms, either way. null also before the first
 * answer of a server.
 */
export function readOffset(text: string): number | null {
  // Otherwise the server is not synchronised itself, or has not answered yet.
  if (!/^ *Leap: (?:normal|last minute .*)$/m.test(text)) return null;
  const said = /^ *Offset: [+-]?(\S.*)$/m.exec(text)?.[1]?.trim();
  if (said === undefined) return null;
  if (said === '0') return 0;
  const parts = said.split(' ').map((part) => {
    const [, count, unit = ''] = /^(\d+(?:\.\d+)?)([a-zμµ]+)$/.exec(part) ?? [];
    return Number(count) * (MS_PER_UNIT[unit] ?? Number.NaN);
  });
  const sum = parts.reduce((all, part) => all + part, 0);
  return Number.isFinite(sum) ? sum : null;
}
