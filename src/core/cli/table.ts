// Rows in columns, for people on a terminal.

/** Lines with every column as wide as its widest cell; the first row is the heading. Numbers stand to the right. */
export function table(rows: readonly (readonly (string | number)[])[]): string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, at) =>
    Math.max(...rows.map((row) => String(row[at] ?? '').length)),
  );
  return rows.map((row) =>
    row
      .map((cell, at) => {
        const width = at === row.length - 1 && typeof cell === 'string' ? 0 : (widths[at] ?? 0);
        return typeof cell === 'number' ? String(cell).padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd(),
  );
}
