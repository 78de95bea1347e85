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
  if (typeof value !== 'object' || value === null) return [`${indent}${plainText(value)}`];
  return Object.entries(value).flatMap(([name, field]) => {
    if (field === undefined) return [];
    const label = `${indent}${words(name)}:`;
    if (typeof field !== 'object' || field === null) return [`${label} ${plainText(field)}`];
    const lines = outline(field, `${indent}  `);
    return lines.length === 0 ? [`${label} none`] : [label, ...lines];
  });
}

/** `free_bytes` and `freeBytes` as `free bytes`. */
function words(name: string): string {
  return name.replaceAll('_', ' ').replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function plainText(value: unknown): string {
  return value === null ? 'none' : String(value);
}
