// The blocks of a storage node, wired: what it holds, what it answers about it, and the workers that keep the copies right.

import { toHex } from '../base/bytes.ts';
import type { Address, NodeId } from '../block/address.ts';
import type { Overlay } from '../overlay/overlay.ts';
import type { Peers } from '../peer/peer.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Silo } from '../silo/silo.ts';
import { BlockService } from '../store/block-service.ts';
import { HeldBlocks } from '../store/held-blocks.ts';
import { Pull } from '../store/pull.ts';
import type { Throttle } from '../store/throttle.ts';
import { Worker } from '../store/worker.ts';

export interface BlocksParts {
  runtime: Runtime;
  peers: Peers;
  overlay: Overlay;
  silo: Silo;
  throttle: Throttle;
  replicationFactor: number;
}

export interface Blocks {
  readonly held: HeldBlocks;
  readonly workers: readonly Worker[];
}

const pullPeriodMs = 30_000;

export function serveBlocks(parts: BlocksParts): Blocks {
  const { runtime, peers, overlay, silo, throttle, replicationFactor } = parts;
  const responsible = async (address: Address, node: NodeId) =>
    (await overlay.owners(address, replicationFactor)).some((owner) => toHex(owner.id) === toHex(node));
  const held = new HeldBlocks(silo);
  new BlockService({ held, peers, throttle, responsible }).serve();
  const pull = new Pull({ self: peers.self.id, held, overlay, throttle });
  return { held, workers: [new Worker(pull, runtime, pullPeriodMs, throttle)] };
}
