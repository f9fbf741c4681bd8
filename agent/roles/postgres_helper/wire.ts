/**
 * Frames between the agent and its PostgreSQL helper: one JSON value a line. LSNs are bigints, written as
 * {"$n": "123"}.
 */
import { Buffer } from 'node:buffer';

/** Longer than any honest frame: a timeline history of thousands of lines. */
const LONGEST = 4 * 1024 * 1024;

export function encode(message: unknown): string {
  return `${JSON.stringify(message, (_, value: unknown) => (typeof value === 'bigint' ? { $n: value.toString() } : value))}\n`;
}

export function decode(line: string): unknown {
  return JSON.parse(line, (_, value: unknown) => {
    if (typeof value !== 'object' || value === null || !('$n' in value)) return value;
    return typeof value.$n === 'string' ? BigInt(value.$n) : value;
  });
}

/** Calls `take` with each whole frame of what is added. Throws on one that is too long or no JSON. */
export function frames(take: (message: unknown) => void): (chunk: Buffer | string) => void {
  let rest: Buffer[] = [];
  let size = 0;
  return (chunk) => {
    let data = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    for (;;) {
      const at = data.indexOf(10);
      if (at < 0) break;
      const line = Buffer.concat([...rest, data.subarray(0, at)]).toString('utf8');
      rest = [];
      size = 0;
      data = data.subarray(at + 1);
      take(decode(line));
    }
    if (data.length === 0) return;
    size += data.length;
    if (size > LONGEST) throw new Error('a frame is too long');
    rest.push(data);
  };
}
