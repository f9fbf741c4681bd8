import { describe, expect, test } from 'bun:test';
import { createConnections, parseMembers, socketFilter } from '../../agent/lease_helper/connections.ts';

const list = (...addresses: string[]) =>
  `ipset> Name: x\nType: hash:ip\nMembers:\n${addresses.map((a) => `${a}\n`).join('')}`;

describe('members', () => {
  test('are read as the kernel lists them, of both families', () => {
    expect(
      parseMembers(`${list('10.0.0.2', '10.0.0.3')}\n${list('fd00::2')}\nipset v7.17, protocol version: 7\n`),
    ).toEqual(['10.0.0.2', '10.0.0.3', 'fd00::2']);
    expect(parseMembers(`${list()}\n${list()}`)).toEqual([]);
  });

  test.each([
    list('10.0.0.2'),
    'ipset v7.17: The set with the given name does not exist\n',
    '',
    `${list('10.0.0')}\n${list()}`,
    `${list('::::')}\n${list()}`,
  ])('that are not understood are unknown, and not none (%#)', (output) => {
    expect(parseMembers(output)).toBeUndefined();
  });
});

describe('the filter', () => {
  test("takes every client port, and of the database's all but members", () => {
    expect(socketFilter([443, 5432], 5432, ['10.0.0.2', 'fd00::2'])).toBe(
      '( sport = :443 or ( sport = :5432 and not dst 10.0.0.2 and not dst [fd00::2] ) )',
    );
  });
  test("without members takes the database's whole port, with unknown ones none of it", () => {
    expect(socketFilter([443, 5432], 5432, [])).toBe('( sport = :443 or ( sport = :5432 ) )');
    expect(socketFilter([443, 5432], 5432, undefined)).toBe('( sport = :443 )');
    expect(socketFilter([5432], 5432, undefined)).toBeUndefined();
  });
});

describe('ending', () => {
  function bench(members: string, answers: readonly { code?: number; stdout?: string; stderr?: string }[]) {
    const calls: (readonly string[])[] = [];
    const log: string[] = [];
    let closed = 0;
    const left = [...answers];
    const connections = createConnections({
      ports: [443, 5432],
      database: 5432,
      pipe: { send: async () => members, close: () => closed++ },
      say: (level, line) => log.push(`${level}: ${line}`),
      ss: async (args) => {
        calls.push(args);
        return { code: 0, stdout: '', stderr: '', duration: 1, ...left.shift() };
      },
    });
    return { connections, calls, log, closed: () => closed };
  }

  test('says how many, and looks whether it was done', async () => {
    const { connections, calls, log } = bench(`${list('10.0.0.2')}\n${list()}`, [
      { stdout: 'a\nb\n' },
      { stdout: 'b\n' },
    ]);
    await connections.end();
    await connections.looked();
    expect(calls.map(([first]) => first)).toEqual(['-K', '-H']);
    expect(calls[1]?.at(-1)).toContain('not dst 10.0.0.2');
    expect(log[0]).toBe('info: 2 connections of clients reset');
    expect(log[1]).toStartWith('error: 1 connections of clients could not be reset');
  });

  test('with unknown members leaves the database alone, and a broken pipe is begun anew', async () => {
    const { connections, calls, closed } = bench('The set with the given name does not exist', []);
    await connections.end();
    expect(calls[0]?.at(-1)).toBe('( sport = :443 )');
    expect(closed()).toBe(1);
  });

  test('that fails is said, and never rejects', async () => {
    const { connections, log } = bench(`${list()}\n${list()}`, [{ code: 1, stderr: 'not permitted' }]);
    await connections.end();
    expect(log).toEqual(['error: resetting the connections of clients: ss: not permitted']);
  });
});
