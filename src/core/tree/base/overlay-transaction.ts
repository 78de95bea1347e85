// A running operation's view: its own changes over a reader. They are kept apart until the leader takes them as effects, so
// an operation that throws leaves nothing behind.

import type { Bytes } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import type { Abortable } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import { Memtable } from '../memtable.ts';
import type { Effect, MapEntry, Transaction } from '../tree.ts';
import { LayeredReader, type Leaves } from './layered-reader.ts';

/** Effects of one operation that surely fit a journal batch together with what the leader adds: the reply, its own records. */
const effectsBytesMax = limits.journalBatchBytesMax - 2 * limits.cellBytesMax;

export interface OverlayOptions {
  sequence: number;
  allocate: Transaction['allocate'];
  willAllocate: Transaction['willAllocate'];
}

export class OverlayTransaction implements Transaction {
  readonly sequence: number;
  readonly allocate: Transaction['allocate'];
  readonly willAllocate: Transaction['willAllocate'];
  private readonly own = new Memtable({ bytesMax: effectsBytesMax });
  private readonly reader: LayeredReader<Leaves>;

  constructor(below: LayeredReader<Leaves>, options: OverlayOptions) {
    this.sequence = options.sequence;
    this.allocate = options.allocate;
    this.willAllocate = options.willAllocate;
    this.reader = new LayeredReader([this.own, ...below.layers], below.base);
  }

  get(key: Bytes, options?: Abortable): Promise<Bytes | undefined> {
    return this.reader.get(key, options);
  }

  /** The operation's own changes are seen as they were when the scan began. */
  scan(from: Bytes, to: Bytes, options?: Abortable): AsyncIterable<MapEntry> {
    return this.reader.scan(from, to, options);
  }

  put(key: Bytes, value: Bytes): void {
    checkKey(key);
    this.own.apply([{ type: 'put', key, value }]);
  }

  delete(key: Bytes): void {
    checkKey(key);
    this.own.apply([{ type: 'delete', key }]);
  }

  deleteRange(from: Bytes, to: Bytes): void {
    checkKey(from);
    checkKey(to);
    this.own.apply([{ type: 'deleteRange', from, to }]);
  }

  /** What the operation changed, ordered by key. */
  effects(): Effect[] {
    return [...this.own.effects()];
  }
}

function checkKey(key: Bytes): void {
  if (key.length === 0 || key.length > limits.treeKeyBytesMax)
    throw new InfinitError('usage', `a key has 1 to ${limits.treeKeyBytesMax} bytes, not ${key.length}`);
}
