import { expect, test } from 'bun:test';
import { createCa } from '../../agent/platform/tls/ca.ts';
import { seal, unseal } from '../../agent/security/management.ts';

test("what is sealed opens with the authority's key alone, and not when it was altered", async () => {
  const [ca, other] = [await createCa('one'), await createCa('other')];
  const sealed = seal('a token', ca.key);
  expect(unseal(sealed, ca.key)).toBe('a token');
  expect(seal('a token', ca.key)).not.toBe(sealed);
  expect(unseal(sealed, other.key)).toBeUndefined();
  const altered = `${sealed.slice(0, -4)}${sealed.at(-4) === 'A' ? 'B' : 'A'}${sealed.slice(-3)}`;
  for (const wrong of [altered, sealed.slice(0, 30), '', 'no base64 at all'])
    expect(unseal(wrong, ca.key)).toBeUndefined();
});
