// Groups by the attributes of the original: `group.create`, `group.add` and so on, whatever file of a mount they are set at.

import { asBuffer, type Bytes, equalBytes, fromBase64, utf8 } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import type { Abortable } from '../../base/lifecycle.ts';
import type { KeyPair } from '../../crypto/keys.ts';
import { keyToJson } from '../../descriptor/keys.ts';
import { fileError } from '../../volume/files/files.ts';
import type { SpecialAttributes } from '../../volume/files/special.ts';
import type { GroupFacts, GroupRef, Groups, Part } from './groups.ts';
import type { People, Person } from './people.ts';
import type { Registry } from './registry.ts';

export interface GroupAttributesOptions {
  groups: Groups;
  user: KeyPair;
  people: People;
  registry: Pick<Registry, 'named'>;
  /** Somebody of a group may have come or gone. */
  changed: () => void;
}

export class GroupAttributes implements SpecialAttributes {
  private readonly options: GroupAttributesOptions;

  constructor(options: GroupAttributesOptions) {
    this.options = options;
  }

  async get(_inode: number, name: string, options: Abortable = {}): Promise<Bytes> {
    const { groups } = this.options;
    const [family = '', what = '', ...rest] = name.split('.');
    if (family === 'group' && what === 'list')
      return utf8(JSON.stringify(await this.shown(await groups.find(rest.join('.'), options), options)));
    if (family === 'group' && what === 'control_key')
      return utf8(JSON.stringify(keyToJson(await groups.owner(await groups.find(rest.join('.'), options), options))));
    const described = describedGroup(name);
    if (described === undefined) throw fileError('no-attribute', 'no such attribute');
    return utf8((await groups.show(await groups.find(described, options), options)).description);
  }

  async set(_inode: number, name: string, value: Bytes, options: Abortable = {}): Promise<void> {
    const text = asBuffer(value).toString('utf8').trim();
    const described = describedGroup(name);
    const { groups, changed } = this.options;
    if (described !== undefined) return groups.describe(await groups.find(described, options), text);
    const [group = '', ...rest] = text.split(':');
    await this.act(name, group, rest.join(':'), options);
    changed();
  }

  /** Who made it is the first of its admins. */
  private async shown(group: GroupRef, options: Abortable): Promise<GroupFacts> {
    const { groups, people } = this.options;
    const facts = await groups.show(group, options);
    const maker = await people.nameOf(await groups.owner(group, options));
    return { ...facts, admins: [maker, ...facts.admins.filter((name) => name !== maker)] };
  }

  private async act(name: string, group: string, who: string, options: Abortable): Promise<void> {
    const { groups } = this.options;
    if (name === 'group.create') return groups.create(group, await this.self(), options);
    const acts: Readonly<Record<string, (found: GroupRef) => Promise<void>>> = {
      'group.delete': (found) => groups.delete(found),
      'group.add': async (found) => groups.add(found, await this.part(who, options)),
      'group.remove': async (found) => groups.remove(found, await this.part(who, options)),
      'group.addadmin': async (found) => groups.setAdmin(found, await this.person(who), true),
      'group.removeadmin': async (found) => groups.setAdmin(found, await this.person(who), false),
    };
    const act = acts[name];
    if (act === undefined) throw new InfinitError('usage', `infinit.${name} cannot be set`);
    await act(await groups.find(group, options));
  }

  private async part(text: string, options: Abortable): Promise<Part> {
    if (!text.startsWith('@')) return { type: 'user', person: await this.person(text) };
    return { type: 'group', group: await this.options.groups.find(text.slice(1), options) };
  }

  private async person(text: string): Promise<Person> {
    return this.options.people.find(text, await this.options.registry.named(text));
  }

  private async self(): Promise<Person> {
    const { user, people } = this.options;
    const key = keyToJson(user.publicKey);
    const found = await people.find(JSON.stringify(key), []);
    if (!equalBytes(fromBase64(found.key), user.publicKey)) throw new InfinitError('internal', 'found another user');
    return found;
  }
}

/** `groups.NAME.description`. */
function describedGroup(name: string): string | undefined {
  return /^groups\.(.+)\.description$/.exec(name)?.[1];
}
