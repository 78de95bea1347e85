// How many of the blocks held here have fewer copies than they should, as far as this node knows, and why: what `network
// inspect --redundancy` and `doctor` tell. Known from placement, and from what others lacked when last compared.

import { toHex } from '../base/bytes.ts';
import type { NodeId } from '../block/address.ts';
import type { Overlay } from '../overlay/overlay.ts';
import type { Absence } from './absence.ts';
import type { Arc } from './arcs.ts';
import type { HeldBlocks } from './held-blocks.ts';
import type { Inventory } from './inventory.ts';

/** Blocks this node holds, and is to hold, that somebody else who is to hold them does not, and why. */
export type Shortage =
  /** Fewer nodes than copies. */
  | { reason: 'few nodes'; nodes: number; blocks: number }
  /** Away for less than the eviction delay: its copies are made elsewhere when it is over. */
  | { reason: 'node away'; node: NodeId; awayMs: number; evictedInMs: number; blocks: number }
  /** Takes no new data and lacks some. */
  | { reason: 'node closed'; node: NodeId; blocks: number }
  /** Lacked some when compared; they are sent to it. */
  | { reason: 'node lacks'; node: NodeId; blocks: number };

export interface BlockRedundancy {
  /** Blocks held here. */
  blocks: number;
  /** Whether they are all counted since the start; until then little is known. */
  counted: boolean;
  /** Of those held here: how many have fewer copies than they should. */
  underReplicated: number;
  shortages: Shortage[];
  /** Blocks this node is to hold and does not yet, as far as it knows. */
  missing: number;
  /** Copies here known to be rotten; they count as missing. */
  bad: number;
  /** Blocks here that others are to hold instead. */
  surplus: number;
  /** Milliseconds since this node has compared itself with all others it could reach; undefined before the first time. */
  comparedMs: number | undefined;
}

export interface RedundancyParts {
  self: NodeId;
  overlay: Pick<Overlay, 'liveness' | 'record'>;
  absence: Pick<Absence, 'awayMs'>;
  held: HeldBlocks;
  inventory: Inventory;
  replicationFactor: number;
  evictionDelayMs: number;
  arcs: readonly Arc[];
  /** By node, addresses held here that it lacks. */
  lacks: ReadonlyMap<string, ReadonlySet<string>>;
  missing: number;
  surplus: number;
  comparedMs: number | undefined;
}

export function blockRedundancy(parts: RedundancyParts): BlockRedundancy {
  const { inventory, held, arcs, lacks } = parts;
  const short = new Set<string>();
  for (const addresses of lacks.values()) for (const address of addresses) short.add(address);
  let underReplicated = short.size;
  const away = new Map<string, { node: NodeId; blocks: number }>();
  const few = new Map<number, number>();
  for (const arc of arcs) {
    const gone = arc.holders.filter(({ id }) => !isHere(parts, id));
    const isShort = arc.holders.length < parts.replicationFactor;
    if (gone.length === 0 && !isShort) continue;
    const blocks = arc.ranges.reduce((sum, range) => sum + inventory.count(range), 0);
    underReplicated += blocks - countInside(arc, short);
    for (const { id } of gone) away.set(toHex(id), { node: id, blocks: blocks + (away.get(toHex(id))?.blocks ?? 0) });
    if (isShort) few.set(arc.holders.length, blocks + (few.get(arc.holders.length) ?? 0));
  }
  return {
    blocks: inventory.size + held.badCopies,
    counted: inventory.complete,
    underReplicated,
    shortages: [
      ...[...few].map(([nodes, blocks]): Shortage => ({ reason: 'few nodes', nodes, blocks })),
      ...[...away.values()].map((one) => awayShortage(parts, one)),
      ...lackShortages(parts),
    ].filter(({ blocks }) => blocks > 0),
    missing: parts.missing,
    bad: held.badCopies,
    surplus: parts.surplus,
    comparedMs: parts.comparedMs,
  };
}

function isHere({ self, overlay }: RedundancyParts, id: NodeId): boolean {
  return toHex(id) === toHex(self) || overlay.liveness(id) === 'alive';
}

function awayShortage(
  { absence, evictionDelayMs }: RedundancyParts,
  { node, blocks }: { node: NodeId; blocks: number },
): Shortage {
  const awayMs = Math.round(absence.awayMs(node));
  return { reason: 'node away', node, awayMs, evictedInMs: Math.max(0, evictionDelayMs - awayMs), blocks };
}

function lackShortages(parts: RedundancyParts): Shortage[] {
  return [...parts.lacks].flatMap(([name, addresses]): Shortage[] => {
    const node = Buffer.from(name, 'hex');
    if (!isHere(parts, node)) return []; // told as away
    const reason = parts.overlay.record(node)?.closed ? 'node closed' : 'node lacks';
    return [{ reason, node, blocks: addresses.size }];
  });
}

/** How many of the addresses lie in the arc. */
function countInside({ ranges }: Arc, addresses: ReadonlySet<string>): number {
  const bounds = ranges.map(({ from, to }) => ({ from: toHex(from), to: toHex(to) }));
  let count = 0;
  for (const address of addresses) if (bounds.some(({ from, to }) => from <= address && address <= to)) count++;
  return count;
}
