/** Which version a program is of, by what it prints about itself. */
import { run } from './process.ts';

/** The first dotted number a program prints about itself: [15, 18]; undefined if it does not run. */
export async function versionOf(binary: string, args: readonly string[]): Promise<number[] | undefined> {
  const result = await run(binary, args, { deadline: 5000, maxOutput: 4096 }).catch(() => undefined);
  const match = /\d+(?:\.\d+)*/.exec(result?.code === 0 ? result.stdout : '');
  return match?.[0].split('.').map(Number);
}

export function atLeast(version: readonly number[], wanted: readonly number[]): boolean {
  for (const [index, number] of wanted.entries()) {
    const have = version[index] ?? 0;
    if (have !== number) return have > number;
  }
  return true;
}
