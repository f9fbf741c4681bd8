/**
 * Input: a database with tablespaces (a mount point, a folder that is not there yet, an in-place one); more
 *        of them made later, one where the standby's user may make the folder and one where not; folders that
 *        are somebody else's, or another server's on this machine.
 * Right: a join, reinit, rewind and wipe take them along, mount points stay, nobody else's file is touched; a
 *        standby that lacks a folder makes it and goes on, or says which, and what to do.
 * Source: reports on standbys that died of CREATE TABLESPACE for good, and on copies that wrote into the
 *        primary's own folders.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { mountPoints } from '../../agent/platform/mounts.ts';
import { exchange } from '../../agent/roles/postgres/exchange.ts';
import { dataState } from '../../agent/roles/postgres/facts.ts';
import { pathsIn } from '../../agent/roles/postgres/lacking_space.ts';
import { hasMark } from '../../agent/roles/postgres/marks.ts';
import { placeOf } from '../../agent/roles/postgres/place.ts';
import { dataFindings } from '../../agent/roles/postgres/preflight.ts';
import { relink, stage, stagedIn, wipeSpaces } from '../../agent/roles/postgres/tablespace_folders.ts';
import { spacesOf, versionFolder } from '../../agent/roles/postgres/tablespaces.ts';
import { canIsolate, runIsolated } from '../fixtures/isolated.ts';
import {
  createGroup,
  eventually,
  findBinDir,
  freePort,
  joinStandby,
  type TestGroup,
  type TestServer,
} from '../fixtures/postgres.ts';

const WORLD = 'TABLESPACES_TEST_WORLD';
const PORT = 'TABLESPACES_TEST_PORT';
const world = process.env[WORLD];
const bin = findBinDir();
const HOST = '127.0.0.50';
const own = { kind: 'done' } as const;
const none = new AbortController().signal;
const quiet = () => {};

/**
 * Two machines in small: the active runs in one mount namespace, all else in another, and below `disks` each
 * of them has filesystems of its own under the same names.
 */
const PREPARE = `set -e
cd "$1"
as() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
disks() {
  for name in mounted plain shut data steps; do mkdir -p "disks/$name"; mount -t tmpfs -o size=300m test "disks/$name"; done
  for name in mounted plain shut data steps; do chown postgres:postgres "disks/$name"; chmod 0700 "disks/$name"; done
}
mkdir p; chown postgres:postgres p .
disks
as mkdir -m 0700 disks/plain/made disks/plain/meanwhile disks/plain/later disks/shut/gate
as "$2/initdb" -D p/data -U postgres -A trust --no-sync >p/initdb.log
as tee -a p/data/postgresql.conf >p/tee.log <<END
listen_addresses = '${HOST}'
port = $3
unix_socket_directories = '$1/p'
wal_log_hints = on
wal_keep_size = '128MB'
fsync = off
shared_buffers = '16MB'
END
printf 'host all all 127.0.0.0/8 trust\\nhost replication all 127.0.0.0/8 trust\\n' >>p/data/pg_hba.conf
as "$2/pg_ctl" -D p/data -w -s -l p/log start
export -f as disks
exec unshare -m --propagation private bash -c 'set -e; cd "$1"; disks; shift 3; exec setpriv --reuid=postgres --regid=postgres --clear-groups "$@"' bash "$@"`;

const postmasterOf = (dir: string): number =>
  Number.parseInt(readFileSync(join(dir, 'p', 'data', 'postmaster.pid'), 'utf8'), 10);

