import { expect, test } from 'bun:test';
import { checkedAdmission } from '../../agent/peers/admission_reply.ts';

const member = {
  ...{ schema: 1, hostIp: '10.0.0.1', publicIp: null, apiPort: 8700, postgresPort: 5432, version: '0.2.0' },
  options: { priority: 100, nofailover: false, maintenance: false },
};
const good = {
  ...{
    clusterId: 'c',
    incarnation: 1,
    systemId: '7',
    secret: 's',
    consulServers: ['10.0.0.1'],
    gossipKey: null,
  },
  active: { node: 'm1', hostIp: '10.0.0.1', postgresPort: 5432 },
  members: { m1: member },
  security: { later: true },
};

test('an admission as an agent gives it is taken whole', () => {
  expect(checkedAdmission(good)).toEqual(good as never);
});

test.each([
  [{ ...good, active: { ...good.active, hostIp: "10.0.0.1' user='postgres" } }],
  [{ ...good, active: { ...good.active, hostIp: '0.0.0.0/0' } }],
  [{ ...good, active: { ...good.active, node: 'm1"\nx' } }],
  [{ ...good, active: { ...good.active, postgresPort: '5432 sslmode=disable' } }],
  [{ ...good, active: null }],
  [{ ...good, consulServers: '10.0.0.1' }],
  [{ ...good, clusterId: 'a\nb' }],
  [{ ...good, secret: 7 }],
  [{ ...good, members: [] as unknown, incarnation: -1 }],
  [{}],
  [null],
])('%j is refused', (reply) => {
  expect(() => checkedAdmission(reply)).toThrow('the active sent a reply that no agent would send');
});

test('of members, what is no name, no address or no record is let in nowhere', () => {
  const { members, consulServers } = checkedAdmission({
    ...good,
    consulServers: ['10.0.0.1', '', '0.0.0.0/0', 'evil\n'],
    members: {
      m1: member,
      m2: { ...member, hostIp: '' },
      m3: { ...member, hostIp: '::' },
      'm4"': member,
      m5: 7,
    },
  });
  expect(Object.keys(members)).toEqual(['m1']);
  expect(consulServers).toEqual(['10.0.0.1']);
});
