// A client of the key-value door: the keys view over a connection to it.

import { type Bytes, concatBytes, utf8 } from '../../base/bytes.ts';
import { isError } from '../../base/errors.ts';
import type { Abortable } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Peer } from '../../peer/peer.ts';
import type { KeyChange, KeyStore, KeyValue, ListKeysOptions, PutKeyOptions } from '../../volume/keys.ts';
import * as messages from './messages.ts';

/** A put may wait for a takeover at the other side. */
const timeoutMs = 75_000;
const attemptsMax = 16;

export class KvClient implements KeyStore {
  private readonly peer: () => Promise<Peer>;
  private readonly store: Bytes;
  private uploads = 0;

  /** `peer` gives the open connection, or a new one. */
  constructor(peer: () => Promise<Peer>, store: string) {
    this.peer = peer;
    this.store = utf8(store);
  }

  async get(key: Bytes, options: Abortable = {}): Promise<KeyValue> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.getOnce(key, options);
      } catch (error) {
        // The value changed between two parts: read it anew.
        if (!isError(error, 'conflict') || attempt === attemptsMax) throw error;
      }
    }
  }

  private async getOnce(key: Bytes, options: Abortable): Promise<KeyValue> {
    const peer = await this.peer();
    const call = { ...options, timeoutMs };
    const first = await peer.call(messages.kvGet, { store: this.store, key, version: undefined, offset: 0 }, call);
    const { version, size } = first;
    const parts = [first.part];
    for (let offset = first.part.length; offset < size; ) {
      const next = await peer.call(messages.kvGet, { store: this.store, key, version, offset }, call);
      parts.push(next.part);
      offset += next.part.length;
    }
    return { key, value: concatBytes(parts), version };
  }

  async put(key: Bytes, value: Bytes, options: PutKeyOptions = {}): Promise<number> {
    const peer = await this.peer();
    const call = { signal: options.signal, timeoutMs };
    const inMessage = value.length <= messages.partBytesMax ? value.length : value.length % messages.partBytesMax;
    const upload = inMessage === value.length ? undefined : ++this.uploads;
    if (upload !== undefined) {
      for (let offset = 0; offset < value.length - inMessage; offset += messages.partBytesMax) {
        const part = value.subarray(offset, offset + messages.partBytesMax);
        await peer.call(messages.kvUpload, { upload, offset, part }, call);
      }
    }
    const request = {
      store: this.store,
      key,
      value: value.subarray(value.length - inMessage),
      upload,
      ifAbsent: options.ifAbsent ?? false,
      ifVersion: options.ifVersion,
    };
    return (await peer.call(messages.kvPut, request, call)).version;
  }

  async delete(key: Bytes, options: Abortable & { ifVersion?: number } = {}): Promise<boolean> {
    const peer = await this.peer();
    const request = { store: this.store, key, ifVersion: options.ifVersion };
    return (await peer.call(messages.kvDelete, request, { signal: options.signal, timeoutMs })).existed;
  }

  async list(options: ListKeysOptions = {}): ReturnType<KeyStore['list']> {
    const peer = await this.peer();
    const request = {
      store: this.store,
      prefix: options.prefix ?? Buffer.alloc(0),
      startAfter: options.startAfter,
      limit: options.limit ?? limits.listKeysMax,
    };
    return peer.call(messages.kvList, request, { signal: options.signal, timeoutMs });
  }

  async *watch(prefix: Bytes, options: Abortable = {}): AsyncIterable<KeyChange> {
    const peer = await this.peer();
    const { watch } = await peer.call(messages.kvWatch, { store: this.store, prefix }, options);
    try {
      while (!options.signal?.aborted) {
        const { changes } = await peer.call(messages.kvChanges, { watch }, { ...options, timeoutMs });
        yield* changes;
      }
    } catch (error) {
      if (!isError(error, 'cancelled')) throw error;
    } finally {
      if (peer.open) await peer.call(messages.kvUnwatch, { watch }).catch(() => {});
    }
  }
}
