// The network register: what every node of a network must be able to read (docs/protocols.md 2.10). It holds the latest signed
// descriptor, and where each tree's root register is. Its payload is in the clear.

import { type Bytes, equalBytes, toHex } from '../base/bytes.ts';
import { bytes, type Codec, decode, encode, fixed, list, struct, u8 } from '../base/codec.ts';
import { InfinitError, isError } from '../base/errors.ts';
import type { Abortable } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import { type Address, address, type Member, networkIdOf } from '../block/address.ts';
import type { RegisterSnapshot, Registers } from '../consensus/consensus.ts';
import { type KeyPair, sign, verify } from '../crypto/keys.ts';
import { keyFromJson } from '../descriptor/keys.ts';
import { parseDescriptor } from '../descriptor/stream.ts';

export interface TreeEntry {
  /** Random 16 bytes, from the descriptor of the volume or key-value store. */
  treeId: Bytes;
  /** Of its root register. */
  root: Address;
  owner: Bytes;
  /** Of the owner over network, treeId and root. */
  signature: Bytes;
}

export interface NetworkState {
  format: number;
  /** Latest network descriptor, as JSON; empty before the owner has published one. */
  descriptor: Bytes;
  /** Reserved, empty: revocations stand in the descriptor, signed. */
  revoked: Bytes[];
  trees: TreeEntry[];
}

const format = 1;
const revokedMax = 1000;

const treeEntry: Codec<TreeEntry> = struct({
  treeId: fixed(16),
  root: address,
  owner: fixed(32),
  signature: fixed(64),
});

const networkState: Codec<NetworkState> = struct({
  format: u8,
  descriptor: bytes(16 * 1024),
  revoked: list(fixed(32), revokedMax),
  trees: list(treeEntry, limits.treesInNetworkMax),
});

/** The payload of a network's genesis. */
export function initialNetworkState(descriptor: Bytes): Bytes {
  return encode(networkState, { format, descriptor, revoked: [], trees: [] });
}

/** Throws `corrupt`, and `unsupported` for a later format. */
export function decodeNetworkState(payload: Bytes): NetworkState {
  if (payload[0] !== format) throw new InfinitError('unsupported', `network register has format ${payload[0]}`);
  return decode(networkState, payload);
}

const entryLabel = 'tree-entry';

export function signTreeEntry(networkId: Bytes, owner: KeyPair, treeId: Bytes, root: Address): TreeEntry {
  return { treeId, root, owner: owner.publicKey, signature: sign(owner, entryLabel, networkId, treeId, root) };
}

/** A tree and its owner: whoever uses somebody else's tree id names another entry, and takes nothing from him. */
function entryName({ treeId, owner }: Pick<TreeEntry, 'treeId' | 'owner'>): string {
  return toHex(treeId) + toHex(owner);
}

function countOf(trees: readonly TreeEntry[], owner: Bytes): number {
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
  const verified = new Set(old?.trees.map((entry) => toHex(encode(treeEntry, entry))));
  const seen = new Set<string>();
  /** Of each owner, with what stands in `held`. */
  const added = new Map<string, number>();
  for (const entry of next.trees) {
    const id = entryName(entry);
    if (seen.has(id)) return 'a tree is named twice';
    seen.add(id);
    if (verified.has(toHex(encode(treeEntry, entry)))) continue;
    if (!verify(entry.owner, entry.signature, entryLabel, network.id, entry.treeId, entry.root))
      return 'a tree entry lacks the signature of its owner';
    // Who fills what is held already is asked about; a new member takes what the others have agreed on.
    if (old !== undefined && network.isMember?.(entry.owner) === false)
      return 'the owner of a tree entry is not known here as a member';
    const owner = toHex(entry.owner);
    const before = added.get(owner) ?? countOf(old?.trees ?? [], entry.owner);
    added.set(owner, before + 1);
    if (before >= limits.treesPerUserMax && !equalBytes(entry.owner, network.owner))
      return 'a user has more trees than one may have';
  }
  if (next.revoked.length > 0) return 'revocations stand in the descriptor';
  const isKnown = next.descriptor.length === 0 || (old !== undefined && equalBytes(old.descriptor, next.descriptor));
  if (!isKnown && serialOf(network, next.descriptor) === undefined)
    return "only the network's owner signs its descriptor";
  return undefined;
}

/**
 * What the register says in `held` and would no longer say: entries dropped or altered, a descriptor set back. Nobody may do that,
 * whatever the value names as its ancestors: that is its author's word.
 */
export function networkLosses(network: OfNetwork, payload: Bytes, held: Bytes): PayloadLoss[] {
  const next = decodeNetworkState(payload);
  const old = decodeNetworkState(held);
  const named = new Map(next.trees.map((entry) => [entryName(entry), toHex(encode(treeEntry, entry))]));
  const losses: PayloadLoss[] = [];
  for (const entry of old.trees) {
    const encoded = toHex(encode(treeEntry, entry));
    const there = named.get(entryName(entry));
    if (there === encoded) continue;
    const isEntry = (other: TreeEntry) => toHex(encode(treeEntry, other)) === encoded;
    losses.push({
      reason: there === undefined ? 'a tree entry was dropped' : 'a tree entry was altered',
      standsIn: (other) => decodeNetworkState(other).trees.some(isEntry),
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

  /** Where the tree's root is, or undefined. The entry's signature is verified: nodes that lie are found out. */
  async findTree(treeId: Bytes, owner: Bytes, options: Abortable = {}): Promise<Address | undefined> {
    const state = await this.read(options);
    const entry = state.trees.find((candidate) => entryName(candidate) === entryName({ treeId, owner }));
    if (entry === undefined) return undefined;
    if (!verify(owner, entry.signature, entryLabel, this.options.networkId, treeId, entry.root))
      throw new InfinitError('corrupt', 'the network register names this tree with a wrong signature');
    return entry.root;
  }

  /** Registers a root unless the tree has one; returns the root that stands. */
  async addTree(author: KeyPair, treeId: Bytes, root: Address, options: Abortable = {}): Promise<Address> {
    const entry = signTreeEntry(this.options.networkId, author, treeId, root);
    let standing = root;
    await this.change(author, options, (state) => {
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
          return encode(networkState, next);
        },
        { ...options, members: this.last?.members ?? [founder] },
      );
    } catch (error) {
      if (error !== unchanged) throw error;
    }
  }
}
