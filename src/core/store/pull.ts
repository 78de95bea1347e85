// Fills a gained arc: a node asks others which blocks it is responsible for and copies what it lacks (docs/protocols.md 1.7).
// Nothing is ever deleted here (I3).

import { toHex } from '../base/bytes.ts';
import { isError } from '../base/errors.ts';
import type { Address, NodeId } from '../block/address.ts';
import type { NodeRecord, Overlay } from '../overlay/overlay.ts';
import type { Peer } from '../peer/peer.ts';
import type { HeldBlocks } from './held-blocks.ts';
import * as messages from './messages.ts';
import type { Throttle } from './throttle.ts';
import type { Work } from './worker.ts';

/** Copies in flight at once. */
const parallelCopies = 4;

export interface PullOptions {
  self: NodeId;
  held: HeldBlocks;
  overlay: Overlay;
  throttle: Throttle;
}

/** Walks the index of one other node after another, a page a step. */
export class Pull implements Work {
  readonly name = 'pull';
  readonly counters = { pages: 0, copied: 0, copiedBytes: 0, failed: 0 };
  private readonly options: PullOptions;
  private sources: { node: NodeRecord; after: Address | undefined }[] = [];
  /** Nodes whose whole index was walked, by the serial of the record they had then. */
  private readonly walked = new Map<string, number>();

  constructor(options: PullOptions) {
    this.options = options;
  }

  async step(signal: AbortSignal): Promise<boolean> {
    if (this.sources.length === 0) {
      this.sources = this.newSources();
      if (this.sources.length === 0) return false;
    }
    const source = this.sources[0] as { node: NodeRecord; after: Address | undefined };
    try {
      const peer = await this.options.overlay.peer(source.node.id, { signal });
      const request = { node: this.options.self, after: source.after };
      const page = await peer.call(messages.blockIndex, request, { signal });
      this.counters.pages++;
      await this.copyMissing(peer, page.addresses, signal);
      source.after = page.next;
      if (page.next === undefined) {
        this.walked.set(toHex(source.node.id), source.node.serial);
        this.sources.shift();
      }
    } catch (error) {
      this.sources.shift();
      if (!isError(error, 'unavailable', 'not-found', 'corrupt', 'denied')) throw error;
      this.counters.failed++;
    }
    return this.sources.length > 0;
  }

  /** Others that joined, or restarted, since they were walked. */
  private newSources(): { node: NodeRecord; after: Address | undefined }[] {
    const own = toHex(this.options.self);
    return this.options.overlay
      .nodes()
      .filter((node) => toHex(node.id) !== own && this.walked.get(toHex(node.id)) !== node.serial)
      .map((node) => ({ node, after: undefined }));
  }

  /** Walks everybody again at the next wake: this node's own arc changed. */
  forget(): void {
    this.walked.clear();
  }

  private async copyMissing(peer: Peer, addresses: readonly Address[], signal: AbortSignal): Promise<void> {
    const { held, throttle } = this.options;
    const queue = [...addresses];
    const copy = async () => {
      for (let address = queue.shift(); address !== undefined; address = queue.shift()) {
        if (await held.has(address)) continue;
        const { block, generation } = await peer.call(messages.blockGet, { address }, { signal });
        await throttle.bytes(block.length, { signal });
        await held.put(address, block, generation);
        this.counters.copied++;
        this.counters.copiedBytes += block.length;
      }
    };
    await Promise.all(Array.from({ length: parallelCopies }, copy));
  }
}
