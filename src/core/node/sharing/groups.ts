// Groups of people: each a register owned by who made it, its payload in the clear (membership is no secret: it shows in the lists of
// what is shared with a group). Its admins are the register's writers, so only its owner changes them. A name is an entry of the
// network register under a hash of it.

import { type Bytes, equalBytes, fromBase64, toBase64, toHex, utf8 } from '../../base/bytes.ts';
import { bool, type CodecType, decode, encode, fixed, list, struct, text, u8 } from '../../base/codec.ts';
import { InfinitError, isError } from '../../base/errors.ts';
import type { Abortable } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import { type Address, address, registerAddress } from '../../block/address.ts';
import { accessInClear } from '../../block/register.ts';
import type { NewAccess, RegisterSnapshot } from '../../consensus/consensus.ts';
import { labelledHash } from '../../crypto/hash.ts';
import { type KeyPair, publicKeyBytes } from '../../crypto/keys.ts';
import { isSealable } from '../../crypto/sealed-box.ts';
import { checkName, isName } from '../../descriptor/names.ts';
import type { TreeEntry } from '../../store/tree-entries.ts';
import { treeIdBytes } from '../../tree/root.ts';
import type { Node } from '../node.ts';
import { placementOf } from '../trees.ts';
import type { Person } from './people.ts';

const format = 1;
const sealableKeptMax = 4096;
const person = struct({ name: text(limits.nameCharsMax), key: fixed(publicKeyBytes) });
const record = struct({
  format: u8,
  description: text(1024),
  /** It may be made again, by its owner. */
  deleted: bool,
  members: list(person, limits.groupMembersMax),
  groups: list(struct({ name: text(limits.nameCharsMax), register: address }), limits.groupGroupsMax),
  /** Names of the register's writers. */
  admins: list(person, limits.groupMembersMax),
});
type Group = CodecType<typeof record>;

/** A group by what does not change. */
export interface GroupRef {
  name: string;
  register: Address;
}

export interface GroupFacts {
  admins: string[];
  members: string[];
  description: string;
}

/** Somebody, or a group, that becomes part of a group. */
export type Part = { type: 'user'; person: Person } | { type: 'group'; group: GroupRef };

export class Groups {
  private readonly node: Node;
  private readonly user: KeyPair;
  /** Whether something can be sealed to a key: a group's admins write what they like. */
  private readonly sealable = new Map<string, boolean>();

  constructor(node: Node, user: KeyPair) {
    this.node = node;
    this.user = user;
  }

  /** One's own, or the only one of that name. Throws `usage` for none, or several of others. */
  async find(name: string, options: Abortable = {}): Promise<GroupRef> {
    const found = await this.named(name, options);
    const own = found.find(({ owner }) => equalBytes(owner, this.user.publicKey));
    const entry = own ?? found[0];
    if (entry === undefined) throw new InfinitError('usage', `group "${name}" does not exist`);
    if (own === undefined && found.length > 1)
      throw new InfinitError('usage', `there are several groups "${name}", and none of them is yours`);
    return { name, register: entry.root };
  }

  /** Throws `exists`, also when somebody else has one of that name. */
  async create(name: string, maker: Person, options: Abortable = {}): Promise<void> {
    checkName('group', name);
    const exists = () => new InfinitError('exists', `group "${name}" exists`);
    const group: Group = {
      ...{ format, description: '', deleted: false, groups: [], admins: [] },
      members: [entryOf(maker)],
    };
    const [known] = await this.named(name, options);
    if (known !== undefined) {
      if (!equalBytes(known.owner, this.user.publicKey)) throw exists();
      const revived = (now: Group): Group => {
        if (!now.deleted) throw exists();
        return { ...group, admins: now.admins };
      };
      return this.write({ name, register: known.root }, (snapshot) => revived(groupOf(snapshot)));
    }
    const { networkRegister, registers, runtime } = this.node;
    if (networkRegister === undefined) throw new InfinitError('not-found', 'the network is not founded yet');
    const owner = this.user;
    const salt = runtime.random.bytes(32);
    const at = registerAddress(owner.publicKey, salt);
    const members = await placementOf(this.node, at, options);
    const access = accessInClear(owner.publicKey);
    await registers.create({ owner, salt, members, access, payload: encode(record, group) }, options);
    await networkRegister.addTree(owner, groupId(name), at, options);
  }

  /** Nobody is in it any more; its name stays its owner's. */
  async delete(group: GroupRef): Promise<void> {
    await this.change(group, (now, snapshot) => {
      this.checkOwner(snapshot);
      return { ...now, deleted: true, members: [], groups: [], description: '' };
    });
  }

  async describe(group: GroupRef, description: string): Promise<void> {
    await this.change(group, (now) => ({ ...now, description }));
  }

  async add(to: GroupRef, part: Part): Promise<void> {
    if (part.type === 'group' && (await this.contains(part.group, to)))
      throw new InfinitError('usage', `group "${to.name}" would be in itself`);
    await this.change(to, (now) => {
      if (part.type === 'user') return { ...now, members: withPerson(now.members, part.person) };
      const others = now.groups.filter(({ register }) => !equalBytes(register, part.group.register));
      if (others.length >= limits.groupGroupsMax)
        throw new InfinitError('full', `at most ${limits.groupGroupsMax} groups are in one`);
      return { ...now, groups: [...others, part.group] };
    });
  }

