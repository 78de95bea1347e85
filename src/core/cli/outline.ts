// JSON values as indented lines, for people.

/** The named fields only. */
export function pick(value: Readonly<Record<string, unknown>>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([name]) => names.includes(name)));
}

/** `name: value`, nested things two further in, items of lists behind a dash. */
export function outline(value: unknown, indent = ''): string[] {
  if (Array.isArray(value)) {
    return value.flatMap((item) => {
      const [first = '', ...rest] = outline(item, `${indent}  `);
      return [`${indent}- ${first.trimStart()}`, ...rest];
    });
  }
  if (typeof value !== 'object' || value === null) return [`${indent}${String(value)}`];
  return Object.entries(value).flatMap(([name, field]) => {
    if (field === undefined) return [];
    const label = `${indent}${name.replaceAll('_', ' ')}:`;
    if (typeof field !== 'object' || field === null) return [`${label} ${String(field)}`];
    const lines = outline(field, `${indent}  `);
    return lines.length === 0 ? [`${label} none`] : [label, ...lines];
  });
}
