// Gets blocks this node is to hold, or holds a bad copy of, from others: verified, with the generation they have there.

import { toHex } from '../base/bytes.ts';
import { isError } from '../base/errors.ts';
import { type Abortable, checkSignal } from '../base/lifecycle.ts';
import type { Address, NodeId } from '../block/address.ts';
import type { NodeRecord, Overlay } from '../overlay/overlay.ts';
import type { Unwanted } from './block-service.ts';
import type { HeldBlocks } from './held-blocks.ts';
import { blockFetch } from './messages.ts';
import type { Throttle } from './throttle.ts';

export interface FetchingParts {
  self: NodeId;
  overlay: Overlay;
  held: HeldBlocks;
  throttle: Throttle;
  unwanted: Unwanted;
}

export interface FetchCounters {
  fetched: number;
  fetchedBytes: number;
  failed: number;
}

export class Fetching {
  readonly counters: FetchCounters = { fetched: 0, fetchedBytes: 0, failed: 0 };
  private readonly parts: FetchingParts;

  constructor(parts: FetchingParts) {
    this.parts = parts;
  }

  /**
   * Asks one node after another until the block is here. `absent`: all were asked and none has it. `failed`: somebody could not
   * be asked, or had a bad copy. `full`: no room here. What a sweep known here says is garbage counts as absent.
   */
  async fetch(
    address: Address,
    nodes: readonly NodeRecord[],
    options: Abortable = {},
  ): Promise<'here' | 'absent' | 'failed' | 'full'> {
    const { overlay, held, throttle, self, unwanted } = this.parts;
    let outcome: 'absent' | 'failed' = 'absent';
    for (const node of nodes) {
      if (toHex(node.id) === toHex(self)) continue;
      checkSignal(options.signal);
      if (await held.has(address)) return 'here';
      try {
        const peer = await overlay.peer(node.id, options);
        const { block, generation } = await peer.call(blockFetch, { address }, options);
        if (unwanted(address, block, generation)) return 'absent';
        await throttle.bytes(block.length, options);
        await held.put(address, block, generation);
        this.counters.fetched++;
        this.counters.fetchedBytes += block.length;
        return 'here';
      } catch (error) {
        checkSignal(options.signal);
        if (isError(error, 'full')) return 'full';
        if (isError(error, 'not-found')) continue;
        if (!isError(error, 'unavailable', 'denied', 'corrupt', 'unsupported')) throw error;
        this.counters.failed++;
        outcome = 'failed';
      }
    }
    return outcome;
  }
}
