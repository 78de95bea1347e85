// The blocks of a storage node, wired: what it holds, what it answers about it, and the workers that keep the copies right.

import type { Overlay } from '../overlay/overlay.ts';
import type { Peers } from '../peer/peer.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Silo } from '../silo/silo.ts';
import type { Absence } from '../store/absence.ts';
import { BlockService } from '../store/block-service.ts';
import { BlockTransfer } from '../store/block-transfer.ts';
import { Census } from '../store/census.ts';
import { Fetching } from '../store/fetching.ts';
import { HeldBlocks } from '../store/held-blocks.ts';
import { Inventory } from '../store/inventory.ts';
import { Repair } from '../store/repair.ts';
import type { Throttle } from '../store/throttle.ts';
import { Worker } from '../store/worker.ts';

export interface BlocksParts {
  runtime: Runtime;
  peers: Peers;
  overlay: Overlay;
  absence: Absence;
  silo: Silo;
  throttle: Throttle;
  replicationFactor: number;
}

export interface Blocks {
  readonly held: HeldBlocks;
  /** What is held, as far as it is counted. */
  readonly inventory: Inventory;
  readonly repair: Repair;
  readonly transfer: BlockTransfer;
  /** Look only at what is here. */
  readonly lookers: readonly Worker[];
  /** Bring copies to where they belong. */
  readonly movers: readonly Worker[];
}

const periodMs = 30_000;

export function serveBlocks(parts: BlocksParts): Blocks {
  const { runtime, peers, overlay, absence, silo, throttle, replicationFactor } = parts;
  const self = peers.self.id;
  const held = new HeldBlocks(silo);
  const inventory = new Inventory();
  new BlockService({ held, inventory, peers, throttle }).serve();
  const transfer = new BlockTransfer({ overlay, held, throttle });
  const fetching = new Fetching({ self, overlay, held, throttle });
  const common = { runtime, self, overlay, absence, held, inventory, transfer, fetching, replicationFactor };
  const repair = new Repair(common);
  const repairing = new Worker(repair, runtime, periodMs, throttle);
  const counted = () => repairing.wake();
  const census = new Census(held, inventory, counted);
  const wanted = (address: Uint8Array) => {
    repair.want(address);
    repairing.wake();
  };
  held.events.on('bad', wanted);
  held.events.on('missed', wanted);
  const lookers = [new Worker(census, runtime, periodMs, throttle)];
  return { held, inventory, repair, transfer, lookers, movers: [repairing] };
}
