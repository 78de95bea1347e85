// Moves what does not belong here any more: blocks whose holders are others, since nodes joined, came back, or changed their
// weights. Each is given to the nodes that are to hold it, and the copy here goes only when all of them have confirmed theirs by
// store, with at least the generation it has here (docs/protocols.md 1.7, 3; I3). Until then it is served as before.

import { compareBytes, equalBytes } from '../base/bytes.ts';
import type { Address, NodeId } from '../block/address.ts';
import type { NodeRecord, Overlay } from '../overlay/overlay.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Absence } from './absence.ts';
import type { Arc } from './arcs.ts';
import type { BlockTransfer } from './block-transfer.ts';
import type { HeldBlocks } from './held-blocks.ts';
import {
  addressBefore,
  addressBehind,
  type Inventory,
  type InventoryEntry,
  type Range,
  wholeRing,
} from './inventory.ts';
import type { Work } from './worker.ts';

export interface RebalanceParts {
  runtime: Runtime;
  self: NodeId;
  overlay: Overlay;
  absence: Pick<Absence, 'holders'>;
  held: HeldBlocks;
  inventory: Inventory;
  transfer: BlockTransfer;
  /** Where this node is to hold blocks, as repair has found out; another array after each change. */
  arcs: () => readonly Arc[] | undefined;
  replicationFactor: number;
}

/** A change of the ring may be undone: nothing goes for so long after one (docs/protocols.md 2.5 moves registers as late). */
const settleMs = 60_000;
/** Between passes that could not drop everything the time doubles. */
const passMs = { first: 30_000, max: 10 * 60_000 };
const blocksPerStep = 64;

export class Rebalance implements Work {
  readonly name = 'rebalance';
  readonly counters = { dropped: 0, kept: 0, passes: 0 };
  private readonly parts: RebalanceParts;
  private arcs: readonly Arc[] | undefined;
  private outside: Range[] = [];
  private changedMs = 0;
  private nextPassMs = 0;
  private periodMs = passMs.first;
  private pass: Range[] | undefined;
  private droppedBefore = 0;

  constructor(parts: RebalanceParts) {
    this.parts = parts;
  }

  /** Blocks here that belong elsewhere. */
  surplus(): number {
    const { inventory } = this.parts;
    return this.outside.reduce((sum, range) => sum + inventory.count(range), 0);
  }

  backlog(): number {
    return this.surplus();
  }

  async step(signal: AbortSignal): Promise<boolean> {
    const { inventory, overlay, self, runtime } = this.parts;
    const now = runtime.clock.monotonic();
    this.look(now);
    if (!inventory.complete || this.arcs === undefined || overlay.record(self)?.leaving !== false) return false;
    if (this.pass === undefined) {
      if (now < Math.max(this.nextPassMs, this.changedMs + settleMs) || this.surplus() === 0) return false;
      this.pass = [...this.outside];
      this.droppedBefore = this.counters.dropped;
    }
    const entries = this.nextEntries();
    if (entries.length > 0) await this.move(entries, signal);
    if (this.pass.length > 0) return true;
    this.pass = undefined;
    this.counters.passes++;
    const moved = this.counters.dropped > this.droppedBefore;
    this.periodMs = moved ? passMs.first : Math.min(passMs.max, this.periodMs * 2);
    this.nextPassMs = runtime.clock.monotonic() + this.periodMs;
    return false;
  }

  /** Whether it has changed where this node is to hold blocks. */
  private look(now: number): void {
    const arcs = this.parts.arcs();
    if (arcs === this.arcs || arcs === undefined) return;
    this.arcs = arcs;
    this.outside = gaps(arcs.flatMap(({ ranges }) => ranges));
    this.changedMs = now;
    this.nextPassMs = 0;
    this.periodMs = passMs.first;
    this.pass = undefined;
  }

  /** The next few blocks of the pass. */
  private nextEntries(): InventoryEntry[] {
    const pass = this.pass as Range[];
    for (let range = pass.shift(); range !== undefined; range = pass.shift()) {
      const entries = this.parts.inventory.entries(range, blocksPerStep);
      const last = entries.at(-1);
      if (last === undefined) continue;
      const rest = behind(last.address, range);
      if (entries.length === blocksPerStep && rest !== undefined) pass.unshift(rest);
      return entries;
    }
    return [];
  }

  private async move(entries: readonly InventoryEntry[], signal: AbortSignal): Promise<void> {
    const { held, transfer, replicationFactor } = this.parts;
    const placed = await Promise.all(
      entries.map(async ({ address }) => ({ address, holders: await this.elsewhere(address, signal) })),
    );
    const wanted = placed.flatMap(({ address, holders }) => (holders === undefined ? [] : [{ address, holders }]));
    this.counters.kept += entries.length - wanted.length;
    // Before others are asked: nobody may rely on these copies from now on.
    const over = held.giveUp(wanted.map(({ address }) => address));
    try {
      for (const { address, generation, stores } of await transfer.ensureHeld(wanted, { signal })) {
        const enough = generation !== undefined && stores.length >= replicationFactor;
        // A touch since then was not confirmed by the others.
        if (enough && (await held.drop(address, (now) => now <= generation))) this.counters.dropped++;
        else this.counters.kept++;
      }
    } finally {
      over();
    }
  }

  /** Who is to hold the block instead of this node; undefined unless there are enough of them, all there to be asked. */
  private async elsewhere(address: Address, signal: AbortSignal): Promise<NodeRecord[] | undefined> {
    const { absence, overlay, self, replicationFactor } = this.parts;
    const holders = await absence.holders(address, replicationFactor, { signal, closed: true });
    const others = holders.every(({ id }) => !equalBytes(id, self) && overlay.liveness(id) === 'alive');
    return others && holders.length >= replicationFactor ? holders : undefined;
  }
}

/** All addresses outside of the ranges. */
function gaps(ranges: readonly Range[]): Range[] {
  const found: Range[] = [];
  let from: Address | undefined = wholeRing.from;
  for (const range of [...ranges].sort((a, b) => compareBytes(a.from, b.from))) {
    if (from !== undefined && compareBytes(from, range.from) < 0)
      found.push({ from, to: addressBefore(range.from) as Address });
    from = addressBehind(range.to);
  }
  if (from !== undefined) found.push({ ...wholeRing, from });
  return found;
}

function behind(address: Address, { to }: Range): Range | undefined {
  const from = equalBytes(address, to) ? undefined : addressBehind(address);
  return from && { from, to };
}
