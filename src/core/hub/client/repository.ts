// A hub as a repository of descriptors, like the home: what it gives is checked as anything from outside, and must be what was asked
// for. Lists are of what concerns the person.

import { asError, InfinitError, isError } from '../../base/errors.ts';
import { object } from '../../descriptor/check.ts';
import type { DescriptorKind, DescriptorRepository, Descriptors } from '../../descriptor/descriptor.ts';
import { describe, nameOf } from '../../descriptor/home-repository.ts';
import { userHash } from '../../descriptor/keys.ts';
import { withoutMountpoint } from '../../descriptor/signing.ts';
import { checkDescriptor, labelOf } from '../../descriptor/stream.ts';
import { type HubKind, hubKinds, type Identity, type Outcome } from '../hub.ts';
import type { HubClient, Signer } from './client.ts';
import { networkPath, pathOf, userPath } from './paths.ts';

/** Last part of the path, which names the field of the answer too. */
const lists = {
  network: 'networks',
  passport: 'passports',
  volume: 'volumes',
  'key-value-store': 'kvs',
  drive: 'drives',
} as const;
const fields = { ...lists, 'key-value-store': 'key_value_stores' } as const;

export class HubRepository implements DescriptorRepository {
  readonly client: HubClient;

  constructor(client: HubClient) {
    this.client = client;
  }

  /** The same hub for another person. */
  as(person: Signer): HubRepository {
    return new HubRepository(this.client.as(person));
  }

  /** Of users `name` may be a `#hash`. */
  async get<K extends DescriptorKind>(kind: K, name: string): Promise<Descriptors[K]> {
    const asking = { what: `fetching ${describe(kind, name)}`, open: kind === 'user' };
    const answer = await this.client.ask('GET', pathOf(hubKind(kind), name), asking);
    return this.checked(kind, answer, name);
  }

  async has(kind: DescriptorKind, name: string): Promise<boolean> {
    try {
      await this.get(kind, name);
      return true;
    } catch (error) {
      if (isError(error, 'not-found')) return false;
      throw error;
    }
  }

  /** What the person owns or may use, of a kind other than users. */
  async list<K extends DescriptorKind>(kind: K): Promise<{ name: string; descriptor: Descriptors[K] }[]> {
    const kept = hubKind(kind);
    if (kept === 'user') throw new InfinitError('unsupported', 'a hub does not list its users');
    const person = this.client.person?.name ?? '';
    const what = `fetching ${labelOf(kind)}s`;
    const answer = await this.client.ask('GET', userPath(person, lists[kept]), { what });
    return listed(answer, fields[kept]).map((item) => {
      const descriptor = this.checked(kind, item);
      const name = kind === 'passport' ? `${(descriptor as Descriptors['passport']).network}/${person}` : undefined;
      return { name: name ?? nameOf(kind as Exclude<K, 'passport'>, descriptor as never), descriptor };
    });
  }

  async put<K extends DescriptorKind>(
    kind: K,
    name: string,
    descriptor: Descriptors[K],
    options: { replace?: boolean } = {},
  ): Promise<void> {
    if (!options.replace && (await this.has(kind, name)))
      throw new InfinitError('exists', `${describe(kind, name)} already exists`);
    await this.send(kind, name, descriptor);
  }

  /** Puts it, without what is this device's own; what that did. Beside users goes what lets them log in. */
  async send<K extends DescriptorKind>(
    kind: K,
    name: string,
    descriptor: Descriptors[K],
    beside: { identity?: Identity; ldap_password?: string } = {},
  ): Promise<Outcome> {
    const what = `pushing ${describe(kind, name)}`;
    const { private_key: _, ...open } = (
      'mount_options' in descriptor ? withoutMountpoint(descriptor) : descriptor
    ) as Descriptors['user'];
    const body = { ...open, ...beside };
    const answer = await this.client.ask('PUT', pathOf(hubKind(kind), name), { body, what });
    const { result } = answer as { result?: unknown };
    return result === 'created' || result === 'unchanged' ? result : 'updated';
  }

  async delete(kind: DescriptorKind, name: string, options: { purge?: boolean } = {}): Promise<void> {
    const query = options.purge ? 'purge=true' : '';
    await this.client.ask('DELETE', pathOf(hubKind(kind), name), { query, what: `pulling ${describe(kind, name)}` });
  }

  /** Passports of a network of the person's, by the name of whom each is for. */
  async passportsOf(network: string): Promise<{ name: string; descriptor: Descriptors['passport'] }[]> {
    const what = `fetching passports of network "${network}"`;
    const answer = await this.client.ask('GET', networkPath(network, 'passports'), { what });
    const { passports } = object<{ passports: object }>({ passports: (value) => (value ?? {}) as object }, {})(
      answer,
      '',
    );
    return Object.entries(passports).map(([user, item]) => ({
      name: `${network}/${user}`,
      descriptor: this.checked('passport', item, `${network}/${user}`),
    }));
  }

  private checked<K extends DescriptorKind>(kind: K, value: unknown, name?: string): Descriptors[K] {
    let descriptor: Descriptors[K];
    try {
      descriptor = checkDescriptor(kind, value);
    } catch (error) {
      throw new InfinitError('corrupt', `the hub gives a bad ${asError(error).message}`, { cause: error });
    }
    if ((descriptor as { private_key?: unknown }).private_key !== undefined)
      throw new InfinitError('corrupt', 'the hub gives a private key');
    const is = kind === 'passport' ? (descriptor as Descriptors['passport']).network : undefined;
    const given = is ?? nameOf(kind as Exclude<K, 'passport'>, descriptor as never);
    const wanted = is === undefined ? name : name?.split('/').slice(0, 2).join('/');
    const isByHash = kind === 'user' && wanted?.startsWith('#');
    const found = isByHash ? userHash((descriptor as Descriptors['user']).public_key) : given;
    if (wanted !== undefined && found !== wanted)
      throw new InfinitError('corrupt', `the hub gives ${labelOf(kind)} "${given}" for "${wanted}"`);
    return descriptor;
  }
}

function hubKind(kind: DescriptorKind): HubKind {
  const found = hubKinds.find((one) => one === kind);
  if (found === undefined) throw new InfinitError('unsupported', `a ${labelOf(kind)} does not leave the device`);
  return found;
}

function listed(answer: unknown, field: string): unknown[] {
  const items = (answer as Record<string, unknown> | null)?.[field];
  if (!Array.isArray(items)) throw new InfinitError('corrupt', `the hub's answer has no list "${field}"`);
  return items;
}
