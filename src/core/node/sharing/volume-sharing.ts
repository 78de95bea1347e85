// How what is in one tree of a volume is shared, as the attributes `infinit.auth*` of everything in it tell and change it. What is set
// where the list of the tree begins changes that list; what is set below it takes the place out of the tree.

import { asBuffer, type Bytes, equalBytes, fromBase64, toBase64, toHex, utf8 } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import type { Abortable } from '../../base/lifecycle.ts';
import type { KeyPair } from '../../crypto/keys.ts';
import type { ChangeShares, TreeAccess } from '../../tree/access.ts';
import type { Tree } from '../../tree/tree.ts';
import { fileError } from '../../volume/files/files.ts';
import type { SpecialAttributes } from '../../volume/files/special.ts';
import type { Groups } from './groups.ts';
import type { People, Person } from './people.ts';
import type { Registry } from './registry.ts';
import {
  listHash,
  type Mode,
  modeFrom,
  type NamedGroup,
  ownStatement,
  type Statement,
  signStatement,
  statementOf,
  type WorldMode,
  worldOfMode,
} from './statement.ts';

export interface VolumeSharingOptions {
  tree: Pick<Tree, 'access' | 'share' | 'treeId'>;
  user: KeyPair;
  people: People;
  /** Who says that a name is his. */
  registry: Pick<Registry, 'named'>;
  groups: Pick<Groups, 'find' | 'members'>;
  /** Of the network: every list has them. */
  admins: () => readonly { key: Bytes; write: boolean }[];
  /** Lists of what is in the tree. */
  lists: ListsWithin;
}

/** What of a tree has its list, and what becomes of what gets another one. */
export interface ListsWithin {
  /** The inode, with what is below, is all that the tree's list is for. */
  isWhole(inode: number): Promise<boolean>;
  /** While nothing else comes under the list. */
  changing(inode: number, change: () => Promise<void>): Promise<void>;
  /** The inode gets that list, for itself and what is below. */
  separate(inode: number, said: Statement): Promise<void>;
  isMoving(inode: number): Promise<boolean>;
  /** Paths of what has a list of its own below. */
  below(inode: number): Promise<string[]>;
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

type Edit = (said: Statement) => Statement;

export class VolumeSharing implements SpecialAttributes {
  private readonly options: VolumeSharingOptions;

  constructor(options: VolumeSharingOptions) {
    this.options = options;
  }

  async get(inode: number, name: string, options: Abortable = {}): Promise<Bytes> {
    const { lists } = this.options;
    if (name === 'auth.inherit') return utf8('true');
    if (name === 'auth.below') return utf8(JSON.stringify(await lists.below(inode)));
    if (name === 'auth.resealing' && (await lists.isMoving(inode))) return utf8('moving');
    if (!['auth', 'auth_others', 'auth.resealing'].includes(name)) throw noAttribute();
    const access = await this.options.tree.access(options);
    if (name === 'auth.resealing') return utf8(access.resealing);
    const said = this.said(access);
    return utf8(name === 'auth' ? JSON.stringify(await this.permissions(said, access)) : said.world);
  }

  async set(inode: number, name: string, value: Bytes, options: Abortable = {}): Promise<void> {
    const text = asBuffer(value).toString('utf8').trim();
    const mode = name.startsWith('auth.') ? grants[name.slice('auth.'.length)] : undefined;
    if (mode === undefined && name !== 'auth_others' && name !== 'auth.inherit') throw unknown(name);
    if (name === 'auth.inherit') return checkInherit(text);
    const edit = await this.editOf(text, mode, options);
    const { lists, tree, user } = this.options;
    if (await lists.isWhole(inode)) return lists.changing(inode, () => this.change(edit, options));
    const access = await tree.access(options);
    if (!equalBytes(access.owner, user.publicKey))
      throw new InfinitError('denied', 'only the owner says who reads and writes');
    const before = this.said(access);
    const said = edit(before);
    if (!equalBytes(listHash(said), listHash(before))) await lists.separate(inode, said);
  }

  /** As the owner: what is said from now on. */
  say(said: Statement, options: Abortable = {}): Promise<void> {
    return this.change(() => said, options);
  }

  /** What the owner himself said last. */
  async own(options: Abortable = {}): Promise<Statement | undefined> {
    const { tree, user } = this.options;
    const access = await tree.access(options);
    return equalBytes(access.owner, user.publicKey) ? ownStatement(tree.treeId, access) : undefined;
  }

  private editOf(text: string, mode: WorldMode | undefined, options: Abortable): Promise<Edit> | Edit {
    if (mode === undefined) {
      const world = modeFrom(text);
      return (said) => ({ ...said, world });
    }
    return text.startsWith('@') ? this.editGroup(text.slice(1), mode, options) : this.editUser(text, mode, options);
  }

  /**
   * As its owner: shares the tree as the groups it is shared with have become. Whether that changed anything. Throws `unavailable`
   * when a group cannot be read: nobody is left out for that.
   */
  async follow(options: Abortable = {}): Promise<boolean> {
    const { tree, user } = this.options;
    const access = await tree.access(options);
    if (!equalBytes(access.owner, user.publicKey)) return false;
    const said = this.said(access);
    if (said.groups.length === 0) return false;
    const rights = new Map(access.users.map(({ key, write }) => [toHex(key), write]));
    const wanted = this.usersOf(said, await this.expand(said, options), access.owner);
    if (wanted.length === rights.size && wanted.every(({ key, write }) => rights.get(toHex(key)) === write))
      return false;
    await this.change((now) => now, options);
    return true;
  }

