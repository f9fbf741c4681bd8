/** On a real mount: what a teardown sets aside may be a mount point, which cannot be renamed. */
import { expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

const hand = join(import.meta.dirname, '../../agent/install/real_hand.ts');
const possible = process.getuid?.() === 0 && spawnSync('unshare', ['-m', 'true']).status === 0;

test.skipIf(!possible)(
  'a mount point stays, empty, and what was in it is kept; any other folder is renamed',
  () => {
    const dir = mkdtempSync(join(tmpdir(), 'agent-aside-'));
    try {
      for (const name of ['mounted', 'plain']) mkdirSync(join(dir, name));
      writeFileSync(join(dir, 'plain', 'vote'), 'b');
      writeFileSync(
        join(dir, 'run.ts'),
        `import { realHand } from '${hand}';
for (const name of ['mounted', 'plain']) await realHand.setAside('${dir}/' + name, '${dir}/former');`,
      );
      const script = `set -e; mount -t tmpfs test "$1/mounted"; mkdir -m 0700 "$1/mounted/raft"
printf a > "$1/mounted/raft/vote"; chmod 0640 "$1/mounted/raft/vote"; ln -s /etc/hostname "$1/mounted/link"
"$2" "$1/run.ts"; ls -A "$1/mounted"; stat -c '%a %F' "$1/former/mounted/raft/vote" "$1/former/mounted/link"`;
      const args = ['-m', '--propagation', 'private', 'sh', '-c', script, 'sh', dir, process.execPath];
      const ran = spawnSync('unshare', args, { encoding: 'utf8', timeout: 60_000 });
      expect([ran.status, ran.stderr, ran.stdout]).toEqual([0, '', '640 regular file\n777 symbolic link\n']);
      expect(readFileSync(join(dir, 'former/mounted/raft/vote'), 'utf8')).toBe('a');
      expect(readFileSync(join(dir, 'former/plain/vote'), 'utf8')).toBe('b');
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
  60_000,
);
