// The network register: what every node of a network must be able to read (docs/protocols.md 2.10). It holds the latest signed
// descriptor, and where each tree's root register is. Its payload is in the clear.

import { type Bytes, equalBytes, toHex } from '../base/bytes.ts';
import { bytes, type Codec, decode, encode, list, struct, u8 } from '../base/codec.ts';
import { InfinitError, isError } from '../base/errors.ts';
import type { Abortable } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import { type Address, type Member, networkIdOf } from '../block/address.ts';
import type { RegisterSnapshot, Registers } from '../consensus/consensus.ts';
import type { KeyPair } from '../crypto/keys.ts';
import { keyFromJson } from '../descriptor/keys.ts';
import { parseDescriptor } from '../descriptor/stream.ts';
import {
  type DestroyedTree,
  destroyedText,
  destroyedTree,
  entryName,
  entryText,
  rootOfDestroyed,
  signDestroyed,
  signTreeEntry,
  type TreeEntry,
  treeEntry,
  verifyDestroyed,
  verifyTreeEntry,
} from './tree-entries.ts';

export interface NetworkState {
  format: number;
  /** Latest network descriptor, as JSON; empty before the owner has published one. */
  descriptor: Bytes;
  /** Those destroyed last, newest last: nodes that were away learn from it what may go. */
  destroyed: DestroyedTree[];
  trees: TreeEntry[];
}

const format = 1;

const networkState: Codec<NetworkState> = struct({
  format: u8,
  descriptor: bytes(16 * 1024),
  destroyed: list(destroyedTree, limits.destroyedTreesMax),
  trees: list(treeEntry, limits.treesInNetworkMax),
});

/** The payload of a network's genesis. */
export function initialNetworkState(descriptor: Bytes): Bytes {
  return encode(networkState, { format, descriptor, destroyed: [], trees: [] });
}

export function encodeNetworkState(state: NetworkState): Bytes {
  return encode(networkState, state);
}

/** Throws `corrupt`, and `unsupported` for a later format. */
export function decodeNetworkState(payload: Bytes): NetworkState {
  if (payload[0] !== format) throw new InfinitError('unsupported', `network register has format ${payload[0]}`);
  return decode(networkState, payload);
}

function countOf(trees: readonly { owner: Bytes }[], owner: Bytes): number {
  return trees.filter((entry) => equalBytes(entry.owner, owner)).length;
}

/** The network whose register it is. */
export interface OfNetwork {
  id: Bytes;
  owner: Bytes;
  /** Whether that user has, or had, a passport; undefined: not asked. */
  isMember?: ((user: Bytes) => boolean) | undefined;
}

/**
 * What an acceptor demands of a value of the network register for itself (docs/protocols.md 2.10): every tree entry is signed by
 * its owner, the descriptor by the network's. `held` only saves verifying what stands in it too. Returns the reason of a refusal;
 * throws `corrupt`, `unsupported`.
 */
export function refuseNetworkValue(network: OfNetwork, payload: Bytes, held?: Bytes): string | undefined {
  const next = decodeNetworkState(payload);
  const old = held === undefined ? undefined : decodeNetworkState(held);
  const verified = new Set(old?.trees.map(entryText));
  const seen = new Set<string>();
  /** Of each owner, with what stands in `held`. */
  const added = new Map<string, number>();
  for (const entry of next.trees) {
    const id = entryName(entry);
    if (seen.has(id)) return 'a tree is named twice';
    seen.add(id);
    if (verified.has(entryText(entry))) continue;
    if (!verifyTreeEntry(network.id, entry)) return 'a tree entry lacks the signature of its owner';
    // Who fills what is held already is asked about; a new member takes what the others have agreed on.
    if (old !== undefined && network.isMember?.(entry.owner) === false)
      return 'the owner of a tree entry is not known here as a member';
    const owner = toHex(entry.owner);
    const before = added.get(owner) ?? countOf(old?.trees ?? [], entry.owner);
    added.set(owner, before + 1);
    if (before >= limits.treesPerUserMax && !equalBytes(entry.owner, network.owner))
      return 'a user has more trees than one may have';
  }
  const refusal = refuseDestroyed(network, next, old);
  if (refusal !== undefined) return refusal;
  const isKnown = next.descriptor.length === 0 || (old !== undefined && equalBytes(old.descriptor, next.descriptor));
  if (!isKnown && serialOf(network, next.descriptor) === undefined)
    return "only the network's owner signs its descriptor";
  return undefined;
}

/** What is destroyed is so by the word of the owner of its root register, and stands nowhere else. */
function refuseDestroyed(network: OfNetwork, next: NetworkState, old: NetworkState | undefined): string | undefined {
  const verified = new Set(old?.destroyed.map(destroyedText));
  const living = new Set(next.trees.map(entryName));
  const seen = new Set<string>();
  const counts = new Map<string, number>();
  for (const tree of next.destroyed) {
    const [name, owner] = [entryName(tree), toHex(tree.owner)];
    if (living.has(name) || seen.has(name)) return 'a destroyed tree is named once more';
    seen.add(name);
    if (!verified.has(destroyedText(tree)) && !verifyDestroyed(network.id, tree))
      return 'a tree is destroyed by its owner only';
    const count = (counts.get(owner) ?? 0) + 1;
    counts.set(owner, count);
    if (count > destroyedMaxOf(network.owner, tree.owner)) return 'a user has more destroyed trees than are remembered';
  }
  return undefined;
}

