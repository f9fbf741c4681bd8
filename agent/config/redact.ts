import { isSecretKey } from './problems.ts';

export const REDACTED = '[redacted]';

/** A URL's password, wherever it stands in a text. */
const URL_PASSWORD = /([a-z][a-z0-9+.-]*:\/\/[^\s:/@]*):[^\s@/]+@/gi;

/**
 * A copy fit for printing: values of secret keys and passwords inside URLs replaced. Keys count as secret
 * by name (`password`, `token`, ... at the end), so environment variables of services are covered too.
 */
export function redact<T>(value: T): T {
  return redactAny(value) as T;
}

function redactAny(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(URL_PASSWORD, `$1:${REDACTED}@`);
  if (Array.isArray(value)) return value.map(redactAny);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [
      key,
      isSecretKey(key) && child !== undefined && child !== null ? REDACTED : redactAny(child),
    ]),
  );
}
