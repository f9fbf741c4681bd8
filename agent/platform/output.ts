/** Keeps the last `limit` bytes of a stream. */
export function tail(limit: number) {
  let chunks: Uint8Array[] = [];
  let size = 0;
  const joined = (): Uint8Array => {
    const all = new Uint8Array(size);
    let at = 0;
    for (const chunk of chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all.subarray(Math.max(0, size - limit));
  };
  return {
    add(chunk: Uint8Array): void {
      chunks.push(chunk);
      size += chunk.length;
      if (size <= limit * 2) return;
      chunks = [joined().slice()];
      size = chunks[0]?.length ?? 0;
    },
    text: (): string => new TextDecoder().decode(joined()),
  };
}

/** Cuts a stream of UTF-8 into lines at \n or \r; empty lines are left out. */
export function lineSplitter(onLine: (line: string) => void) {
  const decoder = new TextDecoder();
  let rest = '';
  const emit = (text: string, last: boolean) => {
    const lines = (rest + text).split(/[\r\n]+/);
    rest = last ? '' : (lines.pop() ?? '');
    for (const line of lines) if (line !== '') onLine(line);
  };
  return {
    add: (chunk: Uint8Array): void => emit(decoder.decode(chunk, { stream: true }), false),
    end: (): void => emit(decoder.decode(), true),
  };
}