/** So many of a user are remembered: others have room beside. */
function destroyedMaxOf(networkOwner: Bytes | undefined, user: Bytes): number {
  const isOwner = networkOwner !== undefined && equalBytes(networkOwner, user);
  return isOwner ? limits.destroyedTreesMax : limits.destroyedTreesPerUserMax;
}

/** With one more, for which the oldest make room: of its owner, or of all. */
function withDestroyed(all: readonly DestroyedTree[], tree: DestroyedTree, networkOwner: Bytes | undefined) {
  const kept = [...all, tree];
  const drop = (isOne: (other: DestroyedTree) => boolean) => kept.splice(kept.findIndex(isOne), 1);
  const isHis = (other: DestroyedTree) => equalBytes(other.owner, tree.owner);
  if (countOf(kept, tree.owner) > destroyedMaxOf(networkOwner, tree.owner)) drop(isHis);
  if (kept.length > limits.destroyedTreesMax) drop(() => true);
  return kept;
}

/**
 * What the register says in `held` and would no longer say: entries dropped or altered, a descriptor set back. Nobody may do that,
 * whatever the value names as its ancestors: that is its author's word.
 */
export function networkLosses(network: OfNetwork, payload: Bytes, held: Bytes): PayloadLoss[] {
  const next = decodeNetworkState(payload);
  const old = decodeNetworkState(held);
  const named = new Map(next.trees.map((entry) => [entryName(entry), entryText(entry)]));
  const ended = new Map(next.destroyed.map((tree) => [entryName(tree), tree]));
  const losses: PayloadLoss[] = [];
  for (const entry of old.trees) {
    const [text, name] = [entryText(entry), entryName(entry)];
    const there = named.get(name);
    if (there === text) continue;
    const end = ended.get(name);
    if (end !== undefined && equalBytes(rootOfDestroyed(end), entry.root)) continue;
    losses.push({
      reason: there === undefined ? 'a tree entry was dropped' : 'a tree entry was altered',
      standsIn: (other) => decodeNetworkState(other).trees.some((one) => entryText(one) === text),
    });
  }
  for (const tree of old.destroyed) {
    if (ended.has(entryName(tree)) || isFull(network, next.destroyed, tree.owner)) continue;
    const text = destroyedText(tree);
    losses.push({
      reason: 'a destroyed tree was forgotten',
      standsIn: (other) => decodeNetworkState(other).destroyed.some((one) => destroyedText(one) === text),
    });
  }
  if (isSetBack(network, old.descriptor, next.descriptor)) {
    losses.push({
      reason: "only the network's owner changes its descriptor, and never back",
      standsIn: (other) => !isSetBack(network, old.descriptor, decodeNetworkState(other).descriptor),
    });
  }
  return losses;
}

/** Then older ones have made room. */
function isFull(network: OfNetwork, destroyed: readonly DestroyedTree[], owner: Bytes): boolean {
  if (destroyed.length >= limits.destroyedTreesMax) return true;
  return countOf(destroyed, owner) >= destroyedMaxOf(network.owner, owner);
}

/** One thing that a payload says and another does not. */
export interface PayloadLoss {
  reason: string;
  /** Whether that payload says it. */
  standsIn: (payload: Bytes) => boolean;
}

function isSetBack(network: OfNetwork, old: Bytes, next: Bytes): boolean {
  if (old.length === 0 || equalBytes(old, next)) return false;
  return (serialOf(network, next) ?? -1) <= (serialOf(network, old) ?? -1);
}

/** Of a descriptor that this network's owner signed; undefined for anything else. */
function serialOf(network: OfNetwork, descriptor: Bytes): number | undefined {
  try {
    const { name, owner, serial } = parseDescriptor('network', descriptor);
    return equalBytes(networkIdOf(keyFromJson(owner), name), network.id) ? serial : undefined;
  } catch (error) {
    if (isError(error)) return undefined;
    throw error;
  }
}

export interface NetworkRegisterOptions {
  registers: Registers;
  address: Address;
  /** Where to look first: the founding member of the descriptor. */
  founder: Member;
  networkId: Bytes;
  /** Of the network: only its own share is not bounded. */
  owner?: Bytes | undefined;
}

/** Reads and changes the network register of one network. */
export class NetworkRegister {
  private readonly options: NetworkRegisterOptions;
  private last: RegisterSnapshot | undefined;

  constructor(options: NetworkRegisterOptions) {
    this.options = options;
  }

