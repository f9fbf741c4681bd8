import { expect, test } from 'bun:test';
import { certifyPostgres } from '../../agent/security/door.ts';

test('a renewal and a changed list at once come to PostgreSQL one after the other, each with the certificates of its turn', async () => {
  let certPem = 'old';
  const set: string[] = [];
  let under = 0;
  const pg = {
    async setCertificates({ certPem: shown, members }: { certPem: string; members: readonly string[] }) {
      under++;
      // As PostgreSQL's driver does: what is asked for later makes the earlier void.
      await new Promise((done) => setTimeout(done, 5));
      if (under > 1) return { kind: 'failed', why: 'something later was requested meanwhile' } as const;
      under--;
      set.push(`${shown} ${members.join()}`);
      if (members.includes('refused')) return { kind: 'failed', why: 'no' } as const;
      return { kind: 'done' } as const;
    },
  };
  const taken: string[] = [];
  const security = {
    current: () => ({ postgres: { certPem } }) as never,
    taken: ({ postgres }: { postgres: { certPem: string } }) => void taken.push(postgres.certPem),
  };
  const first = certifyPostgres(pg, security, ['a']);
  const second = certifyPostgres(pg, security, ['a', 'refused']).catch(({ code }) => code);
  certPem = 'new';
  const third = certifyPostgres(pg, security, ['a', 'b']);
  expect(await Promise.all([first, second, third])).toEqual([undefined, 'certificates_not_set', undefined]);
  expect(set.map((one) => one.split(' ')[1])).toEqual(['a', 'a,refused', 'a,b']);
  expect(set.at(-1)).toBe('new a,b');
  expect(taken.at(-1)).toBe('new');
});
