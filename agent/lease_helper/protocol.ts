/** What the helper is told, line by line. Everything that is not exactly this is nothing at all. Pure. */

export type Order =
  | { readonly do: 'renew'; readonly deadline: number }
  /** As renew, where something is open: what is shut stays shut. */
  | { readonly do: 'extend'; readonly deadline: number }
  /** No deadline further ahead than this, seconds, and never further than root's own file says. */
  | { readonly do: 'limit'; readonly seconds: number }
  | { readonly do: 'close' }
  /** As at a deadline: ports shut, and what no port leads to is ended. */
  | { readonly do: 'end' };

/** No order is longer. */
export const LONGEST = 32;

/** CLOCK_BOOTTIME seconds with two decimals, as /proc/uptime has them. Undefined: not an order. */
export function parseOrder(line: string): Order | undefined {
  if (line === 'close' || line === 'end') return { do: line };
  const limit = /^limit (0|[1-9]\d{0,3})\.(\d\d)$/.exec(line);
  if (limit) {
    const seconds = Number(`${limit[1]}.${limit[2]}`);
    return seconds > 0 ? { do: 'limit', seconds } : undefined;
  }
  const found = /^(renew|extend) (0|[1-9]\d{0,9})\.(\d\d)$/.exec(line);
  if (found === null) return undefined;
  return { do: found[1] as 'renew' | 'extend', deadline: Number(`${found[2]}.${found[3]}`) };
}

/**
 * Cuts a stream into lines. `undefined` once it can no longer become an order: longer than one, or not plain
 * ASCII; the connection is to be closed then.
 */
export function lineCutter(): (chunk: Uint8Array) => string[] | undefined {
  let rest = '';
  let dead = false;
  return (chunk) => {
    if (dead) return undefined;
    for (const byte of chunk) {
      if (byte !== 10 && (byte < 32 || byte > 126)) dead = true;
    }
    if (dead) return undefined;
    rest += new TextDecoder('latin1').decode(chunk);
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    dead = rest.length > LONGEST || lines.some((line) => line.length > LONGEST);
    return dead ? undefined : lines;
  };
}
