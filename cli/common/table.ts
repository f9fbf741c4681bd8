/** Aligned columns. Plain text; colours only where asked for. */

export const COLORS = { red: 31, green: 32, yellow: 33, grey: 90 } as const;
export type Color = keyof typeof COLORS;

export interface Column<T> {
  readonly title: string;
  value(row: T): string;
  /** Only where the terminal shows colours. */
  color?(row: T): Color | undefined;
  readonly align?: 'right';
}

export const paint = (text: string, color: Color | undefined): string =>
  color === undefined ? text : `\u001b[${COLORS[color]}m${text}\u001b[39m`;

const bold = (text: string) => `\u001b[1m${text}\u001b[22m`;

/** A header line and a line per row, two spaces between columns, no space at a line's end. */
export function table<T>(columns: readonly Column<T>[], rows: readonly T[], colored = false): string {
  const cells = rows.map((row) => columns.map((column) => column.value(row)));
  const widths = columns.map((column, at) =>
    Math.max(column.title.length, ...cells.map((line) => line[at]?.length ?? 0)),
  );
  const fit = (text: string, at: number) => {
    const width = widths[at] ?? 0;
    if (columns[at]?.align === 'right') return text.padStart(width);
    return at === columns.length - 1 ? text : text.padEnd(width);
  };
  const header = columns
    .map(({ title }, at) => fit(title, at))
    .join('  ')
    .trimEnd();
  const lines = cells.map((line, index) =>
    line
      .map((text, at) => {
        const row = rows[index];
        const color = colored && row !== undefined ? columns[at]?.color?.(row) : undefined;
        return paint(fit(text, at), color);
      })
      .join('  ')
      .trimEnd(),
  );
  return `${[colored ? bold(header) : header, ...lines].join('\n')}\n`;
}

/** Names and values, one a line, values aligned; empty values are left out. */
export function facts(pairs: readonly (readonly [name: string, value: string | undefined])[]): string {
  const shown = pairs.filter(([, value]) => value !== undefined && value !== '');
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join('');
}
