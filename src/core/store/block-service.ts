// The holder's side of immutable blocks: what others ask of the blocks kept here.

import type { Bytes } from '../base/bytes.ts';
import { InfinitError, isError } from '../base/errors.ts';
import type { Address } from '../block/address.ts';
import type { Peers } from '../peer/peer.ts';
import type { HeldBlocks } from './held-blocks.ts';
import type { Inventory } from './inventory.ts';
import * as messages from './messages.ts';
import { answerRanges } from './reconcile.ts';
import type { Throttle } from './throttle.ts';

/** About a block with this generation. */
export type Unwanted = (address: Address, block: Bytes, generation: number) => boolean;

export interface BlockServiceOptions {
  held: HeldBlocks;
  peers: Peers;
  /** What callers are served counts there; what other nodes ask in the background waits for them. */
  throttle: Throttle;
  /** Whether a sweep known here says that the block is garbage: copies of other nodes do not bring it back. */
  unwanted: Unwanted;
  /** Whether the block's tree was destroyed: then nobody puts it any more. */
  destroyed?: ((block: Bytes) => boolean) | undefined;
  inventory: Inventory;
  /** The node leaves: it takes nothing, and nobody may rely on what it holds. */
  leaving?: (() => boolean) | undefined;
}

export class BlockService {
  private readonly options: BlockServiceOptions;

  constructor(options: BlockServiceOptions) {
    this.options = options;
  }

  serve(): void {
    const { held, inventory, throttle, unwanted, peers: background } = this.options;
    const peers = throttle.watching(background);
    const isLeaving = () => this.options.leaving?.() ?? false;
    const checkTree = (block: Bytes) => {
      if (this.options.destroyed?.(block)) throw new InfinitError('denied', 'the tree of the block was destroyed');
    };
    const put = async ({ address, generation, block }: messages.BlockPut) => {
      if (isLeaving()) throw new InfinitError('full', 'the node is leaving the network');
      checkTree(block);
      await held.put(address, block, generation);
      // Word of it may have come meanwhile, and the sweep may have passed the place already.
      if (this.options.destroyed?.(block)) await held.discard(address);
      checkTree(block);
      return {};
    };
    peers.serve(messages.blockPut, put);
    background.serve(messages.blockCopy, (request) =>
      throttle.serve(() => {
        const { address, block, generation } = request;
        if (unwanted(address, block, generation))
          throw new InfinitError('conflict', 'a sweep says the block is garbage');
        return put(request);
      }),
    );
    peers.serve(messages.blockGet, ({ address }) => this.read(address, () => held.get(address)));
    background.serve(messages.blockFetch, ({ address }) => throttle.serve(() => held.get(address)));
    background.serve(messages.blockConfirm, async ({ blocks }) => {
      const { storeId: store } = held;
      const confirmed = blocks.map(({ address, generation }) => !isLeaving() && held.confirm(address, generation));
      return { store, held: await Promise.all(confirmed) };
    });
    peers.serve(messages.blockRange, async ({ address, offset, length }) => ({
      part: await this.read(address, () => held.range(address, offset, length)),
    }));
    peers.serve(messages.blockHave, ({ addresses }) => each(addresses, (address) => held.has(address)));
    peers.serve(messages.blockTouch, ({ addresses, generation }) =>
      each(addresses, (address) => held.touch(address, generation)),
    );
    background.serve(messages.blockIndex, ({ ranges }) =>
      throttle.serve(async () => ({ answers: answerRanges(inventory, ranges) })),
    );
  }

  /** A reader who misses a block here tells that it may be missing. */
  private async read<T>(address: Address, task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } catch (error) {
      if (isError(error, 'not-found')) this.options.held.events.emit('missed', address);
      throw error;
    }
  }
}

async function each(
  addresses: readonly Address[],
  ask: (address: Address) => Promise<boolean>,
): Promise<{ held: boolean[] }> {
  return { held: await Promise.all(addresses.map(ask)) };
}
