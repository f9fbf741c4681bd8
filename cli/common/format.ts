/** Numbers as people read them. */

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

const rounded = (value: number): string =>
  value >= 10 ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/, '');

/** 1536 to `1.5 kB`; units are powers of 1024, as PostgreSQL's. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? String(value) : rounded(value)} ${UNITS[unit]}`;
}

/** Milliseconds to `0.24 s`, `12.3 s`, `2 min 5 s`, `3 h 2 min`, `5 d 1 h`. */
export function duration(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(2)} s`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  const hours = Math.round(minutes / 60);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Bytes in so many milliseconds to `37 MB/s`; '' when the time is too short to tell. */
export const rate = (count: number, ms: number): string =>
  ms < 100 ? '' : `${bytes(Math.round((count * 1000) / ms))}/s`;

/** A position as the API sends it, decimal, to PostgreSQL's `1/2A`; `-` when unknown. */
export function lsn(text: string | null): string {
  if (text === null || text === '') return '-';
  if (text.includes('/')) return text;
  const value = BigInt(text);
  return `${(value >> 32n).toString(16)}/${(value & 0xffffffffn).toString(16)}`.toUpperCase();
}

/** ISO time to `2026-11-22 18:01:40Z`. */
export const time = (iso: string | null): string =>
  iso === null ? '-' : iso.replace('T', ' ').replace(/\.\d+Z$/, 'Z');

/** `1/4/6 s, fencing 1.5 s`: how often the lease is renewed, its deadline, its duration. Milliseconds. */
export function timesText(times: {
  retryPeriod: number;
  renewDeadline: number;
  leaseDuration: number;
  fencingTime: number;
}): string {
  const lease = [times.retryPeriod, times.renewDeadline, times.leaseDuration].map((ms) => ms / 1000);
  return `${lease.join('/')} s, fencing ${times.fencingTime / 1000} s`;
}
