// The network as one store: immutable blocks, registers, journals. A tree needs nothing else.

import type { Bytes } from '../base/bytes.ts';
import type { Abortable } from '../base/lifecycle.ts';
import type { Address } from '../block/address.ts';
import type { Journals, Registers } from '../consensus/consensus.ts';

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

export interface Store {
  readonly blocks: Blocks;
  readonly registers: Registers;
  readonly journals: Journals;
}