if (world === undefined) {
  test.skipIf(!canIsolate)(
    'in two mount namespaces, as user postgres',
    async () => {
      const dir = mkdtempSync(join(tmpdir(), 'agent-tablespaces-'));
      chmodSync(dir, 0o755);
      const port = await freePort(HOST);
      try {
        runIsolated(import.meta.path, PREPARE, [dir, bin, `${port}`], { [WORLD]: dir, [PORT]: `${port}` });
      } finally {
        if (existsSync(join(dir, 'p', 'data', 'postmaster.pid'))) process.kill(postmasterOf(dir), 'SIGKILL');
        rmSync(dir, { recursive: true, force: true });
      }
    },
    300_000,
  );
} else {
  const disk = (...parts: string[]) => join(world, 'disks', ...parts);
  const upstream = { node: 'p', host: HOST, port: Number(process.env[PORT]) };
  const files = (dir: string) => readdirSync(dir).sort();

  /** On the active. */
  function sql(text: string): string {
    const args = ['-h', HOST, '-p', `${upstream.port}`, '-U', 'postgres', '-d', 'postgres'];
    const ran = spawnSync(join(bin, 'psql'), ['-XAtq', '-v', 'ON_ERROR_STOP=1', ...args], {
      encoding: 'utf8',
      input: text,
    });
    if (ran.status !== 0) throw new Error(`${text}: ${ran.stderr}`);
    return ran.stdout.trim();
  }

  const TABLES = ['of_mounted', 'of_made', 'of_place'];
  const count = TABLES.map((name) => `(select count(*) from ${name})::text`).join(" || ' ' || ");
  const rows = async (s: TestServer): Promise<unknown> => (await s.sql(`select ${count} as n`))[0]?.n;
  const sameRows = (s: TestServer) =>
    eventually('the rows of the active', 60_000, async () => {
      const there = await rows(s).catch(() => 'nothing yet');
      return there === sql(`select ${count}`);
    });

  async function streams(s: TestServer): Promise<void> {
    expect(await s.pg.setUpstream(upstream, 10_000)).toEqual(own);
    expect(await s.pg.startStandby(60_000)).toEqual(own);
    await eventually('streaming', 60_000, async () => (await s.pg.facts(5000)).streaming);
    await sameRows(s);
  }

  const failedWith = async (outcome: Promise<{ kind: string; why?: string }>): Promise<string> => {
    const { kind, why } = await outcome;
    expect(kind).toBe('failed');
    return why ?? '';
  };

  describe('a standby in a mount namespace of its own', () => {
    let group: TestGroup;
    let s: TestServer;
    const insert = () => sql(TABLES.map((name) => `insert into ${name} values (1)`).join(';'));
    const version = () => versionFolder(s.options.dataDir) ?? '';
    const stay = () => {
      expect(mountPoints()).toContain(disk('mounted'));
      expect(files(disk('mounted'))).toEqual([version()]);
      expect(files(disk('plain', 'made'))).toEqual([version()]);
    };

    beforeAll(async () => {
      group = createGroup('tablespaces');
      // In memory, as the others: a copy is flushed file by file.
      s = await group.server('s', { dataDir: disk('data', 's') });
      const { replicationUser: role } = s.options;
      sql(`create role ${role} login replication;
        grant execute on function pg_ls_dir(text, boolean, boolean), pg_stat_file(text, boolean), pg_read_binary_file(text),
          pg_read_binary_file(text, bigint, bigint, boolean) to ${role};
        select pg_create_physical_replication_slot('agent_s');
        create tablespace mounted location '${disk('mounted')}';
        create tablespace made location '${disk('plain', 'made')}';
        set allow_in_place_tablespaces = on;
        create tablespace place location '';
        create table of_mounted (i int) tablespace mounted;
        create table of_made (i int) tablespace made;
        create table of_place (i int) tablespace place;`);
      insert();
    }, 120_000);
    afterAll(() => group?.end());

    test('a folder that holds something else is refused before anything is copied', async () => {
      writeFileSync(disk('mounted', 'of somebody'), 'x');
      const why = await failedWith(s.pg.basebackup(upstream, quiet, none));
      expect(why).toContain(`${disk('mounted')} must hold a tablespace, but is not empty (of somebody)`);
      expect(existsSync(s.options.dataDir)).toBe(false);
      expect(files(disk('mounted'))).toEqual(['of somebody']);
      rmSync(disk('mounted', 'of somebody'));
    });

    test('so is one that cannot be made: it says which, and what to do', async () => {
      chmodSync(disk('plain'), 0o500);
      const why = await failedWith(s.pg.basebackup(upstream, quiet, none));
      chmodSync(disk('plain'), 0o700);
      const path = disk('plain', 'made');
      expect(why).toContain(`as root, 'install -d -o postgres -m 700 ${path}'`);
      expect(existsSync(s.options.dataDir)).toBe(false);
    });

    test('so is a filesystem with too little room: a tablespace counts where it lies', async () => {
      sql(
        'create table large tablespace mounted as select repeat(i::text, 100) from generate_series(1, 60000) i',
      );
      writeFileSync(disk('mounted', '.agent-clone'), new Uint8Array(290e6));
      // What an earlier copy left goes first: so something that stays.
      mkdirSync(disk('mounted', 'lost+found'));
      renameSync(disk('mounted', '.agent-clone'), disk('mounted', 'lost+found', 'filler'));
      const why = await failedWith(s.pg.basebackup(upstream, quiet, none));
      rmSync(disk('mounted', 'lost+found'), { recursive: true });
      expect(why).toMatch(/the copy takes \d\d MB and .*disks\/mounted has \d+ MB free/);
      expect(existsSync(s.options.dataDir)).toBe(false);
      sql('drop table large; checkpoint');
    }, 60_000);

    test('a join takes them along, to the same places', async () => {
      expect(await s.pg.basebackup(upstream, quiet, none)).toEqual(own);
      expect(statSync(disk('plain', 'made')).mode & 0o777).toBe(0o700);
      await s.pg.setIdentity('s_c1');
      await streams(s);
      stay();
      expect(spacesOf(s.options.dataDir).map(({ location }) => location)).toEqual([
        disk('mounted'),
        disk('plain', 'made'),
      ]);
      expect(files(s.options.confDir)).not.toContain('tablespaces_staged.json');
    }, 120_000);

    test('no other server of this machine is copied into them', async () => {
      const other = await group.server('other');
      const why = await failedWith(other.pg.basebackup(upstream, quiet, none));
      expect(why).toContain(
        `${disk('mounted')} is a tablespace of another server on this machine, ${s.options.dataDir}`,
      );
      expect(existsSync(other.options.dataDir)).toBe(false);
      stay();
      await other.end();
    }, 60_000);

    test('a reinit puts the new content in place of the old', async () => {
      insert();
      expect(await s.pg.stop('fast', 30_000, true)).toMatchObject({ kind: 'stopped' });
      const before = statSync(disk('mounted', version())).ino;
      writeFileSync(disk('mounted', version(), 'of-before'), 'x');
      expect(await s.pg.basebackup(upstream, quiet, none)).toEqual(own);
      expect(statSync(disk('mounted', version())).ino).not.toBe(before);
      expect(existsSync(disk('mounted', version(), 'of-before'))).toBe(false);
      expect(existsSync(`${s.options.dataDir}.replaced`)).toBe(false);
      stay();
      await streams(s);
    }, 120_000);

    test('what it alone wrote in them is saved, and it comes back; its own tablespace goes', async () => {
      expect(await s.pg.setUpstream(null, 10_000)).toEqual(own);
      expect(await s.pg.promote(30_000)).toMatchObject(own);
      await s.sql('insert into of_made select 7 from generate_series(1, 5000)');
      mkdirSync(disk('plain', 'alone'), { mode: 0o700 });
      await s.sql(`create tablespace alone location '${disk('plain', 'alone')}'`);
      await s.sql('create table of_alone tablespace alone as select 1 as i');
      const [fork] = (await s.pg.history(2)) ?? [];
      const saved = await s.pg.saveDivergence({ epoch: 2, fork: fork ?? null, reason: 'test' });
      expect(saved).toMatchObject(own);
      const dumps = join(saved.dir ?? '', 'dump');
      const listed = files(dumps).map(
        (file) => spawnSync(join(bin, 'pg_restore'), ['-l', join(dumps, file)]).stdout,
      );
      expect(listed.join()).toContain('TABLE DATA public of_alone');
      insert();
      expect(await s.pg.stop('fast', 30_000, true)).toMatchObject({ kind: 'stopped' });
      const rewound = await s.pg.rewind(upstream, quiet, none);
      // Up to 15 at least, pg_rewind takes an in-place tablespace for a link, and gives up before it writes:
      // then it is copied.
      if (rewound.kind !== 'done') {
        expect(rewound.why).toContain('is of different type');
        expect(await s.pg.basebackup(upstream, quiet, none)).toEqual(own);
      }
      await streams(s);
      expect(files(disk('plain', 'alone'))).toEqual([]);
      stay();
    }, 120_000);

    test('without in-place ones it is rewound, into a tablespace that came meanwhile, too', async () => {
      sql('drop table of_place; create table of_place (i int); drop tablespace place; checkpoint');
      await sameRows(s);
      expect(await s.pg.checkpoint(30_000)).toEqual(own);
      expect(await s.pg.setUpstream(null, 10_000)).toEqual(own);
      expect(await s.pg.promote(30_000)).toMatchObject(own);
      await s.sql('insert into of_mounted select 7 from generate_series(1, 5000)');
      insert();
      sql(`create tablespace meanwhile location '${disk('plain', 'meanwhile')}'`);
      sql('alter table of_made set tablespace meanwhile');
      expect(await s.pg.stop('fast', 30_000, true)).toMatchObject({ kind: 'stopped' });
      expect(await s.pg.rewind(upstream, quiet, none)).toEqual(own);
      await streams(s);
      expect(files(disk('plain', 'meanwhile'))).toEqual([version()]);
      sql('alter table of_made set tablespace made; drop tablespace meanwhile');
      await sameRows(s);
      stay();
    }, 120_000);

    /** As the agent does: one that ended is started again. */
    async function ended(): Promise<void> {
      await eventually(
        'the standby has ended',
        60_000,
        async () => (await s.pg.facts(5000)).process === 'stopped',
      );
    }

    test('one that is made later: the folder is made, and the standby goes on', async () => {
      sql(`create tablespace later location '${disk('plain', 'later')}'`);
      await ended();
      await streams(s);
      expect(lstatSync(disk('plain', 'later')).mode & 0o777).toBe(0o700);
      sql('create table of_later tablespace later as select 1 as i');
      await eventually('its table', 30_000, async () =>
        s.sql('select count(*) from of_later').then(
          () => true,
          () => false,
        ),
      );
    }, 120_000);

    test('where it may not be made, the start says which folder and what to do, and works once it is there', async () => {
      chmodSync(disk('shut'), 0o500);
      const gate = disk('shut', 'gate');
      sql(`create tablespace gate location '${gate}'`);
      await ended();
      const why = await failedWith(s.pg.startStandby(60_000));
      expect(why).toStartWith('the server ended while starting: ');
      expect(why).toContain(`as root, 'install -d -o postgres -m 700 ${gate}'`);
      chmodSync(disk('shut'), 0o700);
      mkdirSync(gate, { mode: 0o700 });
      await eventually('it starts', 60_000, async () => (await s.pg.startStandby(60_000)).kind === 'done');
      await streams(s);
    }, 120_000);

    const looked = async () =>
      (await dataFindings(s.options)).findings
        .filter(({ id }) => id === 'tablespaces')
        .map(({ state, what }) => [state, what]);

    test('they are fit to found a cluster on, but for one inside the data directory', async () => {
      expect((await looked()).map(([state]) => state)).toEqual(['ok', 'ok', 'ok', 'ok']);
      const [inside, link] = [join(s.options.dataDir, 'mine'), join(s.options.dataDir, 'pg_tblspc', '77777')];
      mkdirSync(join(inside, version()), { recursive: true });
      symlinkSync(inside, link);
      mkdirSync(disk('mounted', 'lost+found'));
      expect((await looked()).map(([state]) => state)).toEqual(['warn', 'ok', 'ok', 'ok', 'fail']);
      for (const path of [link, inside, disk('mounted', 'lost+found')]) rmSync(path, { recursive: true });
    });

    test('a filesystem that is not mounted: the server is not started on what lies below', async () => {
      expect(await s.pg.stop('fast', 30_000, true)).toMatchObject({ kind: 'stopped' });
      renameSync(disk('mounted', version()), disk('mounted', 'aside'));
      const why = await failedWith(s.pg.startStandby(30_000));
      expect(why).toContain(`the tablespace in ${disk('mounted')} is not there`);
      expect(await looked()).toContainEqual(['fail', expect.stringContaining(`${disk('mounted')}, that`)]);
      expect(files(disk('mounted'))).toEqual(['aside']);
      renameSync(disk('mounted', 'aside'), disk('mounted', version()));
    }, 60_000);

    test('a wipe empties them, and touches nothing else there', async () => {
      const foreign = disk('plain', 'foreign');
      mkdirSync(foreign);
      writeFileSync(join(foreign, 'kept'), 'x');
      symlinkSync(foreign, disk('mounted', version(), 'way-out'));
      writeFileSync(disk('mounted', 'of somebody'), 'x');
      // A link that names a folder where this database has nothing.
      symlinkSync(foreign, join(s.options.dataDir, 'pg_tblspc', '99999'));
      expect(await s.pg.wipe()).toEqual(own);
      expect(files(disk('mounted'))).toEqual(['of somebody']);
      expect([disk('plain', 'made'), disk('plain', 'later'), disk('shut', 'gate')].map(files)).toEqual([
        [],
        [],
        [],
      ]);
      expect(files(foreign)).toEqual(['kept']);
      expect(await s.pg.inspect()).toEqual({ empty: true, version: null, systemId: null });
      expect(mountPoints()).toContain(disk('mounted'));
    }, 60_000);
  });

  test('made while two members share a machine: the standby ends, and the active keeps its folder', async () => {
    const group = createGroup('tablespaces-shared');
    const on = (name: string) => ({ dataDir: disk('data', name) });
    const [a, b] = [await group.server('a', { data: true, ...on('a') }), await group.server('b', on('b'))];
    const folder = join(group.dir, 'shared');
    try {
      expect(await a.pg.startPrimary(60_000)).toEqual(own);
      expect(await a.pg.ensureReplicationRole(30_000)).toEqual(own);
      await joinStandby(a, b);
      mkdirSync(folder, { mode: 0o700 });
      await a.sql(`create tablespace shared location '${folder}'`);
      await a.sql('create table t tablespace shared as select i from generate_series(1, 1000) i');
      await eventually('it is replayed', 60_000, () => spacesOf(b.options.dataDir).length === 1);
      expect(await a.pg.holdSettings(10_000)).toMatchObject(own);
      expect(await b.pg.holdSettings(10_000)).toMatchObject(own);
      expect((await a.pg.facts(10_000)).process).toBe('running');
      expect((await b.pg.facts(10_000)).process).toBe('stopped');
      const why = await failedWith(b.pg.startStandby(30_000));
      expect(why).toContain(
        `${folder} is a tablespace of another server on this machine, ${a.options.dataDir}`,
      );
      expect(await b.pg.wipe()).toEqual(own);
      expect(await a.pg.stop('fast', 30_000, false)).toMatchObject({ kind: 'stopped' });
      expect(await a.pg.startPrimary(60_000)).toEqual(own);
      expect((await a.sql('select count(*)::int as n from t'))[0]?.n).toBe(1000);
    } finally {
      await group.end();
    }
  }, 120_000);

  describe('a crash at any step', () => {
    const at = (...parts: string[]) => disk('steps', ...parts);
    const o = { dataDir: at('data'), confDir: at('conf') } as never;
    const VERSION = 'PG_15_202209061';
    const SPACES = { one: '100', two: '200', three: '300' };
    const STEP = 'crash';

    /** A database whose every file holds `what`, with these tablespaces, which lie where `where` says. */
    function write(
      dir: string,
      what: string,
      spaces: (keyof typeof SPACES)[],
      where = (l: string) => l,
    ): void {
      for (const path of ['base/1', 'global', 'pg_tblspc']) mkdirSync(join(dir, path), { recursive: true });
      writeFileSync(join(dir, 'PG_VERSION'), '15\n');
      const control = new DataView(new ArrayBuffer(8192));
      control.setUint32(12, 202209061, true);
      writeFileSync(join(dir, 'global', 'pg_control'), new Uint8Array(control.buffer));
      writeFileSync(join(dir, 'base', '1', '2'), what);
      for (const name of spaces) {
        const location = where(at(name));
        symlinkSync(location, join(dir, 'pg_tblspc', SPACES[name]));
        mkdirSync(join(location, VERSION, '5'), { recursive: true });
        writeFileSync(join(location, VERSION, '5', '6'), what);
      }
    }
    const read = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : 'nothing');
    const told = () => {
      const spaces = spacesOf(at('data')).map(({ location }) => join(location, VERSION, '5', '6'));
      return [at('data', 'base', '1', '2'), ...spaces].map(read);
    };

    function begin(): void {
      for (const name of readdirSync(at())) rmSync(at(name), { recursive: true, force: true });
      for (const name of ['conf', ...Object.keys(SPACES)]) mkdirSync(at(name), { mode: 0o700 });
      writeFileSync(at('one', 'PG_14_202107181'), 'of another server');
      write(at('data'), 'old', ['one', 'three']);
    }

    /** As a copy does it. */
    async function copied(what: string, onStep: (what: string) => void = () => {}): Promise<void> {
      const place = placeOf(at('data'));
      rmSync(place.copy, { recursive: true, force: true });
      await stage(
        o,
        [at('one'), at('two')].map((location) => ({ oid: '', location })),
      );
      write(place.copy, what, ['one', 'two'], stagedIn);
      await relink(place.copy);
      await exchange(o, place, onStep);
    }

    /**
     * Runs `work` from the same beginning, ended at its first step, at its second, and so on, until it comes
     * through.
     */
    async function atEachStep(
      work: (onStep: () => void) => Promise<void>,
      after: (through: boolean) => Promise<void>,
    ): Promise<void> {
      let steps = 0;
      for (let through = false; !through; steps++) {
        begin();
        let step = 0;
        try {
          await work(() => {
            if (step++ === steps) throw new Error(STEP);
          });
          through = true;
        } catch (error) {
          expect((error as Error).message).toBe(STEP);
        }
        await after(through);
        expect(readFileSync(at('one', 'PG_14_202107181'), 'utf8')).toBe('of another server');
      }
      expect(steps).toBeGreaterThan(3);
    }

    const all = (what: string) => [what, what, what];

    test('of an exchange: half of a database never passes for one, and the next copy ends it', async () => {
      await atEachStep(
        (onStep) => copied('new', onStep),
        async (through) => {
          if ((await dataState(o)) === 'ok') expect([all('old'), all('new')]).toContainEqual(told());
          else expect(through).toBe(false);
          if (through) expect(told()).toEqual(all('new'));
          await copied('newer');
          expect([await dataState(o), hasMark(o), told()]).toEqual(['ok', false, all('newer')]);
          expect(files(at('one'))).toEqual(['PG_14_202107181', VERSION]);
          expect([files(at('two')), files(at('three'))]).toEqual([[VERSION], []]);
        },
      );
    }, 60_000);

    test('of a wipe: what is left is no database, and the next wipe ends it', async () => {
      await atEachStep(
        (onStep) => wipeSpaces(o, onStep),
        async (through) => {
          if ((await dataState(o)) === 'ok') expect(told()).toEqual(all('old'));
          if (through) expect(await dataState(o)).toBe('broken');
          await wipeSpaces(o);
          expect([files(at('one')), files(at('three'))]).toEqual([['PG_14_202107181'], []]);
        },
      );
    }, 60_000);
  });

  test('the paths that replay needs, as pg_waldump lists them', () => {
    const line = (what: string) =>
      `rmgr: Tablespace  len (rec/tot):     41/    67, tx:        738, lsn: 0/0156A9C0, prev 0/0156A988, desc: ${what}`;
    const listing = [
      line('CREATE 16385 "/a b"'),
      line('CREATE 16386 ""'),
      line('DROP 16385'),
      line('CREATE 16390 "/c"'),
    ];
    expect(pathsIn(listing.join('\n'))).toEqual(['/a b', '/c']);
  });
}
