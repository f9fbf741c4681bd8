/**
 * `huge_pages = on`: a server that does not get them does not start, and its program says nothing of it when
 * it only reads its settings. So they are counted before.
 */
import { join } from 'node:path';
import { readIfPossible } from '../../platform/files.ts';
import type { PgOptions } from './options.ts';
import { ownEntries } from './originals.ts';
import { postmasterPid } from './process.ts';

const SYSFS = '/sys/kernel/mm/hugepages';
/** Of nearly every server; another one only makes the count too low. */
const BLOCK = 8192;

/** What the server's program says of one of its settings; null: it does not know it. */
export type Ask = (name: string) => Promise<string | null>;

/**
 * Counted in `folder`. `inUse`: by a server that makes room for the next. Null: there are none of this size.
 */
export function hugePagesFor(kB: number, inUse: boolean, folder = SYSFS): number | null {
  const count = (name: string): number =>
    Number(readIfPossible(join(folder, `hugepages-${kB}kB`, name)) ?? Number.NaN);
  const had = inUse ? count('nr_hugepages') : count('free_hugepages') - count('resv_hugepages');
  const more = Math.max(0, count('nr_overcommit_hugepages') - count('surplus_hugepages'));
  const all = had + more;
  return Number.isNaN(all) ? null : all;
}

const usualSize = (): number =>
  Number(/^Hugepagesize:\s+(\d+) kB/m.exec(readIfPossible('/proc/meminfo') ?? '')?.[1] ?? 2048);

/**
 * Why this machine has too few for these settings; null: it has enough, or they are not insisted on.
 * `computed`: its memory is known, in MB.
 */
export async function lacksHugePages(
  o: PgOptions,
  ask: Ask,
  computed: string | null,
): Promise<string | null> {
  const named =
    'huge_pages' in (o.parameters ?? {}) || ownEntries(o).some(({ name }) => name === 'huge_pages');
  if (!named || (await ask('huge_pages')) !== 'on') return null;
  // Before there is data less is known: the least that it can be.
  const bytes =
    computed === null ? Number(await ask('shared_buffers')) * BLOCK : Number(computed) * 1024 ** 2;
  const kB = Number((await ask('huge_page_size')) ?? 0) || usualSize();
  const needed = Math.ceil(bytes / (kB * 1024));
  const running = await postmasterPid(o).catch(() => 'unknown');
  const had = hugePagesFor(kB, running !== null) ?? 0;
  // A number that could not be read is no reason to refuse.
  if (!(had < needed)) return null;
  return `huge_pages = on needs ${computed === null ? 'more than ' : ''}${needed} huge pages of ${kB} kB, and this machine has ${had} available: set vm.nr_hugepages (sysctl), or huge_pages = try`;
}
