/** The root file system of the VMs: built once per recipe, cached outside the checkout. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir, run } from '../host.ts';

const recipe = ['build.sh', '../../setup/sources.sh'].map((file) => join(import.meta.dirname, file));

function keyOfRecipe(): string {
  const hash = createHash('sha256');
  for (const file of recipe) hash.update(readFileSync(file));
  return hash.digest('hex').slice(0, 12);
}

/**
 * The folder of the tree, built now if it is not there (about a minute, 1.1 GB). Two builders wait for each
 * other; one that was interrupted leaves only a folder that does not count and that the next builder removes.
 */
export async function ensureTree(say: (line: string) => void): Promise<string> {
  const folder = join(cacheDir(), 'trees');
  const tree = join(folder, keyOfRecipe());
  if (existsSync(tree)) return tree;
  mkdirSync(folder, { recursive: true });
  say(`building the base tree in ${tree} (about a minute)`);
  const script = `[ ! -e "$2" ] || exit 0; rm -rf --one-file-system "$2".building; sh "$1" "$2".building && sync -f "$2".building && mv -T "$2".building "$2"`;
  const lock = ['flock', '--exclusive', `${tree}.lock`];
  const built = await run([...lock, 'sh', '-c', script, 'sh', recipe[0] ?? '', tree], 900_000);
  if (built.code !== 0) throw new Error(`the base tree could not be built:\n${built.stdout}${built.stderr}`);
  return tree;
}
