// Rows in columns, for people on a terminal.

import type { Paint } from './paint.ts';

/** Lines with every column as wide as its widest cell; the first row is the heading. Numbers stand to the right. */
export function table(rows: readonly (readonly (string | number)[])[], paint?: Paint): string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, at) =>
    Math.max(...rows.map((row) => String(row[at] ?? '').length)),
  );
  return rows.map((row, index) => {
    const line = row
      .map((cell, at) => {
        const width = at === row.length - 1 && typeof cell === 'string' ? 0 : (widths[at] ?? 0);
        return typeof cell === 'number' ? String(cell).padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
    return index === 0 && paint !== undefined ? paint.bold(line) : line;
  });
}
