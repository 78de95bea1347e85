// The keys view: a linearizable ordered map of byte strings (get, compare-and-set, list, watch) over a tree.

import type { Bytes } from '../base/bytes.ts';
import type { Abortable } from '../base/lifecycle.ts';

export interface KeyValue {
  key: Bytes;
  value: Bytes;
  /** Grows with every change of the tree; the version of the last change of this key. */
  version: number;
}

export interface PutKeyOptions extends Abortable {
  /** Only when the key does not exist; else `exists`. */
  ifAbsent?: boolean;
  /** Only when the key has this version; else `conflict`. */
  ifVersion?: number;
}

export interface ListKeysOptions extends Abortable {
  prefix?: Bytes;
  /** Keys after this one. */
  startAfter?: Bytes;
  /** At most; default and bound `limits.listKeysMax`. */
  limit?: number;
  /** Leaves out values. */
  keysOnly?: boolean;
}

export interface KeyChange {
  type: 'put' | 'delete';
  key: Bytes;
  version: number;
}

/** Keys: 1 to `limits.keyBytesMax` bytes. Values: up to `limits.valueBytesMax`. All operations are linearizable and durable. */
export interface KeyStore {
  /** `not-found`. */
  get(key: Bytes, options?: Abortable): Promise<KeyValue>;
  /** The new version. */
  put(key: Bytes, value: Bytes, options?: PutKeyOptions): Promise<number>;
  /** Whether it existed. `conflict` for `ifVersion`. */
  delete(key: Bytes, options?: Abortable & { ifVersion?: number }): Promise<boolean>;
  list(
    options?: ListKeysOptions,
  ): Promise<{ entries: { key: Bytes; version: number; size: number }[]; truncated: boolean }>;
  /** Changes from now on under a prefix, in order, each at least once; ends when the signal fires. */
  watch(prefix: Bytes, options?: Abortable): AsyncIterable<KeyChange>;
}
