// What a client's own journal must know of a view to do its operations late (decision 029): what they rely on, which data they
// name, how they are asked for, and which of them need not be sent at all.

import type { Bytes } from '../../base/bytes.ts';
import type { MapReader, WrittenChunk } from '../tree.ts';
import type { Records } from './known.ts';
import type { LateEntry } from './log.ts';

/** One operation on its way. */
export interface Late extends LateEntry {
  /** Inodes whose data is kept elsewhere. */
  without: readonly number[];
}

export interface LateView {
  /** What the operation relies on of what the reader shows before it is done. */
  expected(operation: Bytes, reader: MapReader): Promise<Bytes>;
  /** Whether an operation may be done late; others are done in the network. */
  comesLate(operation: Bytes): boolean;
  /** Asks for all that says where the data of a file lies. Throws `not-found`. */
  seeData(inode: number, ask: (query: Bytes) => Promise<Bytes>): Promise<void>;
  /** The inode all keys in [from, to) belong to. */
  ownerOf(from: Bytes, to: Bytes): number | undefined;
  /** Whether a record is the same wherever an operation is done: not so where data lies. */
  isSame(key: Bytes): boolean;
  chunksOf(operation: Bytes): readonly WrittenChunk[];
  withChunks(operation: Bytes, chunks: readonly WrittenChunk[]): Bytes;
  /** Of operations in order: those that still have to happen, with what they rely on when those left out do not. */
  squashed<E extends LateEntry>(entries: readonly E[]): E[];

  readonly queries: {
    records(from: Bytes, to: Bytes): Bytes;
    recordsOf(reply: Bytes): Records;
    replayed(journal: Bytes): Bytes;
    replayedOf(reply: Bytes): number;
  };
  readonly operations: {
    reserve(count: number): Bytes;
    reservedOf(reply: Bytes): number;
    replay(journal: Bytes, label: string, operations: readonly Late[]): Bytes;
    forget(journal: Bytes): Bytes;
  };
  /** To be told of each answer to `replay`; in words, what came out otherwise than this client saw it. */
  replayedTo(operations: readonly Late[], reply: Bytes): string[];
  /** What a query found: where files are. */
  looked(query: Bytes, reply: Bytes): void;
  /** Inodes that stand in the way of an operation by what others did; undefined for any other error. */
  conflictOf(error: unknown): { reason: 'changed' | 'gone'; inodes: readonly number[] } | undefined;
  /** Keeps what others made of the file beside it; the operation relies on that from now on. */
  keepTheirs(inode: number, operation: LateEntry): Promise<string>;
}
