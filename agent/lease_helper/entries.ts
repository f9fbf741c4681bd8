/**
 * The entries of the lease set: written in one batch, then read back. What counts is what the kernel says is
 * there.
 */
import { SET_LEASE } from '../trampoline/names.ts';
import type { IpsetPipe } from './ipset_pipe.ts';

const LIST = `list ${SET_LEASE}`;

/** Port and seconds left of every entry; undefined when the set is not there. */
export function parseEntries(output: string): Map<number, number> | undefined {
  const members = /^Members:\n((?:\d+ timeout \d+\n)*)/m.exec(output)?.[1];
  if (members === undefined) return undefined;
  const lines = members.split('\n').filter((line) => line !== '');
  return new Map(lines.map((line) => [Number.parseInt(line, 10), Number(line.split(' timeout ')[1])]));
}

export function createEntries(ports: readonly number[], pipe: IpsetPipe) {
  /**
   * After an error (sets that were not there yet) an `ipset -` fails at everything: a new one is asked once
   * more.
   */
  async function ask(commands: readonly string[]) {
    const first = await pipe.send([...commands, LIST]);
    const entries = parseEntries(first);
    if (entries !== undefined) return { output: first, entries };
    pipe.close();
    const output = await pipe.send([...commands, LIST]);
    const again = parseEntries(output);
    if (again === undefined) pipe.close();
    return { output, entries: again };
  }
  const said = (output: string): string =>
    output
      .replaceAll(/ipset> |\s+/g, ' ')
      .trim()
      .slice(0, 160);
  return {
    /** `seconds`: whole, at least 1. Rejects unless all are there, and none for longer. */
    async open(seconds: number): Promise<void> {
      if (!Number.isInteger(seconds) || seconds < 1) throw new RangeError(`no timeout: ${seconds}`);
      const add = ports.map((port) => `add ${SET_LEASE} ${port} timeout ${seconds} -exist`);
      const { output, entries } = await ask(add);
      const left = ports.map((port) => entries?.get(port) ?? 0);
      // 0 left is the last second of an entry that lives; not there at all, it was not set.
      if (entries === undefined || !ports.every((port) => entries.has(port)))
        throw new Error(`the entries were not set: ${said(output)}`);
      if (left.some((seconds_) => seconds_ > seconds))
        throw new Error('entries last longer than they were set for');
    },
    /** Rejects unless there is none left. */
    async shut(): Promise<void> {
      const { output, entries } = await ask([`flush ${SET_LEASE}`]);
      if (entries === undefined && /does not exist/.test(output)) return;
      if (entries?.size !== 0) throw new Error(`the entries were not deleted: ${said(output)}`);
    },
  };
}
