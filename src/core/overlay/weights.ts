// How many positions a node declares where everybody knows everybody (Kouncil): so many that it gets its share of the data by its
// capacity (protocols 1.1, decision 017). Pure: it is told what the node would get with how many.

import { limits } from '../base/limits.ts';

export interface Weighing {
  /** Declared now; undefined when it has never been weighed. */
  positions: number | undefined;
  capacityBytes: number;
  /** Of all other nodes that stay, there or not: a crash moves no positions. */
  others: readonly number[];
  /** Replicas of a block. */
  copies: number;
  /** The part of all addresses the node would keep a copy of, with so many positions. */
  share: (positions: number) => number;
}

/** A capacity counts for the mean within this factor of the median: nobody shifts it by claiming the moon. */
const outlierFactor = 16;
/** Positions are as many as the capacity asks for, give or take this factor: what is left to even out. */
const latitude = 2;
/** Who has been weighed changes again only when its share is off by more. */
const tolerance = 0.07;

/** 256 for a node of mean capacity, in proportion for others. */
export function positionsByCapacity(capacityBytes: number, others: readonly number[]): number {
  const all = [capacityBytes, ...others].sort((a, b) => a - b);
  const median = Math.max(1, all[all.length >> 1] as number);
  const counted = all.map((each) => Math.min(median * outlierFactor, Math.max(median / outlierFactor, each)));
  const mean = counted.reduce((sum, each) => sum + each, 0) / counted.length;
  return bounded((limits.kouncilPositions * capacityBytes) / mean);
}

export function weigh({ positions, capacityBytes, others, copies, share }: Weighing): number {
  const wanted = positionsByCapacity(capacityBytes, others);
  const [least, most] = [bounded(wanted / latitude), bounded(wanted * latitude)];
  const kept = positions !== undefined && positions >= least && positions <= most ? positions : wanted;
  if (others.length < copies) return kept;
  const fair = fairShare(capacityBytes, others, copies);
  if (positions === kept && Math.abs(share(kept) / fair - 1) <= tolerance) return kept;
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

function bounded(positions: number): number {
  return Math.min(limits.kouncilPositionsMax, Math.max(limits.kouncilPositionsMin, Math.round(positions)));
}
