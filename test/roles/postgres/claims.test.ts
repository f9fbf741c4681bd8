import { expect, test } from 'bun:test';
import { deadline } from '../../../agent/platform/clock.ts';
import { createClaims, OUTDATED, TOO_LATE } from '../../../agent/roles/postgres/claims.ts';

const long = () => deadline(60_000);

test('a later change of the same matter makes the earlier void, and no other', () => {
  const claims = createClaims();
  const follow = claims.take('upstream', long());
  const open = claims.take('fence', long());
  follow.check();
  const cut = claims.take('upstream', null);
  expect(() => follow.check()).toThrow(OUTDATED);
  cut.check();
  open.check();
  claims.take('fence', null);
  expect(() => open.check()).toThrow(OUTDATED);
});

test('what gives is void after its deadline; what shuts is not', () => {
  const claims = createClaims();
  expect(() => claims.take('fence', deadline(0)).check()).toThrow(TOO_LATE);
  claims.take('fence', null).check();
});

test('a write that goes by a matter makes nothing void, and is void by the next change of it', () => {
  const claims = createClaims();
  const cut = claims.take('upstream', null);
  const reserved = claims.under('upstream', long());
  cut.check();
  reserved.check();
  claims.outdate('upstream');
  expect(() => cut.check()).toThrow(OUTDATED);
  expect(() => reserved.check()).toThrow(OUTDATED);
});

test('when whoever asked is gone, what gives is void, what shuts goes on, and the next one begins anew', () => {
  const claims = createClaims();
  const [open, cut] = [claims.take('fence', long()), claims.take('upstream', null)];
  claims.abandon();
  expect(() => open.check()).toThrow('gone');
  cut.check();
  claims.take('fence', long()).check();
});

test('a driver that was replaced writes nothing more, not even what shuts', () => {
  const claims = createClaims();
  const cut = claims.take('upstream', null);
  claims.close();
  expect(() => cut.check()).toThrow('closed');
  expect(() => claims.take('fence', null).check()).toThrow('closed');
});
