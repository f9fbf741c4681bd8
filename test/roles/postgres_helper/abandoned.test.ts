/** Calls that hang in the helper when their agent goes: what would give is given up with it. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { eventually, type Stage, stage } from './fake.ts';

const from = { node: 'n2', host: '10.0.0.2', port: 5432 };

let s: Stage;
let goOn: () => void;
beforeEach(async () => {
  s = await stage();
  const { promise, resolve } = Promise.withResolvers<void>();
  s.driver.hold = promise;
  goOn = resolve;
});
afterEach(async () => {
  goOn();
  await s.end();
});

const asked = (name: string) => eventually(name, () => s.driver.calls.some(([called]) => called === name));

test('the driver is told when an agent goes, before the next one is let in', async () => {
  const first = s.agent();
  const follow = first.setUpstream(from, 60_000);
  await asked('setUpstream');
  const before = s.driver.abandoned;
  await first.close();
  expect(await follow).toMatchObject({ kind: 'failed' });
  await eventually('it is told', () => s.driver.abandoned > before);
});

test('an agent that takes the place of another abandons what that one asked for, before any call of its own', async () => {
  const first = s.agent();
  void first.promote(60_000);
  await asked('promote');
  const before = s.driver.abandoned;
  const second = s.agent();
  void second.fence(60_000);
  await asked('fence');
  expect(s.driver.abandoned).toBeGreaterThan(before);
});

test('a helper that ends lets nothing be written any more', async () => {
  void s.agent().unfence(60_000);
  await asked('unfence');
  const before = s.driver.abandoned;
  await s.helper.close();
  expect(s.driver.abandoned).toBeGreaterThan(before);
  await s.restart().catch(() => {});
});
