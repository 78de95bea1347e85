// The network register: what every node of a network must be able to read (docs/protocols.md 2.10). It holds the latest signed
// descriptor, revoked passports, and where each tree's root register is. Its payload is in the clear.

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
  /** Hashes of revoked passports. */
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

/**
 * What an acceptor demands of a value of the network register (docs/protocols.md 2.10): every tree entry is signed by its owner;
 * and towards one that was agreed on earlier, no entry is altered or dropped, and descriptor and revocations change by the
 * network's owner alone. Several changes may lie between the two. Returns the reason of a refusal.
 */
export function refuseNetworkValue(
  network: { id: Bytes; owner: Bytes },
  value: { author: Bytes; payload: Bytes },
  earlier: Bytes | undefined,
): string | undefined {
  const next = decodeNetworkState(value.payload);
  const old = earlier === undefined ? undefined : decodeNetworkState(earlier);
  const known = new Map((old?.trees ?? []).map((entry) => [entryName(entry), toHex(encode(treeEntry, entry))]));
  const seen = new Set<string>();
  for (const entry of next.trees) {
    const id = entryName(entry);
    if (seen.has(id)) return 'a tree is named twice';
    seen.add(id);
    if (known.get(id) === toHex(encode(treeEntry, entry))) continue;
    if (known.has(id)) return 'a tree entry was altered';
    if (!verify(entry.owner, entry.signature, entryLabel, network.id, entry.treeId, entry.root)) {
      return 'a tree entry lacks the signature of its owner';
    }
  }
  if (old === undefined) return undefined;
  for (const id of known.keys()) if (!seen.has(id)) return 'a tree entry was dropped';
  if (equalBytes(value.author, network.owner)) return undefined;
  const sameRevoked = equalBytes(Buffer.concat(old.revoked), Buffer.concat(next.revoked));
  if (!sameRevoked || !mayReplace(network, old.descriptor, next.descriptor))
    return "only the network's owner changes its descriptor";
  return undefined;
}

/** The owner's newer descriptor stays when others write after him, also to whom missed his own write. */
function mayReplace(network: { id: Bytes; owner: Bytes }, old: Bytes, next: Bytes): boolean {
  if (equalBytes(old, next)) return true;
  try {
    const { name, owner, serial } = parseDescriptor('network', next);
    const isOurs = equalBytes(networkIdOf(keyFromJson(owner), name), network.id);
    return isOurs && (old.length === 0 || serial > parseDescriptor('network', old).serial);
  } catch (error) {
    if (isError(error)) return false;
    throw error;
  }
}

export interface NetworkRegisterOptions {
  registers: Registers;
  address: Address;
  /** Where to look first: the founding member of the descriptor. */
  founder: Member;
  networkId: Bytes;
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
