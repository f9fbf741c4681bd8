/**
 * What request bodies must look like. Whatever else comes is refused with the path and what would be right.
 */
import type { Context } from 'hono';
import * as v from 'valibot';
import { choice, flag, integer, nodeName, number, port, positiveDuration, text } from '../config/fields.ts';
import { group } from '../config/group.ts';
import { deviceId, hash, memberAddress, shortText, versionText } from '../config/member.ts';
import { problemLine, problemsOf } from '../config/problems.ts';
import { AgentError, messageOf } from '../errors.ts';
import { bodyText } from './guards.ts';

const settings = () =>
  v.optional(v.record(v.string(), v.unknown(), 'must be an object of names and values'), {});

const pem = () => v.pipe(v.string('must be a text'), v.maxLength(8192, 'must be at most 8192 characters'));
const milliseconds = () => integer(1, 86_400_000);

/** Ids become part of keys in Consul: nothing but these. */
export const tokenId = () =>
  v.pipe(v.string('must be a text'), v.regex(/^[a-f0-9]{8}$/, 'must be 8 hexadecimal digits'));
const tokenSecret = () =>
  v.pipe(v.string('must be a text'), v.regex(/^[A-Za-z0-9_-]{43}$/, 'must be 43 letters, digits, - or _'));

const startEntries = {
  hostIp: v.optional(memberAddress()),
  nodeName: v.optional(nodeName()),
  publicIp: v.optional(shortText()),
  options: settings(),
};

const addresses = () =>
  v.pipe(
    v.array(shortText(), 'must be a list of addresses'),
    v.maxLength(32, 'must be at most 32 addresses'),
    v.minLength(1, 'must name at least one manager of the cluster'),
  );

export const startBody = group(startEntries);
export const joinBody = group({ ...startEntries, addresses: addresses(), token: v.optional(shortText()) });
export const setActiveBody = group({ node: nodeName(), timeout: v.optional(positiveDuration(), '60s') });
export const pauseBody = group({ for: v.optional(v.nullable(positiveDuration()), null) });
export const nodeChangeBody = v.pipe(
  group({
    priority: v.optional(integer(0, 1000)),
    nofailover: v.optional(flag()),
    maintenance: v.optional(flag()),
  }),
  v.check((change) => Object.keys(change).length > 0, 'must change something'),
);
export const leaseBody = v.pipe(
  group({
    preset: v.optional(choice(['default', 'fast'])),
    multiplier: v.optional(number(1, 20)),
    retryPeriod: v.optional(positiveDuration()),
    renewDeadline: v.optional(positiveDuration()),
    leaseDuration: v.optional(positiveDuration()),
    fencingTime: v.optional(positiveDuration()),
  }),
  v.check((change) => Object.keys(change).length > 0, 'must change something'),
);
export const nothingBody = group({});
export const authorityBody = group({ hold: v.optional(flag(), false) });
/** A secret that lets a manager in is not left lying about. */
const LONGEST_TOKEN = 24 * 3_600_000;
const tokenLife = () =>
  v.pipe(positiveDuration(), v.maxValue(LONGEST_TOKEN, 'must be at most 24h (86400000 ms)'));
export const tokenBody = group({ ttl: v.optional(tokenLife(), '1h') });

export const voteBody = group({ index: integer(0, Number.MAX_SAFE_INTEGER), candidate: nodeName() });
export const failsafeBody = group({
  holder: nodeName(),
  instance: shortText(),
  epoch: integer(0, Number.MAX_SAFE_INTEGER),
});
export const enrolBody = group({ node: nodeName() });
export const admitBody = group({
  nodeName: nodeName(),
  hostIp: memberAddress(),
  publicIp: v.nullable(shortText()),
  apiPort: port(),
  postgresPort: port(),
  version: versionText(),
  priority: integer(0, 1000),
  nofailover: flag(),
  deviceId: v.optional(deviceId()),
  security: v.optional(
    group({
      token: group({ id: tokenId(), secret: tokenSecret() }),
      requests: group({ agent: pem(), consul: pem(), postgres: pem() }),
      proof: hash(),
      consulToken: v.pipe(text(), v.uuid('must be a UUID')),
    }),
  ),
  lease: group({
    retryPeriod: milliseconds(),
    renewDeadline: milliseconds(),
    leaseDuration: milliseconds(),
  }),
});

// Clients of Cloudify 4.x send more than we use: what is unknown is passed over.
const cfyStart = { host_ip: memberAddress(), node_name: nodeName(), options: settings() };
export const cfyStartBody = v.object(cfyStart);
export const cfyJoinBody = v.object({
  ...cfyStart,
  join_addrs: addresses(),
  credentials: v.optional(v.unknown()),
});
export const cfyOptionsBody = v.object({ options: nodeChangeBody });
export const cfyMasterBody = v.object({ master: nodeName() });

/** In a path. */
export const nameInPath = nodeName();
export const idInPath = tokenId();

export const logLimit = v.pipe(v.string(), v.transform(Number), integer(1, 1_000_000));
export const logFollow = choice(['0', '1', 'false', 'true']);

const refused = (message: string): AgentError =>
  new AgentError({ class: 'usage', code: 'bad_request', message });

/** Checks any input. Throws usage `bad_request` with every problem. */
export function check<S extends v.GenericSchema>(schema: S, input: unknown, what: string): v.InferOutput<S> {
  const parsed = v.safeParse(schema, input);
  if (parsed.success) return parsed.output;
  const problems = problemsOf(parsed.issues).map(problemLine);
  throw refused(`${what}: ${problems.join('; ')}`);
}

/** The body as JSON; an empty one counts as `{}`. Throws usage `bad_request`. */
export async function readJson(c: Context): Promise<unknown> {
  const body = await bodyText(c);
  if (body.trim() === '') return {};
  try {
    return JSON.parse(body) as unknown;
  } catch (cause) {
    throw refused(`the body is not JSON: ${messageOf(cause)}`);
  }
}

export const readBody = async <S extends v.GenericSchema>(c: Context, schema: S): Promise<v.InferOutput<S>> =>
  check(schema, await readJson(c), 'the body');

/** The object without the keys whose value is undefined: what exactOptionalPropertyTypes asks for. */
export function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as never;
}
