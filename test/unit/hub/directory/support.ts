// A directory in memory: entries, their passwords, and as much of filters as searches here use.

import { InfinitError } from '../../../../src/core/base/errors.ts';
import { type Directory, type Entry, type Search, valuesOf } from '../../../../src/core/hub/directory/directory.ts';
import { normalDn } from '../../../../src/core/hub/directory/distinguished-names.ts';

export function entryOf(dn: string, attributes: Readonly<Record<string, readonly string[]>>): Entry {
  return { dn, values: new Map(Object.entries(attributes).map(([name, values]) => [name.toLowerCase(), values])) };
}

export class MemoryDirectory implements Directory {
  readonly passwords = new Map<string, string>();
  readonly bound: string[] = [];
  readonly filters: string[] = [];
  readonly entries: Entry[];
  isAway = false;

  constructor(entries: readonly Entry[] = []) {
    this.entries = [...entries];
  }

  async bind(dn: string, password: string): Promise<void> {
    if (this.isAway) throw new InfinitError('unavailable', 'the LDAP server does not answer');
    this.bound.push(dn);
    if (this.passwords.get(normalDn(dn)) !== password) throw new InfinitError('denied', 'the server does not take it');
  }

  async *search({ base, filter, scope = 'sub' }: Search): AsyncGenerator<Entry> {
    this.filters.push(filter);
    const [end, wanted] = [normalDn(base), [...filter.matchAll(/\(([a-z]+)=([^()]*)\)/gi)]];
    const below = this.entries.filter(({ dn }) =>
      scope === 'base' ? normalDn(dn) === end : normalDn(dn) === end || normalDn(dn).endsWith(`,${end}`),
    );
    if (scope === 'base' && below.length === 0) throw new InfinitError('not-found', 'no entry of that name');
    const has = (entry: Entry, [, name = '', value = '']: RegExpMatchArray) => {
      const meant = value.replace(/\\([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
      return value === '*' || valuesOf(entry, name).some((one) => one.toLowerCase() === meant.toLowerCase());
    };
    for (const entry of below)
      if (filter.startsWith('(|') ? wanted.some((one) => has(entry, one)) : wanted.every((one) => has(entry, one)))
        yield entry;
  }

  close(): void {}
}
