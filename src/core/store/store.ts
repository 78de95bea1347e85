// The network as one store: immutable blocks, registers, journals. A tree needs nothing else.

import type { Bytes } from '../base/bytes.ts';
import type { Abortable } from '../base/lifecycle.ts';
import type { Address, NodeId } from '../block/address.ts';
import type { Journals, Registers } from '../consensus/consensus.ts';
import type { KeyPair } from '../crypto/keys.ts';
import type { Arc, SweepProgress, SweepQuestion } from './sweep-messages.ts';

export interface PutOptions extends Abortable {
  /** Garbage generation of the tree at the moment of the put. */
  generation: number;
  /**
   * Distinct nodes that must hold the block before it counts as put: as many as a quorum of the tree's root configuration
   * needs. Agreed state; a caller that sees few nodes waits or fails, it never lowers the bar.
   */
  quorum: number;
}

/** Immutable blocks (docs/protocols.md 3). */
export interface Blocks {
  /** Durable on `quorum` distinct nodes when it resolves; the rest follows in the background. Returns the address. */
  put(block: Bytes, options: PutOptions): Promise<Address>;
  /** The block, verified against its address. Throws `lost` when no reachable holder has it, `unavailable`. */
  get(address: Address, options?: Abortable): Promise<Buffer>;
  /** A part of it, not verified against the address: what the caller opens must authenticate itself. */
  getRange(address: Address, offset: number, length: number, options?: Abortable): Promise<Buffer>;
  /** Marks blocks as wanted in this generation; returns for each whether a quorum still holds it. */
  touch(addresses: readonly Address[], options: PutOptions): Promise<boolean[]>;
}

/** Deleting what nothing refers to (docs/protocols.md 5). */
export interface Sweeps {
  /** Storage nodes that may hold blocks of a tree: all that can be found. */
  holders(options?: Abortable): Promise<NodeId[]>;
  /**
   * Hands a node what is marked in an arc. Taken when it resolves; done later. The generation must stand in the chosen root
   * since before the marks were captured. Throws `unavailable`, `full` (again later), `denied`.
   */
  hand(
    node: NodeId,
    order: Arc & { tree: Address; generation: number },
    author: KeyPair,
    options?: Abortable,
  ): Promise<void>;
  /** What the node has done of it since it started. */
  progress(node: NodeId, question: SweepQuestion, options?: Abortable): Promise<SweepProgress>;
}

export interface Store {
  readonly blocks: Blocks;
  readonly sweeps: Sweeps;
  readonly registers: Registers;
  readonly journals: Journals;
}
