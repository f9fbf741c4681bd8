import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pairProblem, wrongSsl } from '../../../agent/roles/postgres/ssl_files.ts';
import { createCa, nodeTls } from '../../fixtures/certificates.ts';

describe("the server's certificate and key", () => {
  let dir = '';
  let one: { cert: string; key: string };
  let other: { cert: string; key: string };
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'ssl-'));
    const ca = await createCa('test');
    one = await nodeTls(ca, 'a', '127.0.0.9');
    other = await nodeTls(ca, 'b', '127.0.0.9');
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  const conf = (values: Record<string, string>) =>
    Object.entries(values).map(([name, value], at) => ({ name, value, file: '/c', line: at + 1 }));
  const put = (name: string, text: string) => {
    writeFileSync(join(dir, name), text, { mode: 0o600 });
    chmodSync(join(dir, name), 0o600);
  };
  const whats = (values: Record<string, string>) => wrongSsl(dir, conf(values)).map(({ what }) => what);

  test('belong together, or it is said why not', () => {
    expect(pairProblem(one.cert, one.key)).toBeNull();
    expect(pairProblem(one.cert, other.key)).toBe('the key does not belong to the certificate');
    expect(pairProblem('none', other.key)).toBe('the certificate cannot be read');
    expect(pairProblem(one.cert, 'none')).toBe('the key cannot be read');
  });

  test('are looked at where the manager has ssl on, in the data directory unless it says where', () => {
    expect(whats({})).toEqual([]);
    expect(whats({ ssl: 'off' })).toEqual([]);
    expect(whats({ ssl: 'on' })[0]).toContain('server.crt');
    put('server.crt', one.cert);
    put('server.key', other.key);
    expect(whats({ ssl: 'yes' })).toEqual([
      `the server does not start with ssl in /c, line 1: the key does not belong to the certificate (${dir}/server.crt, ${dir}/server.key)`,
    ]);
    put('own.key', one.key);
    expect(whats({ ssl: 'on', ssl_key_file: 'own.key' })).toEqual([]);
    chmodSync(join(dir, 'own.key'), 0o644);
    expect(whats({ ssl: 'on', ssl_key_file: join(dir, 'own.key') })[0]).toContain('can be read by others');
  });
});
