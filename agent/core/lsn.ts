/** Write-ahead log positions, segment names and timeline history files: text to data and back. Pure. */
import type { Fork, Lsn } from './postgres.ts';

/** Bytes in a WAL segment unless the cluster was made with another size. */
export const defaultSegmentSize = 16n * 1024n * 1024n;

/** '1/2A' to 0x10000002An. Throws on anything else: a position that cannot be read is never 0. */
export function parseLsn(text: string): Lsn {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text.trim());
  if (!match) throw new Error(`not an LSN: ${JSON.stringify(text)}`);
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

export function formatLsn(lsn: Lsn): string {
  const high = (lsn >> 32n).toString(16);
  const low = (lsn & 0xffffffffn).toString(16);
  return `${high}/${low}`.toUpperCase();
}

const hex8 = (value: bigint): string => value.toString(16).toUpperCase().padStart(8, '0');

/** Timeline and first byte of a segment (`.partial` too); null when the name is not one of a segment. */
export function parseWalFileName(
  name: string,
  segmentSize = defaultSegmentSize,
): { timeline: number; start: Lsn } | null {
  const match = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(\.partial)?$/.exec(name);
  if (!match) return null;
  const perId = 0x100000000n / segmentSize;
  const segment = BigInt(`0x${match[2]}`) * perId + BigInt(`0x${match[3]}`);
  return { timeline: Number.parseInt(match[1] ?? '', 16), start: segment * segmentSize };
}

export function historyFileName(timeline: number): string {
  return `${hex8(BigInt(timeline))}.history`;
}

/** The number in a history file's name; null when it is another file. */
export function parseHistoryFileName(name: string): number | null {
  const match = /^([0-9A-F]{8})\.history$/.exec(name);
  return match ? Number.parseInt(match[1] ?? '', 16) : null;
}

/**
 * Lines of a history file, oldest first. Comments and empty lines carry nothing; a line that is neither makes
 * the file unreadable, which throws: half a history must not pass for a whole one.
 */
export function parseHistory(text: string): Fork[] {
  const forks: Fork[] = [];
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const match = /^(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)(\s|$)/.exec(line);
    if (!match) throw new Error(`not a timeline history line: ${JSON.stringify(line)}`);
    const tli = Number(match[1]);
    const last = forks.at(-1);
    if (last && tli <= last.tli)
      throw new Error(`timeline history does not ascend at ${JSON.stringify(line)}`);
    forks.push({ tli, lsn: parseLsn(match[2] ?? '') });
  }
  return forks;
}
