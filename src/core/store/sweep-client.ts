// The asking side of sweeps: finds the storage nodes, hands them signed filters, asks how far they are (docs/protocols.md 5).

import { type Bytes, toHex } from '../base/bytes.ts';
import type { Abortable } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import { type Address, addressBytes, type NodeId } from '../block/address.ts';
import type { KeyPair } from '../crypto/keys.ts';
import type { Overlay } from '../overlay/overlay.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Sweeps } from './store.ts';
import {
  type Arc,
  blockSweep,
  blockSwept,
  type SweepProgress,
  type SweepQuestion,
  signSweep,
} from './sweep-messages.ts';

/** Owners asked of at once, and how many times in a row nobody new may turn up before all are thought to be known. */
const ownersAsked = 16;
const quietMax = 8;

export interface SweepClientOptions {
  runtime: Pick<Runtime, 'random'>;
  overlay: Overlay;
  networkId: Bytes;
}

export class SweepClient implements Sweeps {
  private readonly options: SweepClientOptions;

  constructor(options: SweepClientOptions) {
    this.options = options;
  }

  async holders(options: Abortable = {}): Promise<NodeId[]> {
    const { overlay, runtime } = this.options;
    const found = new Map(overlay.nodes().map(({ id }) => [toHex(id), id]));
    for (let quiet = 0; quiet < quietMax && found.size < limits.nodeRecordsMax; quiet++) {
      const place = runtime.random.bytes(addressBytes);
      for (const { id } of await overlay.owners(place, ownersAsked, { ...options, all: true })) {
        if (found.has(toHex(id))) continue;
        found.set(toHex(id), id);
        quiet = 0;
      }
    }
    return [...found.values()];
  }

  async hand(
    node: NodeId,
    order: Arc & { tree: Address; generation: number },
    author: KeyPair,
    options: Abortable = {},
  ): Promise<void> {
    const peer = await this.options.overlay.peer(node, options);
    await peer.call(blockSweep, signSweep(author, this.options.networkId, order), options);
  }

  async progress(node: NodeId, question: SweepQuestion, options: Abortable = {}): Promise<SweepProgress> {
    const peer = await this.options.overlay.peer(node, options);
    return peer.call(blockSwept, question, options);
  }
}
