// Users who have registered their name in a network: an entry of the network register under a hash of it, signed by the user himself,
// whose place is his key. It is his own word: several may say it, and then the name stands for none of them.

import { type Bytes, equalBytes, toBase64, utf8 } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import type { Abortable } from '../../base/lifecycle.ts';
import { labelledHash } from '../../crypto/hash.ts';
import type { KeyPair } from '../../crypto/keys.ts';
import { keyToJson } from '../../descriptor/keys.ts';
import { isName } from '../../descriptor/names.ts';
import { treeIdBytes } from '../../tree/root.ts';
import { fileError } from '../../volume/files/files.ts';
import type { SpecialAttributes } from '../../volume/files/special.ts';
import type { Node } from '../node.ts';
import type { People, Person } from './people.ts';

export interface RegistryOptions {
  register: Node['networkRegister'];
  user: KeyPair;
  people: People;
}

/** `register.NAME` registers, `resolve.NAME` tells the key. */
export class Registry implements SpecialAttributes {
  private readonly options: RegistryOptions;

  constructor(options: RegistryOptions) {
    this.options = options;
  }

  /** Everybody who says that it is his name. */
  async named(name: string, options: Abortable = {}): Promise<Person[]> {
    if (!isName(name)) return [];
    const entries = (await this.options.register?.named(nameId(name), options)) ?? [];
    return entries
      .filter(({ owner, root }) => equalBytes(owner, root))
      .map(({ owner }) => ({ name, key: toBase64(owner) }));
  }

  async get(_inode: number, name: string, options: Abortable = {}): Promise<Bytes> {
    const [family, ...rest] = name.split('.');
    if (family !== 'resolve') throw fileError('no-attribute', 'no such attribute');
    const user = rest.join('.');
    const [first, ...others] = await this.named(user, options);
    if (first === undefined) throw new InfinitError('usage', `user "${user}" is not registered in this network`);
    if (others.length > 0) throw new InfinitError('usage', `several users are registered as "${user}"`);
    return utf8(JSON.stringify({ ed25519: first.key }));
  }

  async set(_inode: number, name: string, _value: Bytes, options: Abortable = {}): Promise<void> {
    const [family, ...rest] = name.split('.');
    const wanted = rest.join('.');
    const { register, user, people } = this.options;
    if (family !== 'register' || register === undefined)
      throw new InfinitError('usage', `infinit.${name} cannot be set`);
    const { name: own } = await people.find(JSON.stringify(keyToJson(user.publicKey)), []);
    if (own !== wanted) throw new InfinitError('denied', `you are "${own}": users register themselves`);
    await register.addTree(user, nameId(own), user.publicKey, options);
  }
}

function nameId(name: string): Buffer {
  return labelledHash('user-name', utf8(name)).subarray(0, treeIdBytes);
}
