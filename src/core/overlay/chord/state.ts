// State of the ring at one node (protocols 1.1): its positions with their lists. Pure data and the arithmetic of lists.

import { limits } from '../../base/limits.ts';
import type { Liveness } from '../overlay.ts';
import { between, type Entry, entryOf, type NodeName, type Point } from '../ring.ts';

export interface Position {
  readonly self: Entry;
  readonly joined: boolean;
  /** Clockwise, never self, cut before self, at most R other nodes. */
  readonly list: readonly Entry[];
  /** Digest of the answer the list was made of; spares sending it again. */
  readonly heard: string;
  /** The list before the last change of it. */
  readonly spare: readonly Entry[];
  readonly pred: Entry | undefined;
  /** A candidate for the head of the list, to be asked first. */
  readonly better: Entry | undefined;
  readonly query: Query | undefined;
  readonly walk: Walk | undefined;
}

/** The one outstanding `ring.state` of a position. */
export interface Query {
  readonly nonce: number;
  readonly kind: 'stabilise' | 'better';
  readonly to: Entry;
  /** Asked in this round without an answer. */
  readonly silent: readonly Point[];
}

/** The one outstanding chain of `ring.find` of a position, towards its own place. */
export interface Walk {
  readonly nonce: number;
  readonly purpose: 'join' | 'unify';
  /** Who is asked. */
  readonly to: Stop;
  /** Whom to ask if that one is silent. */
  readonly rest: readonly Stop[];
  /** Nobody is asked twice. */
  readonly asked: readonly NodeName[];
  /** The nearest that answered; the walk only gets closer. */
  readonly at: Entry | undefined;
}

/** A position; of members that are only remembered, the node. */
export type Stop = Entry | Pick<Entry, 'node'>;

export interface Ring {
  readonly self: NodeName;
  readonly positions: readonly Position[];
  readonly nonce: number;
  /** Grows with every change of a list or predecessor. */
  readonly version: number;
}

/** What a position answers to `ring.state`; `list` is undefined when it is the one the asker holds. */
export interface StateAnswer {
  readonly list: readonly Entry[] | undefined;
  readonly pred: Entry | undefined;
}

export type LivenessOf = (node: NodeName) => Liveness;

export function newRing(self: NodeName, positions: number): Ring {
  return withPositions({ self, positions: [], nonce: 0, version: 0 }, positions);
}

/** The last ones go; new ones are yet to take their places. */
export function withPositions(ring: Ring, count: number): Ring {
  const fresh = Array.from({ length: count }, (_, index) => ring.positions[index] ?? blank(ring.self, index));
  return { ...ring, positions: fresh, version: ring.version + 1 };
}

function blank(self: NodeName, index: number): Position {
  const nothing = { pred: undefined, better: undefined, query: undefined, walk: undefined };
  return { self: entryOf(self, index), joined: false, list: [], heard: '', spare: [], ...nothing };
}

/** `[first] ++ rest`, cut before the position and to R other nodes: what rule R4 wants of a list. */
export function cut(self: Entry, candidates: readonly Entry[]): Entry[] {
  const out: Entry[] = [];
  const nodes = new Set<NodeName>();
  let last = self.point;
  for (const entry of candidates) {
    if (out.length === limits.listPositionsMax || !between(last, entry.point, self.point)) break;
    if (entry.node !== self.node && !nodes.has(entry.node)) {
      if (nodes.size === limits.successorNodes) break;
      nodes.add(entry.node);
    }
    out.push(entry);
    last = entry.point;
  }
  return out;
}

/** The first entry of list, then of spare, not confirmed dead. */
export function headOf(position: Position, liveness: LivenessOf): Entry | undefined {
  const usable = (entry: Entry) => liveness(entry.node) !== 'dead';
  return position.list.find(usable) ?? position.spare.find(usable);
}

/** Distinct other nodes the positions point to. */
export function neighboursOf(ring: Ring): NodeName[] {
  const nodes = new Set<NodeName>();
  for (const { list, pred } of ring.positions) {
    for (const entry of list) nodes.add(entry.node);
    if (pred) nodes.add(pred.node);
  }
  nodes.delete(ring.self);
  return [...nodes];
}
