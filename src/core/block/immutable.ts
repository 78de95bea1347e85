// Immutable blocks: a header that binds the block to one tree, then a payload that only the tree's readers can open. The
// address is the hash of it all, so a block certifies itself and nobody can move it to another tree (docs/protocols.md 3).
// Layout: format u8 = 1, cipher u8, tree tag 16, payload length u32, payload.

import { asBuffer, type Bytes, equalBytes } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { hash, labelledHash } from '../crypto/hash.ts';
import type { Address } from './address.ts';

export const treeTagBytes = 16;
export const immutableHeaderBytes = 2 + treeTagBytes + 4;

/** How the payload is sealed; the number stands in the header. */
export const cipherIds = { clear: 0, aes256gcm: 1 } as const;
export type CipherName = keyof typeof cipherIds;

/** What the first byte of a tree's payload says it is; authenticated with every sealed piece. */
export const payloadKinds = { node: 1, chunk: 2 } as const;

const format = 1;
const cipherNames = Object.keys(cipherIds) as CipherName[];

export interface ImmutableHeader {
  cipher: CipherName;
  treeTag: Buffer;
  payloadLength: number;
}

export interface ImmutableBlock extends ImmutableHeader {
  /** Shares the block's memory. */
  payload: Buffer;
}

/** What the blocks of a tree carry instead of its name: a short hash of its root register's address. */
export function treeTagOf(rootRegister: Address): Buffer {
  return labelledHash('tree-tag', rootRegister).subarray(0, treeTagBytes);
}

/** A block of the payload's parts. Throws `full` above `limits.blockBytesMax`. */
export function encodeImmutable(treeTag: Bytes, cipher: CipherName, payload: readonly Bytes[]): Buffer {
  if (treeTag.length !== treeTagBytes) throw new RangeError(`a tree tag has ${treeTagBytes} bytes`);
  let length = 0;
  for (const part of payload) length += part.length;
  const total = immutableHeaderBytes + length;
  if (total > limits.blockBytesMax) throw new InfinitError('full', `a block of ${total} bytes is above the limit`);
  const block = Buffer.allocUnsafe(total);
  block[0] = format;
  block[1] = cipherIds[cipher];
  block.set(treeTag, 2);
  block.writeUInt32BE(length, 2 + treeTagBytes);
  let at = immutableHeaderBytes;
  for (const part of payload) {
    block.set(part, at);
    at += part.length;
  }
  return block;
}

/** The header of a block of which at least the header is here. Throws `corrupt`. */
export function decodeImmutableHeader(start: Bytes): ImmutableHeader {
  const bytes = asBuffer(start);
  if (bytes.length < immutableHeaderBytes) throw new InfinitError('corrupt', 'block is truncated');
  if (bytes[0] !== format) throw new InfinitError('corrupt', `block has unknown format ${bytes[0]}`);
  const cipher = cipherNames[bytes[1] as number];
  if (cipher === undefined) throw new InfinitError('corrupt', `block has unknown cipher ${bytes[1]}`);
  const payloadLength = bytes.readUInt32BE(2 + treeTagBytes);
  if (immutableHeaderBytes + payloadLength > limits.blockBytesMax)
    throw new InfinitError('corrupt', 'block is above the limit');
  return { cipher, treeTag: bytes.subarray(2, 2 + treeTagBytes), payloadLength };
}

/** A whole block. Throws `corrupt`; does not look at the address. */
export function decodeImmutable(block: Bytes): ImmutableBlock {
  const header = decodeImmutableHeader(block);
  if (block.length !== immutableHeaderBytes + header.payloadLength)
    throw new InfinitError('corrupt', 'block has another length than its header says');
  return { ...header, payload: asBuffer(block).subarray(immutableHeaderBytes) };
}

/** What a storage node checks before it keeps a block: that it is one, and that its address is its hash. Throws `corrupt`. */
export function checkImmutable(address: Address, block: Bytes): ImmutableHeader {
  const header = decodeImmutable(block);
  if (!equalBytes(hash(block), address)) throw new InfinitError('corrupt', 'block does not hash to its address');
  return header;
}
