// Addresses: places on the 256-bit circle, of blocks, registers and nodes alike.

import { type Bytes, toHex } from '../base/bytes.ts';
import { type Codec, fixed, struct } from '../base/codec.ts';
import { hash, labelledHash } from '../crypto/hash.ts';

/** 32 bytes. */
export type Address = Bytes;
/** The place of a node: hash of its public key, so nobody picks it. 32 bytes. */
export type NodeId = Address;
/** Names one formatted store of a node: 8 random bytes drawn when formatted. */
export type StoreId = Bytes;

export const addressBytes = 32;
export const storeIdBytes = 8;

export const address: Codec<Address> = fixed(addressBytes);
export const storeId: Codec<StoreId> = fixed(storeIdBytes);

/** Quorums are made of members, never of nodes: an emptied disk has another store id and cannot vote in the old one's name. */
export interface Member {
  node: NodeId;
  store: StoreId;
}
export const member: Codec<Member> = struct({ node: address, store: storeId });

export function nodeIdOf(publicKey: Bytes): NodeId {
  return labelledHash('node', publicKey);
}

/** The address of an immutable block. */
export function blockAddress(block: Bytes): Address {
  return hash(block);
}

/** The address of a register: never guessable, because the salt is random. */
export function registerAddress(ownerKey: Bytes, salt: Bytes): Address {
  return labelledHash('register', ownerKey, salt);
}

/** What a network is to its nodes: everything they exchange is bound to it. 32 bytes. */
export function networkIdOf(ownerKey: Bytes, qualifiedName: string): Bytes {
  return labelledHash('network', ownerKey, Buffer.from(qualifiedName));
}

export function memberName(m: Member): string {
  return `${toHex(m.node)}#${toHex(m.store)}`;
}

export function sameMember(a: Member, b: Member): boolean {
  return memberName(a) === memberName(b);
}

/** The same members, in whatever order. */
export function sameMembers(a: readonly Member[], b: readonly Member[]): boolean {
  return a.length === b.length && a.every((member) => b.some((other) => sameMember(other, member)));
}
