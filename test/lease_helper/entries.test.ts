import { describe, expect, test } from 'bun:test';
import { createEntries, parseEntries } from '../../agent/lease_helper/entries.ts';

const listed = (...members: string[]) =>
  [
    'ipset> ipset> Name: cloudify-lease',
    'Type: bitmap:port',
    'Members:',
    ...members,
    'ipset> ipset v7.17, protocol version: 7\n',
  ].join('\n');

function pipe(...answers: string[]) {
  const sent: string[][] = [];
  let closed = 0;
  return {
    sent,
    closed: () => closed,
    send: async (commands: readonly string[]) => {
      sent.push([...commands]);
      return answers.shift() ?? '';
    },
    close: () => {
      closed++;
    },
  };
}

describe('entries', () => {
  test('are read back as the kernel lists them', () => {
    expect(parseEntries(listed('443 timeout 3', '5432 timeout 2'))).toEqual(
      new Map([
        [443, 3],
        [5432, 2],
      ]),
    );
    expect(parseEntries(listed())).toEqual(new Map());
    expect(parseEntries('ipset v7.17: The set with the given name does not exist\n')).toBeUndefined();
  });

  test('are all set in one batch, for whole seconds', async () => {
    const to = pipe(listed('443 timeout 3', '5432 timeout 2'));
    await createEntries([443, 5432], to).open(3);
    expect(to.sent).toEqual([
      [
        'add cloudify-lease 443 timeout 3 -exist',
        'add cloudify-lease 5432 timeout 3 -exist',
        'list cloudify-lease',
      ],
    ]);
  });

  test.each([0, 0.5, -1, Number.NaN, Number.POSITIVE_INFINITY])(
    'with a timeout of %p are not set at all',
    async (seconds) => {
      const to = pipe();
      await expect(createEntries([443], to).open(seconds)).rejects.toThrow();
      expect(to.sent).toEqual([]);
    },
  );

  test('that are not all there count as failed', async () => {
    await expect(createEntries([443, 80], pipe(listed('443 timeout 3'))).open(3)).rejects.toThrow('not set');
  });

  test('that last longer than they were set for count as failed', async () => {
    await expect(createEntries([443], pipe(listed('443 timeout 9'))).open(3)).rejects.toThrow('longer');
  });

  test('that stay after they were deleted count as failed', async () => {
    await expect(createEntries([443], pipe(listed('443 timeout 1'))).shut()).rejects.toThrow('not deleted');
  });

  test('of a set that is not there are gone', async () => {
    const absent =
      'ipset v7.17: The set with the given name does not exist\nipset v7.17, protocol version: 7\n';
    await createEntries([443], pipe(absent, absent)).shut();
  });

  test('are asked for again of a new ipset after an error', async () => {
    const to = pipe(
      'ipset v7.17: Internal protocol error\nipset v7.17, protocol version: 7\n',
      listed('443 timeout 3'),
    );
    await createEntries([443], to).open(3);
    expect(to.closed()).toBe(1);
  });
});
