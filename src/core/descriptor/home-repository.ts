// Descriptors as files of the data folder: users/NAME, silos/NAME, networks/OWNER/NAME, volumes/OWNER/NAME,
// key_value_stores/OWNER/NAME, drives/OWNER/NAME, credentials/SERVICE/ACCOUNT, passports/OWNER/NETWORK/USER, linked_networks/USER/OWNER/NAME. Folders are 0700, files 0600 and replaced atomically.

import { join } from 'node:path';
import { asError, assert, InfinitError, isError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { DescriptorKind, DescriptorRepository, Descriptors, Home } from './descriptor.ts';
import { isName } from './names.ts';
import { describeCredentials } from './services.ts';
import { formatDescriptor, labelOf, parseDescriptor } from './stream.ts';

const folders: { [K in DescriptorKind]: { folder: string; depth: number } } = {
  user: { folder: 'users', depth: 1 },
  silo: { folder: 'silos', depth: 1 },
  credentials: { folder: 'credentials', depth: 2 },
  network: { folder: 'networks', depth: 2 },
  'linked-network': { folder: 'linked_networks', depth: 3 },
  passport: { folder: 'passports', depth: 3 },
  volume: { folder: 'volumes', depth: 2 },
  'key-value-store': { folder: 'key_value_stores', depth: 2 },
  drive: { folder: 'drives', depth: 2 },
};

const strayFilesMax = 1000;

/** The name under which a descriptor is kept; a passport's ends with the name its user has here, which it does not hold. */
export function nameOf<K extends Exclude<DescriptorKind, 'passport'>>(kind: K, descriptor: Descriptors[K]): string {
  return kind === 'linked-network'
    ? `${(descriptor as Descriptors['linked-network']).user}/${descriptor.name}`
    : descriptor.name;
}

/** For people: `network "alice/n"`, `AWS credentials "work"`, `passport "alice/n: bob"`, `link of user "bob" to network "alice/n"`. */
export function describe(kind: DescriptorKind, name: string): string {
  const parts = name.split('/');
  if (kind === 'credentials') return describeCredentials(name);
  if (kind === 'passport') return `passport "${parts.slice(0, 2).join('/')}: ${parts[2]}"`;
  if (kind === 'linked-network') return `link of user "${parts[0]}" to network "${parts.slice(1).join('/')}"`;
  return `${labelOf(kind)} "${name}"`;
}

export class HomeRepository implements DescriptorRepository {
  private readonly runtime: Pick<Runtime, 'files' | 'log'>;
  private readonly home: Home;

  constructor(runtime: Pick<Runtime, 'files' | 'log'>, home: Home) {
    this.runtime = runtime;
    this.home = home;
  }

  async get<K extends DescriptorKind>(kind: K, name: string): Promise<Descriptors[K]> {
    const path = this.pathOf(kind, name);
    let content: Buffer;
    try {
      content = await this.runtime.files.read(path, { limit: limits.descriptorBytesMax });
    } catch (error) {
      if (isError(error, 'not-found')) throw new InfinitError('not-found', `${describe(kind, name)} does not exist`);
      throw isError(error, 'full') ? unreadable(kind, name, path, error) : error;
    }
    try {
      const descriptor = parseDescriptor(kind, content);
      if (!isNamed(kind, descriptor, name)) throw new InfinitError('corrupt', 'it holds another name than its file');
      return descriptor;
    } catch (error) {
      throw unreadable(kind, name, path, error);
    }
  }

  async has(kind: DescriptorKind, name: string): Promise<boolean> {
    return (await this.runtime.files.stat(this.pathOf(kind, name)))?.kind === 'file';
  }

  /** Sorted by name. A file that cannot be read is logged and left out. */
  async list<K extends DescriptorKind>(kind: K): Promise<{ name: string; descriptor: Descriptors[K] }[]> {
    const found: { name: string; descriptor: Descriptors[K] }[] = [];
    for (const name of await this.names(kind)) {
      try {
        found.push({ name, descriptor: await this.get(kind, name) });
      } catch (error) {
        if (isError(error, 'not-found')) continue;
        this.runtime.log.write('warn', 'descriptor', asError(error).message);
      }
    }
    return found;
  }

  async put<K extends DescriptorKind>(
    kind: K,
    name: string,
    descriptor: Descriptors[K],
    options: { replace?: boolean } = {},
  ): Promise<void> {
    assert(isNamed(kind, descriptor, name), `descriptor put as ${name}`);
    if (!options.replace && (await this.has(kind, name)))
      throw new InfinitError('exists', `${describe(kind, name)} already exists`);
    const path = this.pathOf(kind, name);
    await this.runtime.files.makeDirectory(join(path, '..'));
    await this.runtime.files.replace(path, formatDescriptor(kind, descriptor), { mode: 0o600 });
  }

  async delete(kind: DescriptorKind, name: string): Promise<void> {
    if (!(await this.has(kind, name))) throw new InfinitError('not-found', `${describe(kind, name)} does not exist`);
    await this.runtime.files.remove(this.pathOf(kind, name));
  }

  /** Names are checked, so a path never leaves its folder. */
  private pathOf(kind: DescriptorKind, name: string): string {
    const { folder, depth } = folders[kind];
    const parts = name.split('/');
    if (parts.length !== depth || !parts.every(isName))
      throw new InfinitError('usage', `invalid ${labelOf(kind)} name ${JSON.stringify(name.slice(0, 400))}`);
    return join(this.home.data, folder, ...parts);
  }

  private async names(kind: DescriptorKind): Promise<string[]> {
    const { folder, depth } = folders[kind];
    let found: string[] = [''];
    for (let level = 0; level < depth; level++) {
      const next: string[] = [];
      for (const parent of found) {
        const entries = await this.entries(join(this.home.data, folder, parent));
        next.push(...entries.map((entry) => (parent === '' ? entry : `${parent}/${entry}`)));
      }
      found = next;
    }
    return found;
  }

  /** A stray file or a closed folder among them hides nothing else. */
  private async entries(path: string): Promise<string[]> {
    try {
      return (await this.runtime.files.list(path)).filter(isName);
    } catch (error) {
      this.runtime.log.write('warn', 'descriptor', `${path} cannot be listed: ${asError(error).message}`);
      return [];
    }
  }
}

function isNamed<K extends DescriptorKind>(kind: K, descriptor: Descriptors[K], name: string): boolean {
  if (kind === 'passport') return name.startsWith(`${(descriptor as Descriptors['passport']).network}/`);
  return nameOf(kind as Exclude<DescriptorKind, 'passport'>, descriptor as never) === name;
}

function unreadable(kind: DescriptorKind, name: string, path: string, cause: unknown): InfinitError {
  const reason = asError(cause).message;
  return new InfinitError('corrupt', `${describe(kind, name)} cannot be read from ${path}: ${reason}`, { cause });
}

/** Files among descriptors that are none, or cannot be read, as paths below the data folder with the reason; at most 1,000. */
export async function strayFiles(
  runtime: Pick<Runtime, 'files' | 'log'>,
  home: Home,
): Promise<{ path: string; reason: string }[]> {
  const repository = new HomeRepository(runtime, home);
  const stray: { path: string; reason: string }[] = [];
  const kinds = Object.entries(folders) as [DescriptorKind, { folder: string; depth: number }][];
  const look = async (kind: DescriptorKind, path: string, name: string, depth: number): Promise<void> => {
    const there = await runtime.files.stat(join(home.data, path));
    if (there === undefined || stray.length >= strayFilesMax) return;
    if (depth > 0) {
      if (there.kind !== 'directory') stray.push({ path, reason: 'is not a folder' });
      else
        for (const entry of await runtime.files.list(join(home.data, path)))
          await look(kind, `${path}/${entry}`, name === '' ? entry : `${name}/${entry}`, depth - 1);
      return;
    }
    try {
      await repository.get(kind, name);
    } catch (error) {
      stray.push({ path, reason: asError(error).message });
    }
  };
  for (const [kind, { folder, depth }] of kinds) await look(kind, folder, '', depth);
  return stray;
}
