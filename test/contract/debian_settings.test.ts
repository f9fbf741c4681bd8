/**
 * What teardown writes for Debian is what Debian's own tools start a database with: in a namespace of mounts,
 * with their own paths.
 */
import { expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

const root = join(import.meta.dirname, '..', '..');
const BIN = '/usr/lib/postgresql/15/bin';
/** Debian's wrapper and server, and leave to mount. */
const able =
  existsSync('/usr/bin/pg_ctlcluster') &&
  existsSync(`${BIN}/initdb`) &&
  process.getuid?.() === 0 &&
  spawnSync('unshare', ['-m', '-n', 'true']).status === 0;

const write = `
import { parseConfig } from '${root}/agent/config/index.ts';
import { settingsLacking, writeSettings } from '${root}/agent/install/debian_settings.ts';
import { realMachine } from '${root}/agent/install/machine.ts';
const config = parseConfig('postgres: { data_dir: /var/lib/postgresql/15/main, port: 5455 }\\n');
// The host's systemd is not to look at this.
const run = async (argv, ms) => (argv[0] === 'systemctl' ? '' : realMachine.run(argv, ms));
const machine = { ...realMachine, run };
const lacking = settingsLacking(config, machine)?.dir;
const written = await writeSettings(config, machine);
console.log(lacking, written, String(settingsLacking(config, machine)));
`;

const script = `
set -e
ip link set lo up
for d in /var/lib/postgresql /etc/postgresql /var/log/postgresql /run/postgresql; do
  mkdir -p $d; mount -t tmpfs tmpfs $d; chown postgres:postgres $d
done
cd /
as="setpriv --reuid=postgres --regid=postgres --init-groups --"
$as mkdir /var/lib/postgresql/15
$as ${BIN}/initdb -D /var/lib/postgresql/15/main --no-sync -A trust >/dev/null
rm /var/lib/postgresql/15/main/*.conf
"$1" -e "$2"
(cd /etc/postgresql/15/main; stat -c '%n %U:%G %a' *)
ls -d /run/cloudify-settings 2>/dev/null || true
pg_ctlcluster 15 main start
trap 'pg_ctlcluster -m immediate 15 main stop' EXIT
ask() { $as psql -h /var/run/postgresql -p 5455 -XAtc "$1"; }
ask "select current_setting('config_file'), current_setting('data_directory'), current_setting('cluster_name')"
ask "select count(*) from pg_hba_file_rules where error is not null"
ask "select count(*) from pg_file_settings where error is not null"
`;

test.skipIf(!able)(
  "settings that Debian lacks are such that Debian's own tools start the database",
  () => {
    const ran = spawnSync(
      'unshare',
      ['-m', '-n', '--propagation', 'private', 'sh', '-c', script, 'sh', process.execPath, write],
      { encoding: 'utf8', timeout: 110_000, cwd: root },
    );
    expect({ status: ran.status, stderr: ran.stderr, lines: ran.stdout.trim().split('\n') }).toEqual({
      status: 0,
      stderr: '',
      lines: [
        '/etc/postgresql/15/main /etc/postgresql/15/main undefined',
        'conf.d postgres:postgres 755',
        'environment postgres:postgres 644',
        'pg_ctl.conf postgres:postgres 644',
        'pg_hba.conf postgres:postgres 640',
        'pg_ident.conf postgres:postgres 640',
        'postgresql.conf postgres:postgres 644',
        'start.conf postgres:postgres 644',
        '/etc/postgresql/15/main/postgresql.conf|/var/lib/postgresql/15/main|15/main',
        '0',
        '0',
      ],
    });
  },
  120_000,
);
