// Two users of one volume, by paths, for tests of access lists of directories and files.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { utf8 } from '../../src/core/base/bytes.ts';
import { isError } from '../../src/core/base/errors.ts';
import { createVolume } from '../../src/core/descriptor/volumes.ts';
import { People } from '../../src/core/node/sharing/people.ts';
import { type OpenVolume, openVolume } from '../../src/core/node/volumes.ts';
import { type Attributes, type Files, reasonOf, rootInode } from '../../src/core/volume/files/files.ts';
import { choresOf } from '../../src/core/volume/files/mover.ts';
import { network, type TwoUsers, twoUsers } from './two-users.ts';

export const directory = { type: 'directory', mode: 0o755, uid: 1, gid: 1 } as const;
export const file = { type: 'file', mode: 0o644, uid: 1, gid: 1 } as const;

/** A user's files, by paths. */
export class User {
  readonly opened: OpenVolume;
  private readonly world: TwoUsers['world'];

  constructor(world: TwoUsers['world'], opened: OpenVolume) {
    this.world = world;
    this.opened = opened;
  }

  get files(): Files {
    return this.opened.files;
  }
  do<T>(task: Promise<T>): Promise<T> {
    return this.world.settle(task, { limitMs: 600_000 });
  }
  async at(path: string): Promise<Attributes> {
    let found = await this.do(this.files.attributes(rootInode));
    for (const name of path.split('/').filter((part) => part !== ''))
      found = await this.do(this.files.lookup(found.inode, utf8(name)));
    return found;
  }
  async make(path: string, node: typeof directory | typeof file): Promise<Attributes> {
    const [parent, name] = split(path);
    return this.do(this.files.make((await this.at(parent)).inode, utf8(name), node));
  }
  async write(path: string, text: string): Promise<void> {
    const { inode } = await this.at(path).catch(() => this.make(path, file));
    await this.do(this.files.write(inode, 0, utf8(text)));
    await this.do(this.files.sync(inode));
  }
  async read(path: string): Promise<string> {
    const { inode, size } = await this.at(path);
    return Buffer.concat(await this.do(this.files.read(inode, 0, Math.max(size, 1)))).toString();
  }
  async names(path: string): Promise<string[]> {
    const { entries } = await this.do(this.files.list((await this.at(path)).inode, 2n));
    return entries.map(({ name }) => Buffer.from(name).toString()).sort();
  }
  async set(path: string, name: string, value: string): Promise<void> {
    await this.do(this.files.setExtended((await this.at(path)).inode, utf8(`infinit.${name}`), utf8(value)));
  }
  async get(path: string, name: string): Promise<string> {
    const value = await this.do(this.files.getExtended((await this.at(path)).inode, utf8(`infinit.${name}`)));
    return Buffer.from(value).toString();
  }
  async unlink(path: string): Promise<void> {
    const [parent, name] = split(path);
    await this.do(this.files.unlink((await this.at(parent)).inode, utf8(name)));
  }
  async rmdir(path: string): Promise<void> {
    const [parent, name] = split(path);
    await this.do(this.files.removeDirectory((await this.at(parent)).inode, utf8(name)));
  }
  async rename(from: string, to: string): Promise<void> {
    const [[fromParent, name], [toParent, toName]] = [split(from), split(to)];
    const places = [
      { directory: (await this.at(fromParent)).inode, name: utf8(name) },
      { directory: (await this.at(toParent)).inode, name: utf8(toName) },
    ] as const;
    await this.do(this.files.rename(...places, 'replace'));
  }
  async settled(path: string): Promise<void> {
    for (let tries = 0; (await this.get(path, 'auth.resealing')) === 'moving'; tries++) {
      assert.ok(tries < 100, 'it is moved some time');
      await this.world.runFor(1000);
    }
  }
  stop(): Promise<void> {
    return this.do(this.opened.close());
  }
}

function split(path: string): [string, string] {
  const at = path.lastIndexOf('/');
  return [path.slice(0, at), path.slice(at + 1)];
}

export const denied = (error: unknown) => isError(error, 'denied');
export const reason = (wanted: string) => (error: Error) => isError(error) && reasonOf(error) === wanted;

/** No file is in a tree of a list, and nothing is to be done. */
export async function nothingLeft(alice: User): Promise<void> {
  const { files } = alice.opened;
  for (const domain of files.table.all) {
    assert.deepEqual(await alice.do(choresOf(files, domain)), []);
    if (domain.base === 0) continue;
    const { entries } = await alice.do((domain.now ?? assert.fail()).files.list(rootInode, 2n));
    assert.deepEqual(entries, [], 'nothing is left in the tree of a list');
  }
}

export async function scene(t: TestContext) {
  const all = await twoUsers(t);
  const { world, owner, bobs } = all;
  const volume = await world.settle(createVolume(owner.context, { as: 'alice', name: 'v', network }));
  const openFor = async (who: 'alice' | 'bob') => {
    const context = who === 'alice' ? owner.context : bobs.context;
    const people = new People(context);
    return new User(world, await world.settle(openVolume(all[who], volume, { door: true, people })));
  };
  const alice = await openFor('alice');
  await alice.set('/', 'auth.setrw', 'bob');
  const bob = await openFor('bob');
  return { ...all, users: { alice, bob }, openFor };
}
