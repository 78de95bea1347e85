// Who may read and write a tree (docs/protocols.md 4.11): what stands in the access list of its root register, whom the owner
// shares it with, and the list that says so. The tree's secret is sealed to each reader; who is left out gets a new one to guess.

import { type Bytes, equalBytes, toHex } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Reader, UnsignedAccess } from '../block/register.ts';
import { listedWriter } from '../block/register-validity.ts';
import type { NewAccess } from '../consensus/consensus.ts';
import type { KeyPair } from '../crypto/keys.ts';
import { openSealed, openWithBoxKey, sealTo, sealToBoxKey } from '../crypto/sealed-box.ts';
import type { PeerIdentity } from '../peer/peer.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { NewShares } from './committer.ts';
import type { Root, TreeContext } from './context.ts';
import { treeSecretBytes } from './root.ts';

/** Whom a tree is shared with, beside its owner. Who writes reads. */
export interface Shares {
  users: readonly { key: Bytes; write: boolean }[];
  /** Every passport holder of the network. */
  world: 'none' | 'read' | 'write';
}

/** What an owner shares his tree by from here on. */
export interface NextShares extends Shares {
  /** Kept beside the list for readers, given the list's version; absent: nothing is. At most `limits.accessNoteBytesMax`. */
  note?: ((version: number) => Bytes) | undefined;
}

/** How a tree is shared, as agreed. */
export interface TreeAccess extends Shares {
  owner: Bytes;
  /** Counts the lists there were. */
  version: number;
  /** What its owner keeps beside it; whoever leads the tree could have changed it. */
  note: Bytes | undefined;
  /** What somebody who was left out could read: being sealed anew; the old blocks being swept; nothing left. */
  resealing: 'sealing' | 'sweeping' | 'done';
}

/** Seals made between two yields: some milliseconds. */
const stepSeals = 2;

/** The tree's secret, by the user's own seal or the world's. Throws `denied` when there is none for him. */
export function openSecret(
  access: UnsignedAccess,
  user: KeyPair,
  members?: { publicKey: Bytes; secretKey: Bytes },
): Buffer {
  const own = access.readers.find((reader) => equalBytes(reader.key, user.publicKey));
  if (own !== undefined) return openSealed(user, own.sealed);
  if (access.worldReader !== undefined && members !== undefined) return openWithBoxKey(members, access.worldReader);
  throw new InfinitError('denied', 'you are not among the readers');
}

export function mayWrite(access: UnsignedAccess, user: Pick<PeerIdentity, 'userKey' | 'rights'>): boolean {
  return equalBytes(access.owner, user.userKey) || (user.rights.write && listedWriter(access, user.userKey));
}

export function mayRead(access: UnsignedAccess, user: Pick<PeerIdentity, 'userKey' | 'rights'>): boolean {
  if (mayWrite(access, user) || access.worldReader !== undefined) return true;
  return access.readers.some((reader) => equalBytes(reader.key, user.userKey));
}

/** Called with how the tree is shared, perhaps again with a newer state. */
export type ChangeShares = (now: TreeAccess) => NextShares;

export function accessOf({ snapshot: { access }, body: { note, reseal } }: Root): TreeAccess {
  const resealing = reseal && (reseal.sealedAt === undefined ? 'sealing' : 'sweeping');
  return {
    ...sharesOf(access),
    owner: access.owner,
    version: access.version,
    note,
    resealing: resealing ?? 'done',
  };
}

function sharesOf({ owner, readers, writers, worldReader, worldWrite }: UnsignedAccess): Shares {
  const others = readers.filter(({ key }) => !equalBytes(key, owner));
  const users = others.map(({ key }) => ({ key, write: writers.some((writer) => equalBytes(writer, key)) }));
  return { users, world: worldWrite ? 'write' : worldReader ? 'read' : 'none' };
}

/** Whether somebody who reads under the list does so no more: what he could read needs another key then. */
export function leavesOut(before: UnsignedAccess, { users, world }: Shares): boolean {
  if (before.worldReader !== undefined) return world === 'none';
  if (world !== 'none') return false;
  const kept = new Set([toHex(before.owner), ...users.map(({ key }) => toHex(key))]);
  return before.readers.some(({ key }) => !kept.has(toHex(key)));
}

export interface Listing {
  runtime: Pick<Runtime, 'random' | 'clock'>;
  /** What readers are given. */
  secret: Bytes;
  /** The list there is; its seals are kept while the secret is. */
  before: UnsignedAccess;
  isNewSecret: boolean;
  /** X25519 key whose private half every passport holder has. */
  membersKey: Bytes;
}

/** What the owner writes into the root to share the tree as `change` says; undefined when nothing changes. */
export async function nextShares(
  context: Pick<TreeContext, 'runtime' | 'root' | 'membersKey'>,
  current: Root,
  change: ChangeShares,
): Promise<NewShares | undefined> {
  const { runtime, root, membersKey } = context;
  const before = current.snapshot.access;
  const now = accessOf(current);
  const { note: noteFor, ...shares } = change(now);
  const note = noteFor?.(before.version + 1);
  if (note === undefined && now.note === undefined && sameShares(now, shares, before.owner)) return undefined;
  if (note !== undefined && note.length > limits.accessNoteBytesMax)
    throw new InfinitError('full', 'what is said of who reads and writes is too long');
  const isNewSecret = leavesOut(before, shares);
  const secret = isNewSecret ? runtime.random.bytes(treeSecretBytes) : root.secret;
  const access = await accessFor(shares, { runtime, secret, before, isNewSecret, membersKey });
  return { access, secret, isNewSecret, note, after: before.version };
}

function sameShares(now: Shares, then: Shares, owner: Bytes): boolean {
  const rights = new Map(now.users.map(({ key, write }) => [toHex(key), write]));
  const users = then.users.filter(({ key }) => !equalBytes(key, owner));
  if (now.world !== then.world || users.length !== rights.size) return false;
  return users.every(({ key, write }) => rights.get(toHex(key)) === write);
}

/** The list that says it. Throws `full` for more users than one holds. */
async function accessFor({ users, world }: Shares, listing: Listing): Promise<NewAccess> {
  const { runtime, secret, before, isNewSecret, membersKey } = listing;
  const { owner } = before;
  const others = new Map(users.map((user) => [toHex(user.key), user]));
  others.delete(toHex(owner));
  if (others.size >= limits.accessUsersMax)
    throw new InfinitError('full', `an access list names at most ${limits.accessUsersMax - 1} users beside the owner`);
  const kept = new Map(isNewSecret ? [] : before.readers.map((reader) => [toHex(reader.key), reader]));
  const readers: Reader[] = [];
  let made = 0;
  for (const key of [owner, ...[...others.values()].map((user) => user.key)]) {
    const known = kept.get(toHex(key));
    if (known === undefined && made++ % stepSeals === 0) await runtime.clock.sleep(0);
    readers.push(known ?? { key, sealed: sealTo(key, secret, runtime.random.bytes(32)) });
  }
  const seal = () =>
    (isNewSecret ? undefined : before.worldReader) ?? sealToBoxKey(membersKey, secret, runtime.random.bytes(32));
  return {
    readers,
    writers: [...others.values()].filter(({ write }) => write).map(({ key }) => key),
    worldReader: world === 'none' ? undefined : seal(),
    worldWrite: world === 'write',
  };
}