  async read(options: Abortable = {}): Promise<NetworkState> {
    const { registers, address, founder } = this.options;
    this.last = await registers.read(address, { ...options, members: this.last?.members ?? [founder] });
    return decodeNetworkState(this.last.payload);
  }

  /** How many members agree on it. */
  async members(options: Abortable = {}): Promise<number> {
    await this.read(options);
    return this.last?.members.length ?? 0;
  }

  /**
   * Where the tree's root is, or undefined. The entry's signature is verified: nodes that lie are found out. Throws `lost` when its
   * owner has destroyed it.
   */
  async findTree(treeId: Bytes, owner: Bytes, options: Abortable = {}): Promise<Address | undefined> {
    const state = await this.read(options);
    checkAlive(state, { treeId, owner });
    const entry = state.trees.find((candidate) => entryName(candidate) === entryName({ treeId, owner }));
    if (entry === undefined) return undefined;
    if (!verifyTreeEntry(this.options.networkId, entry))
      throw new InfinitError('corrupt', 'the network register names this tree with a wrong signature');
    return entry.root;
  }

  /** What goes by that id, of whatever owner, each signed by its own: for ids made of names. */
  async named(treeId: Bytes, options: Abortable = {}): Promise<TreeEntry[]> {
    const { trees } = await this.read(options);
    const { networkId } = this.options;
    return trees.filter((entry) => equalBytes(entry.treeId, treeId) && verifyTreeEntry(networkId, entry));
  }

  /** Registers a root unless the tree has one; returns the root that stands. Throws `lost` when the tree was destroyed. */
  async addTree(author: KeyPair, treeId: Bytes, root: Address, options: Abortable = {}): Promise<Address> {
    const entry = signTreeEntry(this.options.networkId, author, treeId, root);
    let standing = root;
    await this.change(author, options, (state) => {
      checkAlive(state, entry);
      const existing = state.trees.find((candidate) => entryName(candidate) === entryName(entry));
      standing = existing?.root ?? root;
      if (existing !== undefined) return undefined;
      if (state.trees.length >= limits.treesInNetworkMax) {
        throw new InfinitError(
          'full',
          `the network has ${limits.treesInNetworkMax} volumes and stores, which is the limit`,
        );
      }
      const isOwner = this.options.owner !== undefined && equalBytes(author.publicKey, this.options.owner);
      if (!isOwner && countOf(state.trees, author.publicKey) >= limits.treesPerUserMax)
        throw new InfinitError('full', `you have ${limits.treesPerUserMax} volumes and stores, which is the limit`);
      return { ...state, trees: [...state.trees, entry] };
    });
    return standing;
  }

  /** The owner's word that the tree is destroyed: its blocks go everywhere. Nothing changes when it stands already. */
  async destroyTree(owner: KeyPair, treeId: Bytes, salt: Bytes, options: Abortable = {}): Promise<void> {
    const tree = signDestroyed(this.options.networkId, owner, treeId, salt);
    const name = entryName(tree);
    await this.change(owner, options, (state) => {
      if (state.destroyed.some((one) => entryName(one) === name)) return undefined;
      const trees = state.trees.filter((entry) => entryName(entry) !== name);
      return { ...state, trees, destroyed: withDestroyed(state.destroyed, tree, this.options.owner) };
    });
  }

  /** The root register of a tree that its owner has destroyed, as far as is remembered. */
  async destroyedRoot(treeId: Bytes, owner: Bytes, options: Abortable = {}): Promise<Address | undefined> {
    const { destroyed } = await this.read(options);
    const name = entryName({ treeId, owner });
    const tree = destroyed.find((one) => entryName(one) === name && verifyDestroyed(this.options.networkId, one));
    return tree && rootOfDestroyed(tree);
  }

  /** Of the value read or written last; 0: none. */
  get version(): number {
    return this.last?.version ?? 0;
  }

  /** Publishes a newer descriptor; the caller is the owner and has checked the serial. */
  async publish(owner: KeyPair, descriptor: Bytes, options: Abortable = {}): Promise<void> {
    await this.change(owner, options, (state) =>
      equalBytes(state.descriptor, descriptor) ? undefined : { ...state, descriptor },
    );
  }

  private async change(
    author: KeyPair,
    options: Abortable,
    edit: (state: NetworkState) => NetworkState | undefined,
  ): Promise<void> {
    const { registers, address, founder } = this.options;
    const unchanged = new InfinitError('conflict', 'nothing to change');
    try {
      this.last = await registers.write(
        address,
        author,
        (current) => {
          const next = edit(decodeNetworkState(current.payload));
          if (next === undefined) throw unchanged;
          return encodeNetworkState(next);
        },
        { ...options, members: this.last?.members ?? [founder] },
      );
    } catch (error) {
      if (error !== unchanged) throw error;
    }
  }
}

function checkAlive(state: NetworkState, tree: Pick<TreeEntry, 'treeId' | 'owner'>): void {
  const name = entryName(tree);
  if (state.destroyed.some((one) => entryName(one) === name))
    throw new InfinitError('lost', 'its owner has destroyed the tree');
}
