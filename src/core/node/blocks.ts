// The blocks of a storage node, wired: what it holds, what it answers about it, and the workers that keep the copies right.

import type { Overlay } from '../overlay/overlay.ts';
import type { Peers } from '../peer/peer.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Silo } from '../silo/silo.ts';
import type { Absence } from '../store/absence.ts';
import { BlockService, type Unwanted } from '../store/block-service.ts';
import { BlockTransfer } from '../store/block-transfer.ts';
import { Census } from '../store/census.ts';
import { Fetching } from '../store/fetching.ts';
import { HeldBlocks } from '../store/held-blocks.ts';
import { Inventory } from '../store/inventory.ts';
import { Rebalance } from '../store/rebalance.ts';
import { type BlockRedundancy, blockRedundancy } from '../store/redundancy.ts';
import { Repair } from '../store/repair.ts';
import { Scrub } from '../store/scrub.ts';
import type { Throttle } from '../store/throttle.ts';
import { Worker } from '../store/worker.ts';

export interface BlocksParts {
  runtime: Runtime;
  peers: Peers;
  overlay: Overlay;
  absence: Absence;
  silo: Silo;
  throttle: Throttle;
  /** Whether a sweep known here says that a block is garbage. */
  unwanted: Unwanted;
  /** Whether the tree of a block was destroyed. */
  destroyed: (block: Uint8Array) => boolean;
  /** How long scrub takes for everything; undefined: two weeks. */
  scrubPeriodMs?: number | undefined;
  replicationFactor: number;
  /** Whether this node is about to leave for good. */
  leaving: () => boolean;
}

export interface Blocks {
  readonly held: HeldBlocks;
  /** What is held, as far as it is counted. */
  readonly inventory: Inventory;
  readonly repair: Repair;
  readonly rebalance: Rebalance;
  readonly scrub: Scrub;
  readonly transfer: BlockTransfer;
  /** Reads everything once, from now on. */
  scrubNow(): void;
  /** How many copies there are, and why they are not more. */
  redundancy(evictionDelayMs: number): BlockRedundancy;
  /** Look only at what is here. */
  readonly lookers: readonly Worker[];
  /** Bring copies to where they belong. */
  readonly movers: readonly Worker[];
}

const periodMs = 30_000;
const scrubLookMs = 60_000;
const scrubPeriodMs = 14 * 24 * 60 * 60_000;

export function serveBlocks(parts: BlocksParts): Blocks {
  const { runtime, peers, overlay, absence, silo, throttle, unwanted, destroyed, replicationFactor, leaving } = parts;
  const self = peers.self.id;
  const held = new HeldBlocks(silo);
  const inventory = new Inventory();
  new BlockService({ held, inventory, peers, throttle, unwanted, destroyed, leaving }).serve();
  const transfer = new BlockTransfer({ overlay, held, throttle });
  const fetching = new Fetching({ self, overlay, held, throttle, unwanted });
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
  const rebalance = new Rebalance({ ...common, arcs: () => repair.arcs });
  const scrubbing = { runtime, silo, held, inventory, throttle, periodMs: parts.scrubPeriodMs ?? scrubPeriodMs };
  const scrub = new Scrub(scrubbing);
  const scrubber = new Worker(scrub, runtime, scrubLookMs, throttle);
  const scrubNow = () => {
    scrub.now();
    scrubber.wake();
  };
  const redundancy = (evictionDelayMs: number) => {
    const { arcs = [], lacks, comparedMs } = repair;
    const known = { arcs, lacks, comparedMs, missing: repair.missing(), surplus: rebalance.surplus() };
    return blockRedundancy({ ...common, ...known, evictionDelayMs });
  };
  absence.events.on('back', () => {
    repair.soon();
    repairing.wake();
  });
  const lookers = [new Worker(census, runtime, periodMs, throttle), scrubber];
  const movers = [repairing, new Worker(rebalance, runtime, periodMs, throttle)];
  return { held, inventory, repair, rebalance, scrub, scrubNow, redundancy, transfer, lookers, movers };
}
