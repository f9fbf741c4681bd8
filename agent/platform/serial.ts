/** Work that is done one piece at a time, in the order in which it was asked for. */

/**
 * Resolves or rejects as `work` does, which is begun once all that was asked for before is over, well or not.
 */
export type Serial = <T>(work: () => T | Promise<T>) => Promise<T>;

export function createSerial(): Serial {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(() => work());
    last = mine.catch(() => {});
    return mine;
  };
}
