// Who is meant by a search in a directory: entries found that are groups stand for their members, others for themselves.

import { InfinitError, isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { type Directory, type Entry, valuesOf } from './directory.ts';
import { dnKey, escapeFilter } from './distinguished-names.ts';

export interface RosterSearch {
  /** Where groups or people are looked for. */
  base: string;
  /** Where members that are told by their `uid` are looked for. */
  root: string;
  objectClass: string;
  /** Narrows the search further. */
  filter?: string | undefined;
  /** Of people, besides those that are needed here. */
  attributes: readonly string[];
}

export interface RosterGroup {
  /** Its `cn`. */
  name: string;
  members: Entry[];
}

export interface Roster {
  /** Each once, in the order they were found. */
  people: Entry[];
  /** Those the search found, not those inside them. */
  groups: RosterGroup[];
  /** Members that could not be told. */
  problems: { name: string; reason: string }[];
}

const groupClasses = ['posixgroup', 'groupofnames', 'groupofuniquenames', 'group'];
const memberNames = 'memberUid';
const memberDns = ['member', 'uniqueMember'];

export async function rosterOf(directory: Directory, search: RosterSearch): Promise<Roster> {
  return new Reader(directory, search).read();
}

class Reader {
  private readonly directory: Directory;
  private readonly search: RosterSearch;
  private readonly attributes: string[];
  private readonly people = new Map<string, Entry>();
  private readonly entries = new Map<string, Entry | undefined>();
  private readonly problems: Roster['problems'] = [];

  constructor(directory: Directory, search: RosterSearch) {
    this.directory = directory;
    this.search = search;
    this.attributes = [...new Set(['objectClass', 'cn', 'uid', memberNames, ...memberDns, ...search.attributes])];
  }

  async read(): Promise<Roster> {
    const { base, objectClass, filter } = this.search;
    const all = `(objectClass=${escapeFilter(objectClass)})`;
    const more = filter === undefined || filter.startsWith('(') ? filter : `(${filter})`;
    const found = this.directory.search({
      base,
      filter: more === undefined ? all : `(&${all}${more})`,
      attributes: this.attributes,
    });
    const groups: RosterGroup[] = [];
    const groupEntries: Entry[] = [];
    for await (const entry of found) {
      if (isGroup(entry)) groupEntries.push(entry);
      else this.people.set(dnKey(entry.dn), entry);
    }
    for (const entry of groupEntries) groups.push({ name: nameOf(entry), members: await this.membersOf(entry) });
    return { people: [...this.people.values()], groups, problems: this.problems };
  }

  /** Of groups inside it too, each person once. */
  private async membersOf(group: Entry): Promise<Entry[]> {
    const members = new Map<string, Entry>();
    const seen = new Set<string>([dnKey(group.dn)]);
    const waiting = [group];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      for (const member of await this.partsOf(next)) {
        const key = dnKey(member.dn);
        if (!isGroup(member)) members.set(key, member);
        else if (!seen.has(key)) {
          if (seen.size >= limits.ldapGroupsMax) throw new InfinitError('full', 'too many groups in groups');
          seen.add(key);
          waiting.push(member);
        }
      }
    }
    for (const [key, member] of members) this.people.set(key, this.people.get(key) ?? member);
    return [...members.values()];
  }

  private async partsOf(group: Entry): Promise<Entry[]> {
    const dns = memberDns.flatMap((attribute) => valuesOf(group, attribute));
    const parts = await this.named(valuesOf(group, memberNames));
    for (const dn of dns) {
      const entry = await this.at(dn);
      if (entry !== undefined) parts.push(entry);
    }
    return parts;
  }

  /** One that is gone is told, once. */
  private async at(dn: string): Promise<Entry | undefined> {
    const key = dnKey(dn);
    if (this.entries.has(key)) return this.entries.get(key);
    let entry: Entry | undefined;
    try {
      const attributes = this.attributes;
      for await (const one of this.directory.search({ base: dn, filter: '(objectClass=*)', attributes, scope: 'base' }))
        entry ??= one;
    } catch (error) {
      if (!isError(error, 'not-found', 'usage')) throw error;
    }
    if (entry === undefined) this.problems.push({ name: dn, reason: 'is not in the directory' });
    this.entries.set(key, entry);
    return entry;
  }

  /** By `uid`, as posixGroups name their members. A name that several have stands for none of them. */
  private async named(names: readonly string[]): Promise<Entry[]> {
    const wanted = [...new Set(names.map((name) => name.toLowerCase()))];
    const found = new Map<string, Entry[]>();
    for (let at = 0; at < wanted.length; at += limits.ldapNamesPerSearch) {
      const some = wanted.slice(at, at + limits.ldapNamesPerSearch);
      const filter = `(|${some.map((name) => `(uid=${escapeFilter(name)})`).join('')})`;
      for await (const entry of this.directory.search({ base: this.search.root, filter, attributes: this.attributes }))
        for (const uid of valuesOf(entry, 'uid').map((value) => value.toLowerCase()))
          if (some.includes(uid)) found.set(uid, [...(found.get(uid) ?? []), entry]);
    }
    return wanted.flatMap((name) => {
      const [first, ...others] = found.get(name) ?? [];
      if (first !== undefined && others.length === 0) return [first];
      const reason = first === undefined ? 'is not in the directory' : 'stands for several entries of the directory';
      this.problems.push({ name, reason });
      return [];
    });
  }
}

function isGroup(entry: Entry): boolean {
  return valuesOf(entry, 'objectClass').some((one) => groupClasses.includes(one.toLowerCase()));
}

function nameOf(group: Entry): string {
  return valuesOf(group, 'cn')[0] ?? group.dn;
}
