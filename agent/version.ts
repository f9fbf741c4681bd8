import manifest from '../package.json' with { type: 'json' };

// Replaced by build.ts with string literals. Run from source (Bun or Deno) the names do not exist at all.
declare const AGENT_VERSION: string | undefined;
declare const AGENT_COMMIT: string | undefined;

/** The release, as in package.json. */
export const version: string = typeof AGENT_VERSION === 'string' ? AGENT_VERSION : manifest.version;

/**
 * The commit it was built from, 12 hex digits, `-dirty` added where files differed from it; `source` when run
 * from source.
 */
export const commit: string = typeof AGENT_COMMIT === 'string' ? AGENT_COMMIT : 'source';

/** By its three numbers; what is no version is older. */
export function isOlder(version: string, than: string): boolean {
  const numbers = (text: string) => (/^(\d+)\.(\d+)\.(\d+)/.exec(text) ?? []).slice(1).map(Number);
  const [a, b] = [numbers(version), numbers(than)];
  if (a.length === 0) return true;
  const at = a.findIndex((part, i) => part !== b[i]);
  return at >= 0 && (a[at] ?? 0) < (b[at] ?? 0);
}
