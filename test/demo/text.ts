/** Plain text for a terminal: headings, lines and tables. */
import process from 'node:process';

const tty = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
const bold = (text: string) => (tty ? `\u001b[1m${text}\u001b[0m` : text);

export const say = (line = ''): void => {
  process.stdout.write(`${line}\n`);
};

export const heading = (text: string): void => say(`\n${bold(text)}`);

/** Columns as wide as their widest cell; numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const numeric = head.map((_, column) =>
    rows.every((row) => /^[\d.,]*( m?s| MB| %)?$/.test(row[column] ?? '')),
  );
  const line = (cells: readonly string[], isHead: boolean) =>
    cells
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return numeric[column] && !isHead ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  return [line(head, true), rule, ...rows.map((row) => line(row, false))]
    .map((text) => `  ${text}`)
    .join('\n');
}

export const seconds = (ms: number): string =>
  Number.isFinite(ms) ? `${(ms / 1000).toFixed(2)} s` : 'no end';
