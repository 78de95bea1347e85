// What makes a register's state valid (docs/protocols.md 2.8): the owner's signatures over access list and genesis, the
// author's over the value, the author's place in the list. A `StateImage` is a state with its bytes and hashes, so that each
// is computed once; verdicts are remembered by hash, so that each state costs at most one signature check a batch.

import { type Bytes, equalBytes, toHex, utf8 } from '../base/bytes.ts';
import { bool, decode, encode, fixed, list, struct, u32, u64 } from '../base/codec.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { hash, hashBytes, labelledHash } from '../crypto/hash.ts';
import { type KeyPair, publicKeyBytes, sign, signatureBytes, verify } from '../crypto/keys.ts';
import { type Address, type Member, member, memberName, type NodeId, registerAddress } from './address.ts';
import {
  type AccessList,
  accessList,
  type Genesis,
  type Recovery,
  type RegisterState,
  type RegisterValue,
  recovery,
  registerState,
  type UnsignedAccess,
} from './register.ts';
import { BatchVerifier } from './register-batch.ts';
import { RecentSet } from './register-recent-set.ts';

/** What a node knows of passports. Supplied by `node/`. */
export interface AuthorCheck {
  /** Whether that user's passport, named by its hash, allows writing now: known, unexpired, unrevoked. */
  mayWrite(userKey: Bytes, passportHash: Bytes): boolean;
  /** Whether that node is a certified storage node of the network and near the register: new members must be. */
  mayStore(node: NodeId, address: Address): boolean;
  /** What the network demands besides of a value at this register; the reason when it is refused. `held` stands here. */
  refuseValue?(image: StateImage, held: StateImage | undefined): string | undefined;
  /** What `held` says and `image` would take away although nobody may; nothing for ordinary registers. */
  losses?(image: StateImage, held: StateImage): Loss[];
}

/** One thing that a state says and another does not. */
export interface Loss {
  readonly reason: string;
  /** Whether that state says it. */
  standsIn(image: StateImage): boolean;
}

/** A state with its address, encoding and hashes. Immutable. */
export interface StateImage {
  readonly address: Address;
  readonly state: RegisterState;
  readonly bytes: Bytes;
  readonly hash: Bytes;
  readonly valueHash: Bytes;
}

const valueHead = struct({
  version: u64,
  lineage: list(fixed(hashBytes), limits.lineageMax),
  aclVersion: u32,
  payloadHash: fixed(hashBytes),
  deleted: bool,
  author: fixed(publicKeyBytes),
  passportHash: fixed(hashBytes),
});
const memberList = list(member, limits.membersMax);
const recoveryBody = struct({ recovery, members: memberList });

/**
 * The hash of a value: what its author signs, and what later values name in their lineage. Behind a list that was changed it covers
 * the owner's signature of the list, so that a value stands beside no other list of that version.
 */
export function registerValueHash(
  networkId: Bytes,
  address: Address,
  value: Omit<RegisterValue, 'signature'>,
  access?: Pick<AccessList, 'signature'>,
): Buffer {
  const head = encode(valueHead, { ...value, payloadHash: hash(value.payload) });
  const listed = value.aclVersion > 1 && access ? [access.signature] : [];
  return labelledHash('register-value', networkId, address, head, ...listed);
}

function accessBytes(access: UnsignedAccess): Buffer {
  const unsigned = encode(accessList, { ...access, signature: Buffer.alloc(signatureBytes) });
  return unsigned.subarray(0, unsigned.length - signatureBytes);
}

/** The access list with the owner's signature for one address. */
export function signAccessList(owner: KeyPair, networkId: Bytes, address: Address, access: UnsignedAccess): AccessList {
  return { ...access, signature: sign(owner, 'register-access', networkId, address, accessBytes(access)) };
}

/** The genesis of a register of which too few members are left, from the value that is to go on (docs/protocols.md 2.11). */
export function signRecovery(
  owner: KeyPair,
  networkId: Bytes,
  salt: Bytes,
  members: readonly Member[],
  of: Recovery,
): Genesis {
  const address = registerAddress(owner.publicKey, salt);
  const listed = [...members];
  const signature = sign(owner, 'register-recovery', networkId, address, recoveryBytes(listed, of));
  return { salt, members: listed, recovery: of, signature };
}

function recoveryBytes(members: Member[], of: Recovery): Buffer {
  return encode(recoveryBody, { recovery: of, members });
}

/** The generation of the owner's last recovery; 0 when there was none. Of two states of a register, the higher one stands. */
export function recoveredAt({ genesis }: RegisterState): number {
  return genesis.recovery?.generation ?? 0;
}

/** Whether the owner has recovered the register between the two. */
export function isRecovered(before: StateImage, after: StateImage): boolean {
  return recoveredAt(after.state) > recoveredAt(before.state);
}

