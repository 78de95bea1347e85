// What a silo of packs needs of a place that keeps whole objects under names: a bucket, a folder of a server, a drive. One
// file for each provider. Everything is retried inside; what comes out is final.

import type { Bytes } from '../../base/bytes.ts';
import type { Abortable } from '../../base/lifecycle.ts';

export interface StoredObject {
  name: string;
  bytes: number;
}

/**
 * Names are `[a-z0-9.-]`, unique within the store. An object is whole or not there, and a reader sees it once its put has
 * resolved. Errors: `not-found` (get), `exists` (put with `onlyNew`), `denied` (credentials; with the next command), `full`
 * (no room), `unavailable` (after all retries), `corrupt` (an answer that makes no sense).
 */
export interface ObjectStore {
  /** For people and logs, without secrets: `s3://bucket/folder`. */
  readonly where: string;
  /** Creates or replaces, durably. `onlyNew`: throws `exists` when it is there, in stores that can tell. */
  put(name: string, parts: readonly Bytes[], options?: { onlyNew?: boolean }): Promise<void>;
  /** The whole, or bytes [offset, offset + length) cut at its end. */
  get(name: string, range?: { offset: number; length: number }, options?: Abortable): Promise<Buffer>;
  /** Those whose name begins with the prefix, in any order. */
  list(prefix: string): AsyncIterable<StoredObject>;
  /** Deleting nothing succeeds. */
  delete(name: string): Promise<void>;
  close(): Promise<void>;
}
