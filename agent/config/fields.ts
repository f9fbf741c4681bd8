import { BlockList, isIP } from 'node:net';
import * as v from 'valibot';

/**
 * The field types of agent.yaml. Messages say what would be right, in the form "must be ..."; the path
 * is added where errors are printed (problems.ts).
 */

const DURATION = /^(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)$/;
const MS_PER_UNIT: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const BYTES = /^(\d+(?:\.\d+)?)\s*(B|kB|MB|GB|TB)$/;
const BYTES_PER_UNIT: Record<string, number> = {
  B: 1,
  kB: 1024,
  MB: 1024 ** 2,
  GB: 1024 ** 3,
  TB: 1024 ** 4,
};

/** A number is seconds; a string carries its unit. Returns milliseconds, or undefined if it is neither. */
export function parseDuration(input: unknown): number | undefined {
  if (typeof input === 'number')
    return Number.isFinite(input) && input >= 0 ? Math.round(input * 1000) : undefined;
  if (typeof input !== 'string') return undefined;
  const match = DURATION.exec(input.trim());
  return match ? Math.round(Number(match[1]) * (MS_PER_UNIT[match[2] ?? ''] ?? Number.NaN)) : undefined;
}

/** A number is bytes; strings use PostgreSQL's units (powers of 1024). Undefined if it is neither. */
export function parseBytes(input: unknown): number | undefined {
  if (typeof input === 'number') return Number.isSafeInteger(input) && input >= 0 ? input : undefined;
  if (typeof input !== 'string') return undefined;
  const match = BYTES.exec(input.trim());
  return match ? Math.round(Number(match[1]) * (BYTES_PER_UNIT[match[2] ?? ''] ?? Number.NaN)) : undefined;
}

const DURATION_HINT = "must be a number of seconds or a text with a unit, like '500ms', '4s' or '10min'";
const BYTES_HINT = "must be a number of bytes or a text with a unit, like '16MB' or '10GB'";

function converted<T extends number | string>(parse: (input: unknown) => T | undefined, hint: string) {
  return v.pipe(
    v.custom<T | string>((input) => parse(input) !== undefined, hint),
    v.transform((input) => parse(input) as T),
  );
}

/** Seconds or text in the file, milliseconds in the parsed config. May be 0. */
export const duration = () => converted<number>(parseDuration, DURATION_HINT);

/** A duration above zero. */
export const positiveDuration = () => v.pipe(duration(), v.minValue(1, 'must be longer than 0'));

/** Bytes or text in the file, bytes in the parsed config. */
export const bytes = () => converted<number>(parseBytes, BYTES_HINT);

export const text = () =>
  v.pipe(
    v.string('must be a text'),
    v.nonEmpty('must not be empty'),
    v.regex(/^[^\0\r\n]*$/, 'must be one line'),
  );

export const flag = () => v.boolean('must be true or false');

export const integer = (min: number, max: number) => {
  const hint = `must be a whole number from ${min} to ${max}`;
  return v.pipe(v.number(hint), v.integer(hint), v.minValue(min, hint), v.maxValue(max, hint));
};

export const number = (min: number, max: number) => {
  const hint = `must be a number from ${min} to ${max}`;
  return v.pipe(v.number(hint), v.minValue(min, hint), v.maxValue(max, hint));
};

export const port = () => integer(1, 65_535);

export const choice = <const T extends readonly string[]>(options: T) =>
  v.picklist(options, `must be one of ${options.join(', ')}`);

/**
 * Units, sudo's rules, mount options and connection strings read these their own way; blanks and the rest are
 * quoted for them.
 */
const UNQUOTABLE = /["\\$%:`\p{Cc}\p{Zl}\p{Zp}]| $/u;

export const absolutePath = () =>
  v.pipe(
    v.string('must be an absolute path'),
    v.regex(/^\//, 'must be an absolute path'),
    v.transform((path) => (path.length > 1 ? path.replace(/(?<=.)\/+$/, '') : path)),
    v.check(
      (path) => !UNQUOTABLE.test(path),
      'must be a path without " \\ $ % : ` and line ends, and without a blank at its end',
    ),
  );

/** Of a program that sudo runs: its rules give more characters a meaning. */
export const programPath = () =>
  v.pipe(
    absolutePath(),
    v.regex(/^[\w./@+, -]*$/, 'must be a path of letters, digits, blanks and . _ - / @ + and commas'),
  );

/** Of a Unix socket of PostgreSQL's: a list of them, to the server and to its clients, is split at commas. */
export const socketFolder = () =>
  v.pipe(absolutePath(), v.regex(/^[^,]*$/, 'must be one folder, without a comma in its name'));

export const ipAddress = () =>
  v.pipe(
    v.string('must be an IP address'),
    v.check((input) => isIP(input) !== 0, 'must be an IP address, like 10.0.0.11'),
  );

/**
 * Network, its first address, bits. Nobody's address: a whole network's, a group's, reserved, or without a
 * meaning off one cable.
 */
const NOBODYS = [
  ['0.0.0.0', 8],
  ['224.0.0.0', 3],
  ['::', 128],
  ['fe80::', 10],
  ['ff00::', 8],
] as const;

const blocked = (networks: readonly (readonly [string, number])[]): BlockList => {
  const list = new BlockList();
  for (const [address, bits] of networks)
    list.addSubnet(address, bits, address.includes(':') ? 'ipv6' : 'ipv4');
  return list;
};
const nobodys = blocked(NOBODYS);
const groups = blocked(NOBODYS.slice(1).filter(([address]) => address !== '::'));
/** An IPv4 address in IPv6's clothes: the same machine under two names. */
const mapped = blocked([['::ffff:0:0', 96]]);

const within = (list: BlockList, address: string): boolean =>
  isIP(address) !== 0 && list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

/**
 * That of one machine, as others can reach it. Loopback is in it: whether that will do, the rest of the file
 * says.
 */
export const isOneMachines = (address: string): boolean =>
  !address.includes('%') && !within(nobodys, address) && !(isIP(address) === 6 && within(mapped, address));

/** An address to listen on: one of this machine's, or all of them. */
export const listenAddress = () =>
  v.pipe(
    ipAddress(),
    v.check(
      (address) => !address.includes('%') && !within(groups, address),
      'must be an address of this machine, like 10.0.0.11, or 0.0.0.0 or :: for all of them',
    ),
  );

/** A node's name ends up in host names, Consul keys and (changed) in slot names: keep to what all accept. */
export const nodeName = () =>
  v.pipe(
    v.string('must be a text'),
    v.regex(
      /^[a-z0-9](?:[a-z0-9_-]{0,48}[a-z0-9])?$/i,
      'must be 1 to 50 letters, digits, - or _, with a letter or digit at both ends',
    ),
  );

/** An SQL or Unix name that never needs quoting. */
export const identifier = () =>
  v.pipe(
    v.string('must be a name'),
    v.regex(/^[a-z_][a-z0-9_]{0,62}$/, 'must be lower-case letters, digits and _'),
  );

export const unixName = () =>
  v.pipe(
    v.string('must be a name'),
    v.regex(/^[a-z_][a-z0-9_-]{0,31}$/, 'must be lower-case letters, digits, - and _'),
  );

export const strings = () => v.array(text(), 'must be a list');

export const stringMap = () =>
  v.pipe(
    v.record(
      v.string(),
      v.union([v.string(), v.number(), v.boolean()], 'must be a text, a number or true/false'),
      'must be a section of names and values',
    ),
    v.transform((map) => Object.fromEntries(Object.entries(map).map(([key, value]) => [key, String(value)]))),
  );