/** Whether it is the very state the owner signed to recover the register. */
export function isRecovery({ state, valueHash }: StateImage): boolean {
  const { recovery: last } = state.genesis;
  const isFirst = last !== undefined && state.config.generation === last.generation;
  return isFirst && equalBytes(last.valueHash, valueHash);
}

export function signGenesis(owner: KeyPair, networkId: Bytes, salt: Bytes, members: readonly Member[]): Genesis {
  const address = registerAddress(owner.publicKey, salt);
  const listed = [...members];
  const signature = sign(owner, 'register-genesis', networkId, address, encode(memberList, listed));
  return { salt, members: listed, signature };
}

/** The image of a state this side made. */
export function imageOf(networkId: Bytes, address: Address, state: RegisterState): StateImage {
  return complete(networkId, address, state, encode(registerState, state));
}

/** The image of bytes from somewhere else; not verified. Throws `corrupt`, `unsupported`. */
export function readImage(networkId: Bytes, bytes: Bytes): StateImage {
  const state = decode(registerState, bytes);
  return complete(networkId, registerAddress(state.access.owner, state.genesis.salt), state, bytes);
}

function complete(networkId: Bytes, address: Address, state: RegisterState, bytes: Bytes): StateImage {
  const valueHash = registerValueHash(networkId, address, state.value, state.access);
  return { address, state, bytes, hash: labelledHash('register-state', bytes), valueHash };
}

/** Whether the access list lets that user write; his passport is another matter. */
export function listedWriter(access: UnsignedAccess, user: Bytes): boolean {
  return access.worldWrite || equalBytes(access.owner, user) || access.writers.some((key) => equalBytes(key, user));
}

/** Set when a state takes the access list back to an earlier one: rights that were taken away do not come back. */
export function accessLoss(image: StateImage, held: StateImage): Loss | undefined {
  const { version } = held.state.access;
  if (image.state.access.version >= version) return undefined;
  return {
    reason: 'a later access list is held here',
    standsIn: (other) => other.state.access.version >= version,
  };
}

/** Verifies states of one network. */
export class StateVerifier {
  readonly networkId: Bytes;
  private readonly batches = new BatchVerifier();
  private readonly states = new RecentSet(limits.verifiedCacheEntriesMax);
  private readonly owned = new RecentSet(limits.verifiedCacheEntriesMax);

  constructor(networkId: Bytes) {
    this.networkId = networkId;
  }

  /** Decodes and verifies. Throws `corrupt` or `denied` naming what failed. */
  read(bytes: Bytes): StateImage {
    const image = readImage(this.networkId, bytes);
    this.verify(image);
    return image;
  }

  /** Throws `corrupt` for what cannot be, `denied` when the author is not in the access list. */
  verify(image: StateImage): void {
    const name = toHex(image.hash);
    if (this.states.has(name)) return;
    const { access, value, config, genesis } = image.state;
    checkMembers('current', config.current);
    if (config.previous) checkMembers('previous', config.previous);
    this.verifyOwned(image.address, access, genesis);
    if (config.generation < recoveredAt(image.state))
      throw new InfinitError('corrupt', 'register configuration is older than the recovery it names');
    if (value.version < 1) throw new InfinitError('corrupt', 'register versions start at 1');
    if (value.lineage.length !== Math.min(value.version - 1, limits.lineageMax))
      throw new InfinitError('corrupt', 'register value has a wrong number of ancestors');
    // A list is agreed on with a value that names it: nobody puts the next list beside the value before it.
    if (value.aclVersion !== access.version)
      throw new InfinitError('corrupt', 'register value was written under another access list');
    if (!listedWriter(access, value.author)) throw new InfinitError('denied', 'author is not in the access list');
    if (!this.batches.verify(value.author, image.valueHash, value.signature))
      throw new InfinitError('corrupt', 'register value is not signed by its author');
    this.states.add(name);
  }

  private verifyOwned(address: Address, access: AccessList, genesis: Genesis): void {
    const listed = accessBytes(access);
    const { members, recovery: last, signature } = genesis;
    const founders = last ? recoveryBytes(members, last) : encode(memberList, members);
    const label = last ? 'register-recovery' : 'register-genesis';
    const name = toHex(hash(address, listed, access.signature, utf8(label), founders, signature));
    if (this.owned.has(name)) return;
    if (!verify(access.owner, access.signature, 'register-access', this.networkId, address, listed))
      throw new InfinitError('corrupt', 'access list is not signed by the owner');
    if (!verify(access.owner, signature, label, this.networkId, address, founders))
      throw new InfinitError('corrupt', 'register genesis is not signed by the owner');
    this.owned.add(name);
  }
}

function checkMembers(what: string, members: readonly Member[]): void {
  if (members.length === 0) throw new InfinitError('corrupt', `register configuration has no ${what} members`);
  if (new Set(members.map(memberName)).size !== members.length)
    throw new InfinitError('corrupt', `a ${what} member of the register configuration is named twice`);
}
