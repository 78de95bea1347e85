// How many positions a node declares: so many that it gets its share of the data by its capacity (protocols 1.1, decision 017).
// Everybody whose record is held counts, there or not: a crash moves no positions.

import { limits } from '../base/limits.ts';
import type { Circle } from './circle.ts';
import type { Directory } from './directory.ts';
import type { OverlayContext } from './overlay.ts';

/** What an overlay wants of the number of positions. */
export interface Scale {
  /** Of a node of mean capacity. */
  readonly mean: number;
  readonly min: number;
  readonly max: number;
  /** Positions are as many as the capacity asks for, give or take this factor: what is left to even out. */
  readonly latitude: number;
  /** Who has been weighed changes again only when its share is off by more than this part. */
  readonly tolerance: number;
}

export const kouncilScale: Scale = {
  mean: limits.kouncilPositions,
  min: limits.kouncilPositionsMin,
  max: limits.kouncilPositionsMax,
  latitude: 2,
  tolerance: 0.07,
};
/** Positions are places in lists, which cost upkeep: fewer of them, and coarser. */
export const chordScale: Scale = {
  get mean() {
    return limits.chordPositions;
  },
  min: limits.chordPositionsMin,
  max: limits.chordPositionsMax,
  latitude: 3,
  tolerance: 0.2,
};

export interface Weighing {
  /** Declared now; undefined when it has never been weighed. */
  positions: number | undefined;
  capacityBytes: number;
  /** Of all other nodes that stay. */
  others: readonly number[];
  /** Replicas of a block. */
  copies: number;
  /** The part of all addresses the node would keep a copy of, with so many positions; undefined when nobody can tell. */
  share: ((positions: number) => number) | undefined;
}

/** A capacity counts for the mean within this factor of the median: nobody shifts it by claiming the moon. */
const outlierFactor = 16;

const periodMs = 10 * 60_000;
/** Before it has been weighed among others. */
const firstMs = 30_000;

/** How long until a node looks again whether it has its share of the data. */
export function weighAgainMs({ positions }: Pick<OverlayContext, 'positions'>): number {
  return positions?.settled() === false ? firstMs : periodMs;
}

/**
 * Declares as many positions as this node should have among all whose records are held. `circle` has theirs; it is undefined
 * when they are but a part of the network. Returns whether that is another number than before.
 */
export function weighSelf(
  context: OverlayContext,
  directory: Directory,
  circle: Circle | undefined,
  scale: Scale,
): boolean {
  const own = context.self();
  const declared = context.positions;
  const others = directory.all().flatMap((node) => {
    const record = directory.get(node);
    return record && !record.leaving ? [record.capacityBytes] : [];
  });
  if (own === undefined || declared === undefined || others.length === 0) return false;
  const { replicationFactor: copies } = context;
  const share = circle && ((count: number) => circle.share(directory.self, count, copies));
  const positions = declared.settled() ? own.positions : undefined;
  const wanted = weigh({ positions, capacityBytes: own.capacityBytes, others, copies, share }, scale);
  if (wanted !== positions) declared.set(wanted);
  return wanted !== own.positions;
}

/** The mean number for a node of mean capacity, in proportion for others. */
export function positionsByCapacity(capacityBytes: number, others: readonly number[], scale: Scale): number {
  const all = [capacityBytes, ...others].sort((a, b) => a - b);
  const median = Math.max(1, all[all.length >> 1] as number);
  const counted = all.map((each) => Math.min(median * outlierFactor, Math.max(median / outlierFactor, each)));
  const mean = counted.reduce((sum, each) => sum + each, 0) / counted.length;
  return bounded((scale.mean * capacityBytes) / mean, scale);
}

export function weigh({ positions, capacityBytes, others, copies, share }: Weighing, scale: Scale): number {
  const wanted = positionsByCapacity(capacityBytes, others, scale);
  const [least, most] = [bounded(wanted / scale.latitude, scale), bounded(wanted * scale.latitude, scale)];
  const kept = positions !== undefined && positions >= least && positions <= most ? positions : wanted;
  if (share === undefined || others.length < copies) return kept;
  const fair = fairShare(capacityBytes, others, copies);
  if (positions === kept && Math.abs(share(kept) / fair - 1) <= scale.tolerance) return kept;
  let [low, high] = [least, most];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (share(middle) < fair) low = middle + 1;
    else high = middle;
  }
  return low > least && fair - share(low - 1) < share(low) - fair ? low - 1 : low;
}

/** Of all addresses, by capacity; nobody keeps more than one copy of each, what he cannot take the others take. */
export function fairShare(capacityBytes: number, others: readonly number[], copies: number): number {
  const all = [capacityBytes, ...others].sort((a, b) => b - a);
  let left = all.reduce((sum, each) => sum + each, 0);
  let copiesLeft = Math.min(copies, all.length);
  for (const largest of all) {
    const part = left > 0 ? (copiesLeft * largest) / left : 1;
    if (part < 1) break;
    if (largest <= capacityBytes) return 1;
    left -= largest;
    copiesLeft--;
  }
  return Math.min(1, (copiesLeft * capacityBytes) / left);
}

function bounded(positions: number, { min, max }: Scale): number {
  return Math.min(max, Math.max(min, Math.round(positions)));
}
