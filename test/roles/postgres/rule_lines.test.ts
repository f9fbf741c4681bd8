import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConf } from '../../../agent/roles/postgres/manager_conf.ts';
import { keepTaken, ownEntries, ownRules, rulesFile } from '../../../agent/roles/postgres/originals.ts';
import { readRules, tokensOf, withoutFiles } from '../../../agent/roles/postgres/rule_lines.ts';

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'rules-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function put(name: string, text: string): string {
  const path = join(dir, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  return path;
}
const texts = async (path: string, version = 16) =>
  (await readRules(path, version))?.map(({ text }) => text) ?? null;

describe('a configuration file', () => {
  test('is read by the grammar of the server, and what it includes where it says so', () => {
    put('conf.d/b.conf', "port = '2'\n");
    put('conf.d/a.conf', 'port = 1 # first\n');
    put('conf.d/.hidden.conf', 'port = 9\n');
    const main = put(
      'main.conf',
      "Hba_File = '/a ''b''\\\\c' # own\nport 5433\n#port = 1\ninclude_dir 'conf.d'\ninclude_if_exists 'none'\nx.y=on\n",
    );
    const read = readConf(main).map(({ name, value, line }) => [name, value, line]);
    expect(read).toEqual([
      ['hba_file', "/a 'b'\\c", 1],
      ['port', '5433', 2],
      ['port', '1', 1],
      ['port', '2', 1],
      ['x.y', 'on', 6],
    ]);
  });
  test('that includes itself ends', () => {
    expect(readConf(put('loop.conf', "include 'loop.conf'\n"))).toEqual([]);
  });
});

describe('a file of rules', () => {
  test.each([
    ['host all,x "a ""b"" c"  @f # no', ['host', 'all', 'x', 'a "b" c', '@f']],
    ['"#x" "@y"', ['#x', '@y']],
    ['', []],
  ])('%p is split as the server does', (line, words) => {
    expect(tokensOf(line).map(({ text }) => text)).toEqual(words);
  });

  test('files it names by an @ are those beside it; a quoted @ is a name', async () => {
    const path = put('r/hba', 'host @dbs,@/abs all 1.2.3.4/32 md5\nhost "@x" @"two words" all md5\n');
    expect(await texts(path)).toEqual([
      `host @"${dir}/r/dbs",@/abs all 1.2.3.4/32 md5`,
      `host "@x" @"${dir}/r/two words" all md5`,
      '',
    ]);
  });

  test('included ones take the place of their line, from the version on that includes', async () => {
    put('i/d/2.conf', 'two');
    put('i/d/1.conf', 'one @near');
    put('i/d/no.txt', 'no');
    const path = put('i/hba', 'include_dir d\ninclude_if_exists gone\ninclude missing\nlast');
    expect(await texts(path)).toEqual([
      `one @"${dir}/i/d/near"`,
      'two',
      `include "${dir}/i/missing"`,
      'last',
    ]);
    expect((await readRules(path, 16))?.[0]).toMatchObject({ file: join(dir, 'i/d/1.conf'), line: 1 });
    expect((await texts(path, 15))?.[0]).toBe('include_dir d');
  });

  test('a continued line is one, by its first number', async () => {
    const path = put('c/hba', 'local all \\\nall trust\nlast');
    expect(await readRules(path, 14)).toEqual([
      { text: 'local all all trust', file: path, line: 1 },
      { text: 'last', file: path, line: 3 },
    ]);
    expect(await texts(path, 13)).toEqual(['local all \\', 'all trust', 'last']);
  });

  test('for a machine without its files, what they hold is put in', async () => {
    put('w/near', 'b, "c d"\n# note\n@more\n');
    put('w/more', '+e');
    const [line] = (await texts(put('w/hba', 'host a,@near x'))) ?? [];
    expect(withoutFiles(line ?? '')).toBe('host a,b,"c d",+e x');
  });
});

describe("the manager's own rules", () => {
  const o = (data: string, over = {}) => ({
    dataDir: join(dir, data),
    confDir: join(dir, `${data}.conf`),
    ...over,
  });

  test('are those that its settings name, the last word being ALTER SYSTEM, also once that was taken out', () => {
    put('m/PG_VERSION', '15\n');
    put('m/pg_hba.conf', 'usual');
    put('m/own', 'own');
    expect(rulesFile(o('m'), 'hba')?.path).toBe(join(dir, 'm/pg_hba.conf'));
    put('m/postgresql.conf', `hba_file = '${dir}/m/own'\n`);
    expect(rulesFile(o('m'), 'hba')).toEqual({
      path: join(dir, 'm/own'),
      by: `hba_file in ${dir}/m/postgresql.conf, line 1`,
    });
    const last = put('m/last', 'last');
    put('m/postgresql.auto.conf', `# note\nhba_file = '${last}'\nwork_mem = '1MB'\n`);
    expect(rulesFile(o('m'), 'hba')?.path).toBe(last);
    keepTaken(o('m'), [`hba_file = '${last}'`]);
    put('m/postgresql.auto.conf', "work_mem = '1MB'\n");
    expect(rulesFile(o('m'), 'hba')?.path).toBe(last);
    expect(ownEntries(o('m')).filter(({ name }) => name === 'work_mem')).toHaveLength(1);
  });

  test('of a file that is not on this machine are those that the data directory carries', async () => {
    put('j/PG_VERSION', '15\n');
    put('j/pg_hba.conf.of_cluster', 'carried');
    const rules = await ownRules(o('j', { originalHba: '/nowhere/pg_hba.conf' }), 'hba');
    expect(rules?.[0]?.text).toBe('carried');
    expect(await ownRules(o('nothing'), 'hba')).toBeNull();
  });
});
