// What is asked of an organisation's directory of people and groups: whether somebody knows a password, and what stands in entries.

/** One entry; names of attributes are in lower case. */
export interface Entry {
  /** As the directory writes it. */
  dn: string;
  values: ReadonlyMap<string, readonly string[]>;
}

export interface Search {
  base: string;
  /** RFC 4515; values that come from elsewhere through `escapeFilter`. */
  filter: string;
  attributes: readonly string[];
  /** `sub`: all below as well. */
  scope?: 'base' | 'sub';
}

/** One connection. Errors: `denied`, `not-found` (no such base), `full` (a limit), `usage` (no filter, no DN), `unavailable`. */
export interface Directory {
  /** Proves who asks from now on. Throws `denied` when the password is another. */
  bind(dn: string, password: string): Promise<void>;
  /** In the order of the directory, page by page. */
  search(search: Search): AsyncIterable<Entry>;
  /** Idempotent. */
  close(): void;
}

export function valuesOf(entry: Entry, attribute: string): readonly string[] {
  return entry.values.get(attribute.toLowerCase()) ?? [];
}
