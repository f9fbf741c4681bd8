import * as v from 'valibot';

type Group<E extends v.ObjectEntries> = v.GenericSchema<
  v.InferInput<v.StrictObjectSchema<E, undefined>>,
  v.InferOutput<v.StrictObjectSchema<E, undefined>>
>;

export const UNKNOWN_KEY = 'unknown key';

const isSection = (input: unknown) => typeof input === 'object' && input !== null && !Array.isArray(input);

/**
 * A section whose unknown keys fail, every one of them: valibot's strictObject reports the first only.
 */
export function group<const E extends v.ObjectEntries>(entries: E): Group<E> {
  const known = Object.keys(entries).join(', ');
  return v.pipe(
    v.custom<Record<string, unknown>>(isSection, 'must be a section of keys and values'),
    v.objectWithRest(entries, v.never(`${UNKNOWN_KEY}; known here: ${known}`)),
  ) as unknown as Group<E>;
}

/** A section that may be left out or left empty: then all its defaults hold. */
export function section<const E extends v.ObjectEntries>(entries: E) {
  return v.nullish(group(entries), {} as never);
}
