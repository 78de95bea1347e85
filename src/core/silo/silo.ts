// A silo keeps bytes on one device: immutable blocks, and the durable records of registers and journals. One log serves all
// of them, so that everything waiting at one moment shares one flush.

import type { Bytes } from '../base/bytes.ts';
import type { Abortable } from '../base/lifecycle.ts';
import type { StoreId } from '../block/address.ts';
import type { SiloConfigJson } from '../descriptor/descriptor.ts';
import type { Service } from '../descriptor/services.ts';
import type { Runtime } from '../runtime/runtime.ts';

/** Keeps different uses of one key apart. Append only: the index is the encoding on disk. */
export const spaces = ['block', 'generation', 'register', 'journal', 'meta'] as const;
export type Space = (typeof spaces)[number];

/** 32 bytes. */
export type SiloKey = Bytes;

export interface SiloEntry {
  space: Space;
  key: SiloKey;
  /** `undefined` deletes. */
  value: Bytes | undefined;
}

/** A key and the first bytes of its value, as many as it has. */
export interface SiloStart {
  key: SiloKey;
  start: Buffer;
}

export interface SiloUsage {
  /** Undefined: bounded only by the device. */
  capacityBytes: number | undefined;
  /** Bytes of live values and their headers. */
  usedBytes: number;
  /** Bytes a reclaim could regain (replaced and deleted values). */
  deadBytes: number;
  /** Bytes that may still be put. */
  freeBytes: number;
  entries: number;
  blocks: number;
}

/**
 * put replaces atomically and is durable when it resolves; puts of one key take effect in the order called. delete of
 * nothing succeeds. After a crash every acknowledged change is there, and of an unacknowledged one all or nothing.
 * Errors: `not-found` (get), `full` (put beyond capacity: nothing is changed), `unavailable` (device error: the silo refuses
 * everything afterwards), `corrupt` (a stored value fails its checksum). Values up to `limits.blockBytesMax` + 64 KiB.
 */
export interface Silo {
  /** Changes with `renew` only. */
  readonly storeId: StoreId;
  get(space: Space, key: SiloKey, options?: Abortable): Promise<Buffer>;
  /** Bytes [offset, offset + length) of a value, cut at its end. The whole value's checksum is not verified. */
  getRange(space: Space, key: SiloKey, offset: number, length: number): Promise<Buffer>;
  /** Size of the value, or undefined when there is none. */
  size(space: Space, key: SiloKey): Promise<number | undefined>;
  put(space: Space, key: SiloKey, value: Bytes): Promise<void>;
  delete(space: Space, key: SiloKey): Promise<void>;
  /** All or nothing, also across a crash; one flush. At most `limits.siloBatchBytesMax` together. */
  batch(entries: readonly SiloEntry[]): Promise<void>;
  /**
   * Keys of a space in byte order, after the given one; may or may not show changes made while it runs. Those of values that have
   * rotted are among them, as far as the silo can still tell them.
   */
  list(space: Space, after?: SiloKey): AsyncIterable<SiloKey>;
  /** The same with the first bytes of each value, which the value's checksum does not vouch for; costs as much as `list`. */
  scan(space: Space, startBytes: number, after?: SiloKey): AsyncIterable<SiloStart>;
  usage(): SiloUsage;
  /** Count of acknowledged changes since formatting: it never goes back unless the device was rolled back. */
  sequence(): number;
  /** Reads one value back and verifies its checksum; for scrubbing. Throws as `get`. */
  verify(space: Space, key: SiloKey): Promise<void>;
  /** Takes another store id, durably: what was agreed under the old one is kept and votes no more (docs/protocols.md 2.7). */
  renew(): Promise<void>;
  close(): Promise<void>;
}

/** What a silo descriptor says of a silo, by kind; field by field in docs/formats-descriptors.md. */
export type SiloConfig = { [K in keyof SiloConfigJson]: SiloConfigJson[K] | undefined } & { type: string };

/** Texts by name, such as the passphrase of a crypt silo. Throws `not-found` with what to type. */
export type Secrets = (service: Service, account: string) => Promise<Readonly<Record<string, string>>>;

/** What of this home the silos need. */
export interface SiloHome {
  secrets?: Secrets;
  /** Absolute. */
  folder?: string;
}

/** What a kind works with while it opens a silo. */
export interface SiloSurroundings {
  readonly runtime: Runtime;
  readonly secrets: Secrets;
  /** A folder of this device for locks of silos that are elsewhere; undefined: none are taken. */
  readonly folder: string | undefined;
  /** Bytes that the filters around it may add to a value: so much above the limits of a batch is allowed, for each. */
  readonly addedBytes: number;
  /** Opens what a filter wraps. */
  open(config: SiloConfig, options?: { addedBytes?: number }): Promise<Silo>;
  clear(config: SiloConfig): Promise<void>;
}

/** A kind of silo: one file and one line in `registry.ts`. */
export interface SiloKind {
  readonly name: string;
  /**
   * Opens, formatting what is empty. Throws `exists` when another process has it open, `corrupt` when it is none of ours,
   * `denied` when a secret is wrong.
   */
  open(config: SiloConfig, around: SiloSurroundings): Promise<Silo>;
  /** Erases all content. Throws `exists` when a process has it open. */
  clear(config: SiloConfig, around: SiloSurroundings): Promise<void>;
}