  private async editUser(text: string, mode: WorldMode, options: Abortable): Promise<Edit> {
    const access = await this.options.tree.access(options);
    const known = this.said(access).users;
    const registered = await this.options.registry.named(text, options);
    const person = await this.options.people.find(text, [...known, ...registered]);
    if (equalBytes(fromBase64(person.key), access.owner))
      throw new InfinitError('usage', `"${person.name}" owns the volume: he reads and writes it`);
    return (said) => {
      const others = said.users.filter(({ key }) => key !== person.key);
      return { ...said, users: mode === 'none' ? others : [...others, { ...person, mode }] };
    };
  }

  private async editGroup(name: string, mode: WorldMode, options: Abortable): Promise<Edit> {
    const { tree, groups } = this.options;
    const known = this.said(await tree.access(options)).groups.find((group) => group.name === name);
    const register = known?.register ?? toBase64((await groups.find(name, options)).register);
    return (said) => {
      const others = said.groups.filter((group) => group.register !== register);
      return { ...said, groups: mode === 'none' ? others : [...others, { name, register, mode }] };
    };
  }

  /** Says it, and shares the tree accordingly. Throws `denied` for who does not own it. */
  private async change(edit: Edit, options: Abortable): Promise<void> {
    const { tree, user } = this.options;
    const expanded = await this.expand(edit(this.said(await tree.access(options))), options);
    const change: ChangeShares = (now) => {
      const said = edit(this.said(now));
      const note = (version: number) => signStatement(user, tree.treeId, version, said);
      return { users: this.usersOf(said, expanded, now.owner), world: worldOfMode(said.world), note };
    };
    await tree.share(change, options);
  }

  /** Keys of who is in the groups named, by the group's register. */
  private async expand({ groups }: Statement, options: Abortable): Promise<ReadonlyMap<string, readonly Bytes[]>> {
    const expand = async ({ name, register }: NamedGroup) => {
      const ref = { name, register: fromBase64(register) };
      return [register, await this.options.groups.members(ref, options)] as const;
    };
    return new Map(await Promise.all(groups.map(expand)));
  }

  /** What is named for each key at most; the owner does not need it. Throws `unavailable` for a group said meanwhile. */
  private usersOf(
    { users, groups }: Statement,
    expanded: ReadonlyMap<string, readonly Bytes[]>,
    owner: Bytes,
  ): { key: Bytes; write: boolean }[] {
    const rights = new Map<string, { key: Bytes; write: boolean }>();
    const give = (key: Bytes, mode: Mode) => {
      const write = mode === 'rw' || rights.get(toHex(key))?.write === true;
      if (!equalBytes(key, owner)) rights.set(toHex(key), { key, write });
    };
    for (const { key, write } of this.options.admins()) give(key, write ? 'rw' : 'r');
    for (const { key, mode } of users) give(fromBase64(key), mode);
    for (const { register, mode } of groups) {
      const members = expanded.get(register);
      if (members === undefined) throw new InfinitError('unavailable', 'another device shares the volume');
      for (const key of members) give(key, mode);
    }
    return [...rights.values()];
  }

  private async permissions(
    { users, groups }: Statement,
    { owner, users: listedUsers }: TreeAccess,
  ): Promise<Permission[]> {
    const first = await this.options.people.nameOf(owner);
    const shown = (name: string, mode: string): Permission => ({
      name,
      read: true,
      write: mode === 'rw',
      owner: false,
      admin: false,
    });
    const named = users.map((entry) => this.nameOf(entry).then((name) => shown(name, entry.mode)));
    const inGroups = groups.map(({ name, mode }) => shown(`@${name}`, mode));
    const listed = await Promise.all(
      this.adminsIn(listedUsers).map(async ({ key, write }) => {
        const name = await this.options.people.nameOf(key);
        return { ...shown(name, write ? 'rw' : 'r'), admin: true };
      }),
    );
    return [{ ...shown(first, 'rw'), owner: true, admin: true }, ...listed, ...(await Promise.all(named)), ...inGroups];
  }

  private said(access: TreeAccess): Statement {
    return statementOf(this.options.tree.treeId, access, this.options.admins());
  }

  /** Admins of the network who are in a list: they come into it when it is written. */
  private adminsIn(users: TreeAccess['users']): { key: Bytes; write: boolean }[] {
    return this.options.admins().filter((admin) => users.some(({ key }) => equalBytes(key, admin.key)));
  }

  /** As this device knows him, else as the owner does. */
  private nameOf(person: Person): Promise<string> {
    return this.options.people.nameOf(fromBase64(person.key), [person]);
  }
}

function checkInherit(text: string): void {
  if (text === 'true') return;
  if (text !== 'false') throw new InfinitError('usage', `"${text}" is neither true nor false`);
  throw new InfinitError('unsupported', 'what is in a directory has its list, or one of its own, in this version');
}

function unknown(name: string): InfinitError {
  return new InfinitError('usage', `infinit.${name} cannot be set`);
}

function noAttribute(): InfinitError {
  return fileError('no-attribute', 'no such attribute');
}
