// The package as a library: a client of the key-value door that `infinit key-value-store run NAME --listen unix:PATH` opens.
//
//   const store = await connectKeyValueStore({ socket: '/run/user/1000/notes.sock' });
//   await store.put('greeting', 'hello', { ifAbsent: true });
//   const { value, version } = await store.get('greeting');
//   for await (const change of store.watch('prefix/')) console.log(change.type, change.key);
//   await store.close();

import { type Bytes, utf8 } from './core/base/bytes.ts';
import { connectDoor } from './core/gateway/kv/door.ts';
import { systemRuntime } from './core/runtime/system/system.ts';
import type { KeyChange, KeyValue, PutKeyOptions } from './core/volume/keys.ts';

export type { ErrorKind } from './core/base/errors.ts';
export { InfinitError, isError } from './core/base/errors.ts';
export type { KeyChange, KeyValue, PutKeyOptions } from './core/volume/keys.ts';

/** Text stands for its UTF-8. */
export type BytesOrText = Bytes | string;

export interface ConnectOptions {
  /** Path of the door's socket. */
  socket: string;
  /** `owner/name`; may be left out when the door serves one store. */
  store?: string;
}

/** Operations are linearizable, and durable when they resolve. Errors are `InfinitError` with a kind. */
export interface KeyValueStoreClient {
  /** Throws `not-found`. */
  get(key: BytesOrText, options?: { signal?: AbortSignal }): Promise<KeyValue>;
  /** The new version. Throws `exists` with `ifAbsent`, `conflict` with `ifVersion`. */
  put(key: BytesOrText, value: BytesOrText, options?: PutKeyOptions): Promise<number>;
  /** Whether it existed. Throws `conflict` with `ifVersion`. */
  delete(key: BytesOrText, options?: { ifVersion?: number; signal?: AbortSignal }): Promise<boolean>;
  /** A page of keys in byte order; go on with the last key as `startAfter` while `truncated`. */
  list(options?: {
    prefix?: BytesOrText;
    startAfter?: BytesOrText;
    limit?: number;
    signal?: AbortSignal;
  }): Promise<{ entries: { key: Bytes; version: number; size: number }[]; truncated: boolean }>;
  /** Changes from now on under a prefix, until the signal fires. */
  watch(prefix: BytesOrText, options?: { signal?: AbortSignal }): AsyncIterable<KeyChange>;
  close(): Promise<void>;
}

/** Throws `unavailable` when nobody listens on the socket. Connects again by itself when the door was restarted. */
export async function connectKeyValueStore(options: ConnectOptions): Promise<KeyValueStoreClient> {
  const { keys, close } = await connectDoor(systemRuntime(), options.socket, options.store ?? '');
  return {
    get: (key, more = {}) => keys.get(bytesOf(key), more),
    put: (key, value, more = {}) => keys.put(bytesOf(key), bytesOf(value), more),
    delete: (key, more = {}) => keys.delete(bytesOf(key), more),
    list: ({ prefix, startAfter, ...more } = {}) =>
      keys.list({
        ...more,
        ...(prefix === undefined ? {} : { prefix: bytesOf(prefix) }),
        ...(startAfter === undefined ? {} : { startAfter: bytesOf(startAfter) }),
      }),
    watch: (prefix, more = {}) => keys.watch(bytesOf(prefix), more),
    close,
  };
}

function bytesOf(value: BytesOrText): Bytes {
  return typeof value === 'string' ? utf8(value) : value;
}
