/**
 * The home is shared with Syncthing's user, who speaks with the network: nothing of the agent's may be
 * reached by what lies there.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { folderConfig, makeConfig, requireNode } from '../../../agent/config/index.ts';
import { deviceIdOf } from '../../../agent/roles/files/device_id.ts';
import { openHome } from '../../../agent/roles/files/home.ts';
import { makeRestCertificate } from '../../../agent/roles/files/rest_certificate.ts';

let dir = '';
let certificate = '';
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'home-'));
  certificate = (await makeRestCertificate('127.0.0.1')).certificate;
});
afterAll(() => rmSync(dir, { recursive: true }));

test('links that are laid in the home while an identity is made lead to nothing of the agent', async () => {
  const [victim, binary] = [join(dir, 'cluster-ssl'), join(dir, 'syncthing')];
  mkdirSync(victim, { mode: 0o700 });
  for (const name of ['key.pem', 'cert.pem']) {
    writeFileSync(join(victim, name), `the agent's ${name}`);
    chmodSync(join(victim, name), 0o600);
  }
  writeFileSync(join(dir, 'made.pem'), certificate);
  const base = join(dir, 'n1');
  const home = requireNode(
    makeConfig(
      folderConfig(
        base,
        { node_name: 'n1', host_ip: '10.0.0.1' },
        { api: { tls: true }, files: { enabled: true, binary, folders: [{ id: 'etc', path: '/srv/a' }] } },
      ),
    ),
  );
  // As Syncthing does it; and then what its user may do at that moment in its home.
  const script = `#!/bin/sh
for one in "$@"; do case "$one" in --home=*) at="\${one#--home=}";; esac; done
mkdir -p "$at" && echo key > "$at/key.pem" && cp '${join(dir, 'made.pem')}' "$at/cert.pem"
for each in '${home.files.home_dir}'/*; do
  [ -d "$each" ] && mv "$each" "$each.mine" && ln -s '${victim}' "$each"
done
exit 0
`;
  writeFileSync(binary, script, { mode: 0o755 });

  expect(await openHome(home).deviceId()).toBe(deviceIdOf(certificate));
  for (const name of ['key.pem', 'cert.pem']) {
    expect(readFileSync(join(victim, name), 'utf8')).toBe(`the agent's ${name}`);
    expect(statSync(join(victim, name)).mode & 0o777).toBe(0o600);
  }
  expect(readFileSync(join(home.files.home_dir, 'key.pem'), 'utf8')).toBe('key\n');
  expect(statSync(join(home.files.home_dir, 'key.pem')).mode & 0o777).toBe(0o640);
  // Nothing of the key is left over.
  expect(readdirSync(home.paths.state_dir).filter((name) => name.startsWith('generate-'))).toEqual([]);
});
