/**
 * Checksums of what was built, and their signature in OpenSSH's form: no tool is needed to verify it that a
 * manager lacks.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const NAMESPACE = 'agent-release';
/** Who signs, as .ci/release/allowed_signers calls it. */
export const SIGNER = 'releases@agent';
export const SUMS = 'SHA256SUMS';
export const SBOM = 'agent.cdx.json';
const SIGNATURE = `${SUMS}.sig`;

function ssh(args: readonly string[], input?: Buffer): void {
  const run = spawnSync('ssh-keygen', ['-Y', ...args], {
    encoding: 'utf8',
    ...(input === undefined ? {} : { input }),
  });
  if (run.error !== undefined) throw new Error(`ssh-keygen cannot be run: ${run.error.message}`);
  if (run.status !== 0) throw new Error(`ssh-keygen ${args[0]}: ${(run.stderr || run.stdout).trim()}`);
}

/**
 * SHA256SUMS of these files in the folder, in the form `sha256sum -c` reads. A signature of older ones goes.
 */
export function writeChecksums(dir: string, names: readonly string[]): void {
  const lines = [...names].sort().map((name) => {
    const sum = createHash('sha256').update(readFileSync(join(dir, name)));
    return `${sum.digest('hex')}  ${name}\n`;
  });
  rmSync(join(dir, SIGNATURE), { force: true });
  writeFileSync(join(dir, SUMS), lines.join(''));
}

/** SHA256SUMS.sig. `key`: a private key's file, or a public one's whose private key the SSH agent holds. */
export function signChecksums(dir: string, key: string): void {
  // An older one makes ssh-keygen ask whether to write over it.
  rmSync(join(dir, SIGNATURE), { force: true });
  ssh(['sign', '-q', '-f', key, '-n', NAMESPACE, join(dir, SUMS)]);
}

/**
 * Throws unless the signature is by one of `signers` and every file that is summed is there and unchanged.
 */
export function verifyRelease(dir: string, signers: string): void {
  const sums = readFileSync(join(dir, SUMS));
  ssh(['verify', '-f', signers, '-I', SIGNER, '-n', NAMESPACE, '-s', join(dir, SIGNATURE)], sums);
  const check = spawnSync('sha256sum', ['--strict', '-c', SUMS], { cwd: dir, encoding: 'utf8' });
  if (check.status !== 0) throw new Error(`${check.stdout}${check.stderr}`.trim());
}
