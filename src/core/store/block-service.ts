// The holder's side of immutable blocks: what others ask of the blocks kept here.

import type { Address, NodeId } from '../block/address.ts';
import type { Peers } from '../peer/peer.ts';
import type { HeldBlocks } from './held-blocks.ts';
import * as messages from './messages.ts';
import type { Throttle } from './throttle.ts';

export interface BlockServiceOptions {
  held: HeldBlocks;
  peers: Peers;
  /** What callers are served counts there; what other nodes ask in the background waits for them. */
  throttle: Throttle;
  /** Whether the node is responsible for the address, in this node's view. */
  responsible: (address: Address, node: NodeId) => Promise<boolean>;
}

export class BlockService {
  private readonly options: BlockServiceOptions;

  constructor(options: BlockServiceOptions) {
    this.options = options;
  }

  serve(): void {
    const { held, throttle, peers: background } = this.options;
    const peers = throttle.watching(background);
    const put = async ({ address, generation, block }: messages.BlockPut) => {
      await held.put(address, block, generation);
      return {};
    };
    peers.serve(messages.blockPut, put);
    background.serve(messages.blockCopy, (request) => throttle.serve(() => put(request)));
    peers.serve(messages.blockGet, ({ address }) => held.get(address));
    background.serve(messages.blockFetch, ({ address }) => throttle.serve(() => held.get(address)));
    background.serve(messages.blockConfirm, async ({ blocks }) => {
      const { storeId: store } = held;
      const confirmed = blocks.map(({ address, generation }) => held.confirm(address, generation));
      return { store, held: await Promise.all(confirmed) };
    });
    peers.serve(messages.blockRange, async ({ address, offset, length }) => ({
      part: await held.range(address, offset, length),
    }));
    peers.serve(messages.blockHave, ({ addresses }) => each(addresses, (address) => held.has(address)));
    peers.serve(messages.blockTouch, ({ addresses, generation }) =>
      each(addresses, (address) => held.touch(address, generation)),
    );
    background.serve(messages.blockIndex, ({ node, after }) => throttle.serve(() => this.index(node, after)));
  }

  private async index(
    node: NodeId,
    after: Address | undefined,
  ): Promise<{ addresses: Address[]; next: Address | undefined }> {
    const addresses: Address[] = [];
    let seen = 0;
    for await (const address of this.options.held.addresses(after)) {
      if (await this.options.responsible(address, node)) addresses.push(address);
      if (++seen === messages.indexPageMax) return { addresses, next: address };
    }
    return { addresses, next: undefined };
  }
}

async function each(
  addresses: readonly Address[],
  ask: (address: Address) => Promise<boolean>,
): Promise<{ held: boolean[] }> {
  return { held: await Promise.all(addresses.map(ask)) };
}
