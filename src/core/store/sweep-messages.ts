// Messages about sweeps (docs/protocols.md 3 and 5): a leader of a tree hands a node the filter of what is marked in an arc, and
// asks what became of it.

import type { Bytes } from '../base/bytes.ts';
import { u32Bytes } from '../base/bytes.ts';
import { attachment, empty, fixed, struct, u32, u48 } from '../base/codec.ts';
import { limits } from '../base/limits.ts';
import { type Address, address } from '../block/address.ts';
import { hash } from '../crypto/hash.ts';
import { type KeyPair, publicKeyBytes, sign, signatureBytes, verify } from '../crypto/keys.ts';
import type { Method } from '../peer/peer.ts';

/** What of a tree is marked in a part of the ring. */
export interface Arc {
  /** First words of addresses, both included. */
  first: number;
  last: number;
  /** Of the marked addresses there (`fuse-filter.ts`). */
  filter: Bytes;
}

/** Blocks of that tree in that arc, of a generation before that one, which the filter does not have, may go. */
export interface SweepOrder extends Arc {
  /** The tree's root register. */
  tree: Address;
  generation: number;
  /** A writer of the tree. */
  author: Bytes;
  signature: Bytes;
}

/** Taken when answered, not done. `denied`: no writer, or the generation is not in the chosen root; `full`: later. */
export const blockSweep: Method<SweepOrder, Record<string, never>> = {
  name: 'block.sweep',
  request: struct({
    tree: address,
    generation: u32,
    first: u32,
    last: u32,
    author: fixed(publicKeyBytes),
    signature: fixed(signatureBytes),
    filter: attachment(limits.sweepFilterBytesMax),
  }),
  response: empty,
  right: 'write',
};

/** In questions: the sweep of a tree that was destroyed, which keeps nothing. */
export const destroyedGeneration = 2 ** 32 - 1;

/** Which sweeps are asked about: arcs that lie within first..last. */
export interface SweepQuestion {
  tree: Address;
  generation: number;
  first: number;
  last: number;
}

export interface SweepProgress {
  /** Arcs that wait, and that are done. */
  waiting: number;
  done: number;
  /** What went in all of that generation. */
  blocks: number;
  bytes: number;
}

/** What this node has done for that generation since it started. */
export const blockSwept: Method<SweepQuestion, SweepProgress> = {
  name: 'block.swept',
  request: struct({ tree: address, generation: u32, first: u32, last: u32 }),
  response: struct({ waiting: u32, done: u32, blocks: u48, bytes: u48 }),
  right: 'member',
};

const label = 'sweep';

export function signSweep(
  author: KeyPair,
  networkId: Bytes,
  order: Arc & { tree: Address; generation: number },
): SweepOrder {
  const signature = sign(author, label, ...signed(networkId, order));
  return { ...order, author: author.publicKey, signature };
}

export function verifySweep(networkId: Bytes, order: SweepOrder): boolean {
  return verify(order.author, order.signature, label, ...signed(networkId, order));
}

function signed(networkId: Bytes, order: Arc & { tree: Address; generation: number }): Bytes[] {
  const { tree, generation, first, last, filter } = order;
  return [networkId, tree, u32Bytes(generation), u32Bytes(first), u32Bytes(last), hash(filter)];
}
