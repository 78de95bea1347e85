// How a volume is shared, as the attributes `infinit.auth*` of everything in it tell and change it. One list a volume stands so far:
// that of its root, which everything in it inherits.

import { asBuffer, type Bytes, equalBytes, fromBase64, utf8 } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import type { Abortable } from '../../base/lifecycle.ts';
import type { KeyPair } from '../../crypto/keys.ts';
import type { ChangeShares, TreeAccess } from '../../tree/access.ts';
import type { Tree } from '../../tree/tree.ts';
import { fileError, rootInode } from '../../volume/files/files.ts';
import type { SpecialAttributes } from '../../volume/files/special.ts';
import type { People, Person } from './people.ts';
import { modeFrom, type Statement, signStatement, statementOf, type WorldMode, worldOfMode } from './statement.ts';

export interface VolumeSharingOptions {
  tree: Pick<Tree, 'access' | 'share' | 'treeId'>;
  user: KeyPair;
  people: People;
}

/** Fields of the original. */
interface Permission {
  name: string;
  read: boolean;
  write: boolean;
  owner: boolean;
  admin: boolean;
}

/** What `auth.NAME` gives who is named. */
const grants: Readonly<Record<string, WorldMode>> = { setr: 'r', setw: 'rw', setrw: 'rw', clear: 'none' };

export class VolumeSharing implements SpecialAttributes {
  private readonly options: VolumeSharingOptions;

  constructor(options: VolumeSharingOptions) {
    this.options = options;
  }

  async get(_inode: number, name: string, options: Abortable = {}): Promise<Bytes> {
    if (name === 'auth.inherit') return utf8('true');
    if (!['auth', 'auth_others', 'auth.resealing'].includes(name)) throw noAttribute();
    const access = await this.options.tree.access(options);
    if (name === 'auth.resealing') return utf8(access.resealing);
    const said = statementOf(this.options.tree.treeId, access);
    return utf8(name === 'auth' ? JSON.stringify(await this.permissions(said, access)) : said.world);
  }

  async set(inode: number, name: string, value: Bytes, options: Abortable = {}): Promise<void> {
    const text = asBuffer(value).toString('utf8').trim();
    const mode = name.startsWith('auth.') ? grants[name.slice('auth.'.length)] : undefined;
    if (mode === undefined && name !== 'auth_others' && name !== 'auth.inherit') throw unknown(name);
    checkPlace(inode);
    if (name === 'auth.inherit') return checkInherit(text);
    if (mode === undefined) return this.changeWorld(modeFrom(text), options);
    return this.changeUser(text, mode, options);
  }

  private changeWorld(world: WorldMode, options: Abortable): Promise<void> {
    return this.change((said) => ({ ...said, world }), options);
  }

  private async changeUser(text: string, mode: WorldMode, options: Abortable): Promise<void> {
    const access = await this.options.tree.access(options);
    const known = statementOf(this.options.tree.treeId, access).users;
    const person = await this.options.people.find(text, known);
    if (equalBytes(fromBase64(person.key), access.owner))
      throw new InfinitError('usage', `"${person.name}" owns the volume: he reads and writes it`);
    await this.change((said) => {
      const others = said.users.filter(({ key }) => key !== person.key);
      return { ...said, users: mode === 'none' ? others : [...others, { ...person, mode }] };
    }, options);
  }

  /** Says it, and shares the tree accordingly. Throws `denied` for who does not own it. */
  private change(edit: (said: Statement) => Statement, options: Abortable): Promise<void> {
    const { tree, user } = this.options;
    const change: ChangeShares = (now) => {
      const said = edit(statementOf(tree.treeId, now));
      const users = said.users.map(({ key, mode }) => ({ key: fromBase64(key), write: mode === 'rw' }));
      const note = (version: number) => signStatement(user, tree.treeId, version, said);
      return { users, world: worldOfMode(said.world), note };
    };
    return tree.share(change, options);
  }

  private async permissions({ users }: Statement, { owner }: TreeAccess): Promise<Permission[]> {
    const first = await this.options.people.nameOf(owner);
    const shown = (name: string, mode: string): Permission => ({
      name,
      read: true,
      write: mode === 'rw',
      owner: false,
      admin: false,
    });
    const named = users.map((entry) => this.nameOf(entry).then((name) => shown(name, entry.mode)));
    return [{ ...shown(first, 'rw'), owner: true, admin: true }, ...(await Promise.all(named))];
  }

  /** As this device knows him, else as the owner does. */
  private nameOf(person: Person): Promise<string> {
    return this.options.people.nameOf(fromBase64(person.key), [person]);
  }
}

function checkPlace(inode: number): void {
  if (inode === rootInode) return;
  throw new InfinitError('unsupported', 'who reads and writes is said for the whole volume, at its root', {
    hint: 'lists of single files and directories come in a later version; keep what others may not see in a volume of its own',
  });
}

function checkInherit(text: string): void {
  if (text === 'true') return;
  if (text !== 'false') throw new InfinitError('usage', `"${text}" is neither true nor false`);
  throw new InfinitError('unsupported', 'everything in a volume inherits the list of its root in this version');
}

function unknown(name: string): InfinitError {
  return new InfinitError('usage', `infinit.${name} cannot be set`);
}

function noAttribute(): InfinitError {
  return fileError('no-attribute', 'no such attribute');
}
