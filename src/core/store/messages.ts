// Messages about immutable blocks (docs/protocols.md 3).

import type { Bytes } from '../base/bytes.ts';
import { attachment, bool, type CodecType, empty, fixed, list, struct, u32, union } from '../base/codec.ts';
import { limits } from '../base/limits.ts';
import type { Address } from '../block/address.ts';
import { address, type StoreId, storeId } from '../block/address.ts';
import type { Method } from '../peer/peer.ts';
import { digestBytes, partsOfRange } from './inventory.ts';

const addresses = list(address, limits.blockHaveMax);
const answers = list(bool, limits.blockHaveMax);

export interface BlockPut {
  address: Address;
  generation: number;
  block: Bytes;
}

/** Stores a block and its generation; durable when answered. `full`, `corrupt`. */
export const blockPut: Method<BlockPut, Record<string, never>> = {
  name: 'block.put',
  request: struct({ address, generation: u32, block: attachment(limits.blockBytesMax) }),
  response: empty,
  right: 'write',
};

/** A copy between storage nodes: as put, with the source's generation; `conflict` when a sweep says it is garbage. */
export const blockCopy: typeof blockPut = { ...blockPut, name: 'block.copy', right: 'storage' };

/** The block with its generation; `not-found`. */
export const blockGet: Method<{ address: Address }, { generation: number; block: Bytes }> = {
  name: 'block.get',
  request: struct({ address }),
  response: struct({ generation: u32, block: attachment(limits.blockBytesMax) }),
  right: 'member',
};

/** The same for background work of storage nodes, which waits while callers are served. */
export const blockFetch: typeof blockGet = { ...blockGet, name: 'block.fetch', right: 'storage' };

/** A part of a block; `not-found`. */
export const blockRange: Method<{ address: Address; offset: number; length: number }, { part: Bytes }> = {
  name: 'block.range',
  request: struct({ address, offset: u32, length: u32 }),
  response: struct({ part: attachment(limits.blockBytesMax) }),
  right: 'member',
};

/** For each address, whether the block is here. */
export const blockHave: Method<{ addresses: Address[] }, { held: boolean[] }> = {
  name: 'block.have',
  request: struct({ addresses }),
  response: struct({ held: answers }),
  right: 'member',
};

/** For each address, whether the block is here and now marked with at least the generation, durably. */
export const blockTouch: Method<{ addresses: Address[]; generation: number }, { held: boolean[] }> = {
  name: 'block.touch',
  request: struct({ addresses, generation: u32 }),
  response: struct({ held: answers }),
  right: 'write',
};

/**
 * For each block, whether others may rely on the copy here: it is here, not about to be given up, and now marked with at least
 * that generation, durably. And in which store.
 */
export const blockConfirm: Method<
  { blocks: { address: Address; generation: number }[] },
  { store: StoreId; held: boolean[] }
> = {
  name: 'block.confirm',
  request: struct({ blocks: list(struct({ address, generation: u32 }), limits.blockHaveMax) }),
  response: struct({ store: storeId, held: answers }),
  right: 'storage',
};

const inventoryEntry = struct({ address, generation: u32 });
const digest = fixed(digestBytes);

const rangeAnswer = union({
  /** The asker holds the same there. */
  same: struct({}),
  /** Digests of the equal parts `cut` makes of the range. */
  parts: struct({ digests: list(digest, partsOfRange) }),
  /** All that is held there: few. */
  entries: struct({ entries: list(inventoryEntry, limits.indexEntriesMax) }),
});
export type RangeAnswer = CodecType<typeof rangeAnswer>;

/** How what is held here in ranges of addresses differs from what the asker holds; one answer a range. `unavailable` while counting. */
export const blockIndex: Method<
  { ranges: { from: Address; to: Address; digest: Bytes }[] },
  { answers: RangeAnswer[] }
> = {
  name: 'block.index',
  request: struct({ ranges: list(struct({ from: address, to: address, digest }), limits.indexRangesMax) }),
  response: struct({ answers: list(rangeAnswer, limits.indexRangesMax) }),
  right: 'storage',
};
