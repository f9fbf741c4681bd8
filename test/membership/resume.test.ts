import { expect, test } from 'bun:test';
import { enteringOf } from '../../agent/membership/entering.ts';
import type { Parts } from '../../agent/node/parts.ts';
import type { Membership } from '../../agent/state/identity.ts';

const membership = { entered: true, consulServers: ['10.0.0.2'] } as unknown as Membership;

function bench(reach: () => Promise<void>) {
  const order: string[] = [];
  const parts = {
    config: { consul: { mode: 'systemd' }, host_ip: '10.0.0.1' },
    security: { current: () => undefined },
    reach: () => {
      order.push('members let in');
      return reach();
    },
    consul: { hasData: () => true, start: async () => void order.push('Consul started') },
  } as unknown as Parts;
  const entering = enteringOf({
    become: async () => void order.push('lease renewed'),
    log: { error: () => {}, warn: () => {} },
  } as unknown as Parameters<typeof enteringOf>[0]);
  return { order, resume: () => entering.resume(parts, membership) };
}

test('an agent that comes back begins with what renews its lease, and only then does what takes a while', async () => {
  const { order, resume } = bench(async () => {});
  await resume();
  expect(order).toEqual(['lease renewed', 'members let in', 'Consul started']);
});

test('a call as root that hangs does not hold that up', async () => {
  const { order, resume } = bench(() => new Promise(() => {}));
  void resume();
  await Promise.resolve();
  expect(order[0]).toBe('lease renewed');
});