  async remove(from: GroupRef, part: Part): Promise<void> {
    await this.change(from, (now) => {
      if (part.type === 'user') return { ...now, members: withoutPerson(now.members, part.person) };
      return { ...now, groups: now.groups.filter(({ register }) => !equalBytes(register, part.group.register)) };
    });
  }

  /** Its owner only: what is shared cannot be taken back, so admins get no key of their own. */
  async setAdmin(group: GroupRef, admin: Person, isAdmin: boolean): Promise<void> {
    const change = (snapshot: RegisterSnapshot): { payload: Bytes; access: NewAccess } => {
      this.checkOwner(snapshot);
      const { readers, worldReader, worldWrite } = snapshot.access;
      const now = livingGroup(snapshot, group);
      const admins = isAdmin ? withPerson(now.admins, admin) : withoutPerson(now.admins, admin);
      const access = { readers, worldReader, worldWrite, writers: admins.map(({ key }) => key) };
      return { payload: encode(record, { ...now, admins }), access };
    };
    await this.node.registers.share(group.register, this.user, change);
  }

  async show(group: GroupRef, options: Abortable = {}): Promise<GroupFacts> {
    const now = livingGroup(await this.node.registers.read(group.register, options), group);
    const members = [...now.members.map(({ name }) => name), ...now.groups.map(({ name }) => `@${name}`)];
    return { admins: now.admins.map(({ name }) => name), members, description: now.description };
  }

  /** Key of who made it. */
  async owner(group: GroupRef, options: Abortable = {}): Promise<Bytes> {
    return (await this.node.registers.read(group.register, options)).access.owner;
  }

  /** Keys of all in it, groups in it included; nobody when it is deleted. Throws `unavailable`. */
  async members(group: GroupRef, options: Abortable = {}): Promise<Bytes[]> {
    const keys = new Map<string, Bytes>();
    await this.walk(group, options, ({ members }) => {
      for (const { key } of members) keys.set(toHex(key), key);
    });
    return [...keys.values()].filter((key) => this.isSealable(key));
  }

  private isSealable(key: Bytes): boolean {
    const name = toHex(key);
    const known = this.sealable.get(name);
    if (known !== undefined) return known;
    if (this.sealable.size >= sealableKeptMax) this.sealable.clear();
    const can = isSealable(key);
    this.sealable.set(name, can);
    return can;
  }

  private async contains(outer: GroupRef, inner: GroupRef): Promise<boolean> {
    let found = equalBytes(outer.register, inner.register);
    await this.walk(outer, {}, ({ groups }) => {
      found ||= groups.some(({ register }) => equalBytes(register, inner.register));
    });
    return found;
  }

  /** Each group once: two that contain each other end too. */
  private async walk(group: GroupRef, options: Abortable, visit: (group: Group) => void): Promise<void> {
    const waiting = [group.register];
    const seen = new Set<string>();
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (seen.has(toHex(next))) continue;
      seen.add(toHex(next));
      if (seen.size > limits.groupsWalkedMax) throw new InfinitError('full', 'too many groups are within each other');
      const now = groupOf(await this.node.registers.read(next, options));
      visit(now);
      waiting.push(...now.groups.map(({ register }) => register));
    }
  }

  private change(group: GroupRef, edit: (now: Group, snapshot: RegisterSnapshot) => Group): Promise<void> {
    return this.write(group, (snapshot) => edit(livingGroup(snapshot, group), snapshot));
  }

  private async write(group: GroupRef, edit: (snapshot: RegisterSnapshot) => Group): Promise<void> {
    try {
      await this.node.registers.write(group.register, this.user, (snapshot) => encode(record, edit(snapshot)));
    } catch (error) {
      if (!isError(error, 'denied')) throw error;
      throw new InfinitError('denied', `you are no admin of group "${group.name}"`, { cause: error });
    }
  }

  private checkOwner({ access }: RegisterSnapshot): void {
    if (!equalBytes(access.owner, this.user.publicKey))
      throw new InfinitError('denied', 'only who made a group says who its admins are, and ends it');
  }

  private async named(name: string, options: Abortable): Promise<TreeEntry[]> {
    if (!isName(name)) return [];
    return (await this.node.networkRegister?.named(groupId(name), options)) ?? [];
  }
}

function groupId(name: string): Buffer {
  return labelledHash('group-name', utf8(name)).subarray(0, treeIdBytes);
}

/** Throws `corrupt`, `unsupported`. */
function groupOf({ payload }: RegisterSnapshot): Group {
  if (payload[0] !== format) throw new InfinitError('unsupported', `a group has format ${payload[0]}`);
  return decode(record, payload);
}

function livingGroup(snapshot: RegisterSnapshot, { name }: GroupRef): Group {
  const group = groupOf(snapshot);
  if (group.deleted) throw new InfinitError('usage', `group "${name}" is deleted`);
  return group;
}

function entryOf({ name, key }: Person): Group['members'][number] {
  return { name, key: fromBase64(key) };
}

function withPerson(people: Group['members'], added: Person): Group['members'] {
  const others = withoutPerson(people, added);
  if (others.length >= limits.groupMembersMax)
    throw new InfinitError('full', `a group has at most ${limits.groupMembersMax} members and as many admins`);
  return [...others, entryOf(added)];
}

function withoutPerson(people: Group['members'], gone: Person): Group['members'] {
  return people.filter(({ key }) => toBase64(key) !== gone.key);
}
