// Whom a name stands for: users known on this device, those of a list, by name, by the short hash of the key, or by the key itself.

import { type Bytes, fromBase64, toBase64 } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import { publicKeyBytes } from '../../crypto/keys.ts';
import { isSealable } from '../../crypto/sealed-box.ts';
import type { DescriptorContext } from '../../descriptor/context.ts';
import { keyToJson, userHash } from '../../descriptor/keys.ts';

export interface Person {
  name: string;
  /** Base64. */
  key: string;
}

export class People {
  private readonly context: DescriptorContext;

  constructor(context: DescriptorContext) {
    this.context = context;
  }

  /** `others`: known besides those of this device, which come first. Throws `usage` for who is not known, or not told apart. */
  async find(text: string, others: readonly Person[]): Promise<Person> {
    if (text.startsWith('{')) return personOfKey(text, await this.all(others));
    const all = await this.all(others);
    const isMeant = ({ name, key }: Person) => (text.startsWith('#') ? hashOf(key) === text : name === text);
    const found = all.filter(isMeant);
    const [first] = found;
    if (first === undefined) {
      const hint = 'import his user with `infinit user import`, or name him by his key: {"ed25519":"..."}';
      throw new InfinitError('usage', `user "${text}" is not known here`, { hint });
    }
    if (found.some(({ key }) => key !== first.key))
      throw new InfinitError('usage', `"${text}" stands for several users: name him by his key`);
    return first;
  }

  /** The name of a key here; its short hash when it has none. */
  async nameOf(key: Bytes, others: readonly Person[] = []): Promise<string> {
    const text = toBase64(key);
    return (await this.all(others)).find((person) => person.key === text)?.name ?? hashOf(text);
  }

  /** Where a name is known here, what others say it stands for does not count. */
  private async all(others: readonly Person[]): Promise<Person[]> {
    const users = await this.context.repository.list('user');
    const here = users.map(({ descriptor }) => ({ name: descriptor.name, key: descriptor.public_key.ed25519 }));
    const names = new Set(here.map(({ name }) => name));
    return [...here, ...others.filter(({ name }) => !names.has(name))];
  }
}

function personOfKey(text: string, all: readonly Person[]): Person {
  const key = keyIn(text);
  const name = all.find((person) => person.key === toBase64(key))?.name;
  return { name: name ?? hashOf(toBase64(key)), key: toBase64(key) };
}

function keyIn(text: string): Bytes {
  try {
    const { ed25519 } = JSON.parse(text) as { ed25519?: unknown };
    const key = fromBase64(String(ed25519));
    if (key.length === publicKeyBytes && isSealable(key)) return key;
  } catch {
    // Told below.
  }
  throw new InfinitError('usage', 'expected a key such as {"ed25519":"..."}');
}

function hashOf(key: string): string {
  return userHash(keyToJson(fromBase64(key)));
}
