/**
 * Certificate and key of the server. At a start it ends over wrong ones; at a reload it goes on with those of
 * before, and only its log says so. So they are looked at before they are named to it.
 */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { messageOf } from '../../errors.ts';
import type { Objection } from './examine.ts';
import type { ConfEntry } from './manager_conf.ts';
import { sourceOf } from './originals.ts';

/** Why the server would not take these two; null when it would. */
export function pairProblem(certPem: string, keyPem: string): string | null {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(certPem);
  } catch {
    return 'the certificate cannot be read';
  }
  // Only the server can ask for its passphrase (ssl_passphrase_command).
  if (/ENCRYPTED/.test(keyPem)) return null;
  try {
    return certificate.checkPrivateKey(createPrivateKey(keyPem))
      ? null
      : 'the key does not belong to the certificate';
  } catch {
    return 'the key cannot be read';
  }
}

/** Anybody but its owner, and for root's own the group, may not read the key. */
function tooOpen(path: string): boolean {
  const { uid, mode } = statSync(path);
  return (mode & (uid === 0 ? 0o037 : 0o077)) !== 0;
}

/** The manager's own, where they stay in force. `entries`: its settings, in order. */
export function wrongSsl(dataDir: string, entries: readonly ConfEntry[]): Objection[] {
  const last = (name: string) => entries.findLast((entry) => entry.name === name);
  const ssl = last('ssl');
  // As the server reads a boolean: any beginning that is no other's.
  if (ssl === undefined || !/^(on|t|tr|tru|true|y|ye|yes|1)$/i.test(ssl.value)) return [];
  const fileOf = (name: string, usual: string) => {
    const value = last(name)?.value ?? usual;
    return isAbsolute(value) ? value : join(dataDir, value);
  };
  const [cert, key] = [fileOf('ssl_cert_file', 'server.crt'), fileOf('ssl_key_file', 'server.key')];
  const said = (why: string): Objection[] => [
    {
      what: `the server does not start with ${sourceOf(ssl)}: ${why}`,
      mend: 'correct the file, or set ssl = off there',
    },
  ];
  try {
    const problem = pairProblem(readFileSync(cert, 'utf8'), readFileSync(key, 'utf8'));
    if (problem !== null) return said(`${problem} (${cert}, ${key})`);
    return tooOpen(key) ? said(`${key} can be read by others than its owner`) : [];
  } catch (thrown) {
    return said(messageOf(thrown));
  }
}
