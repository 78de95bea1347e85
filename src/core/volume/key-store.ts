// The keys view for its users: a `KeyStore` over an open tree whose view is `keyView`.

import { asBuffer, type Bytes, concatBytes } from '../base/bytes.ts';
import { decode, encode } from '../base/codec.ts';
import { InfinitError, isError } from '../base/errors.ts';
import { type Abortable, type Deferred, deferred, Semaphore } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import { spaceKey } from '../tree/keys.ts';
import type { Tree } from '../tree/tree.ts';
import { deleteReply, getReply, keyOperation, keyQuery, listReply, putReply, valueRecord } from './key-view.ts';
import type { KeyChange, KeyStore, KeyValue, ListKeysOptions, PutKeyOptions } from './keys.ts';

const cellReadsMax = 4;
const attemptsMax = 3;

export function openKeyStore(tree: Tree): KeyStore {
  return new TreeKeyStore(tree);
}

class TreeKeyStore implements KeyStore {
  private readonly tree: Tree;
  private watches = 0;

  constructor(tree: Tree) {
    this.tree = tree;
  }

  async get(key: Bytes, options: Abortable = {}): Promise<KeyValue> {
    checkKey(key);
    return again(async () => {
      const reply = await this.tree.query(encode(keyQuery, { type: 'get', key }), options);
      const { version, value } = decode(getReply, reply);
      if (value.type === 'bytes') return { key, version, value: value.bytes };
      const slots = new Semaphore(cellReadsMax);
      const cells = value.cells.map((cell) => slots.run(() => this.tree.readCells(cell, cell.cell, 1, options)));
      return { key, version, value: concatBytes((await Promise.all(cells)).flat()) };
    });
  }

  async put(key: Bytes, value: Bytes, options: PutKeyOptions = {}): Promise<number> {
    checkKey(key);
    if (value.length > limits.valueBytesMax)
      throw new InfinitError('usage', `a value has at most ${limits.valueBytesMax} bytes, not ${value.length}`);
    const { ifAbsent = false, ifVersion, signal } = options;
    if (value.length <= limits.cellBytesMax) {
      const operation = { type: 'put', key, value: { type: 'bytes', bytes: value }, ifAbsent, ifVersion } as const;
      return decode(putReply, await this.tree.do(encode(keyOperation, operation), { signal }));
    }
    return again(async () => {
      // The bytes are durable before the operation that names them.
      const chunks = await this.tree.writeChunks(cellsOf(value), { signal });
      const operation = { type: 'put', key, value: { type: 'chunks', chunks }, ifAbsent, ifVersion } as const;
      return decode(putReply, await this.tree.do(encode(keyOperation, operation), { signal, chunks }));
    });
  }

  async delete(key: Bytes, options: Abortable & { ifVersion?: number } = {}): Promise<boolean> {
    checkKey(key);
    const { ifVersion, signal } = options;
    const reply = await this.tree.do(encode(keyOperation, { type: 'delete', key, ifVersion }), { signal });
    return decode(deleteReply, reply);
  }

  async list(options: ListKeysOptions = {}) {
    const { prefix = Buffer.alloc(0), startAfter, limit = limits.listKeysMax, signal } = options;
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > limits.listKeysMax)
      throw new InfinitError('usage', `a list has 1 to ${limits.listKeysMax} entries`);
    if (prefix.length > limits.keyBytesMax) throw new InfinitError('usage', 'the prefix is longer than any key');
    const query = encode(keyQuery, { type: 'list', prefix, startAfter, limit });
    return decode(listReply, await this.tree.query(query, { signal }));
  }

  watch(prefix: Bytes, options: Abortable = {}): AsyncIterable<KeyChange> {
    if (this.watches >= limits.watchesMax)
      throw new InfinitError('full', `at most ${limits.watchesMax} watches at once`);
    this.watches++;
    return new Watch(this.tree, prefix, options.signal, () => {
      this.watches--;
    });
  }
}

/** Changes under a prefix, kept until the consumer takes them. */
class Watch implements AsyncIterableIterator<KeyChange> {
  private readonly queue: KeyChange[] = [];
  private readonly off: () => void;
  private readonly closed: () => void;
  private readonly signal: AbortSignal | undefined;
  private readonly abort = () => this.end();
  private waiting: Deferred<void> | undefined;
  private ended = false;
  private error: InfinitError | undefined;

  constructor(tree: Tree, prefix: Bytes, signal: AbortSignal | undefined, closed: () => void) {
    const start = spaceKey('value', prefix);
    this.closed = closed;
    this.signal = signal;
    this.off = tree.onChange(({ sequence, effects, missed }) => {
      if (missed) {
        const text = 'changes were missed: list the keys and watch again';
        this.end(new InfinitError('unavailable', text, { data: { missed: true } }));
      }
      for (const effect of effects) {
        if (effect.type === 'deleteRange') continue;
        if (!start.equals(asBuffer(effect.key).subarray(0, start.length))) continue;
        // A record that only tells where the same value is now is no change of it.
        if (effect.type === 'put' && decode(valueRecord, effect.value).version !== sequence) continue;
        this.push({ type: effect.type, key: effect.key.subarray(1), version: sequence });
      }
    });
    if (signal?.aborted) this.end();
    else signal?.addEventListener('abort', this.abort, { once: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<KeyChange, undefined>> {
    for (;;) {
      const value = this.queue.shift();
      if (value !== undefined) return { value, done: false };
      const { error } = this;
      this.error = undefined;
      if (error) throw error;
      if (this.ended) return { value: undefined, done: true };
      this.waiting ??= deferred<void>();
      await this.waiting.promise;
    }
  }

  async return(): Promise<IteratorResult<KeyChange, undefined>> {
    this.queue.length = 0;
    this.end();
    return { value: undefined, done: true };
  }

  private push(change: KeyChange): void {
    if (this.ended) return;
    if (this.queue.length >= limits.changesKeptMax)
      this.end(new InfinitError('full', 'the watcher does not keep up: list the keys and watch again'));
    else this.queue.push(change);
    this.wake();
  }

  private end(error?: InfinitError): void {
    if (this.ended) return;
    this.ended = true;
    this.error = error;
    this.off();
    this.signal?.removeEventListener('abort', this.abort);
    this.closed();
    this.wake();
  }

  private wake(): void {
    this.waiting?.resolve();
    this.waiting = undefined;
  }
}

/** What garbage collection took between two steps is asked for, or written, anew: what is there still is found then. */
async function again<T>(task: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await task();
    } catch (error) {
      if (!isError(error, 'lost') || attempt === attemptsMax) throw error;
    }
  }
}

function cellsOf(value: Bytes): Bytes[] {
  const cells: Bytes[] = [];
  for (let at = 0; at < value.length; at += limits.cellBytesMax)
    cells.push(value.subarray(at, at + limits.cellBytesMax));
  return cells;
}

function checkKey(key: Bytes): void {
  if (key.length === 0 || key.length > limits.keyBytesMax)
    throw new InfinitError('usage', `a key has 1 to ${limits.keyBytesMax} bytes, not ${key.length}`);
}
