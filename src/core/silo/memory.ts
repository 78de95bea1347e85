// The silo `memory`: everything in this process, gone when it closes. For tests, caches, and nodes that only relay.

import { compareBytes, fromHex, toHex } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { checkSignal } from '../base/lifecycle.ts';
import { storeIdBytes } from '../block/address.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { checkEntries, checkKey, checkRange, closedError, entryBytes, notFound } from './entries.ts';
import { type Silo, type SiloConfig, type SiloEntry, type SiloKey, type SiloKind, type Space, spaces } from './silo.ts';

export const memoryKind: SiloKind = {
  name: 'memory',
  open: async (config, runtime) => openMemorySilo(config, runtime),
  clear: async () => {},
};

export function openMemorySilo(config: SiloConfig, runtime: Runtime): Silo {
  const storeId = runtime.random.bytes(storeIdBytes);
  const capacity = config.capacity;
  const content = new Map<Space, Map<string, Buffer>>(spaces.map((space) => [space, new Map()]));
  let usedBytes = 0;
  let sequence = 0;
  let closed = false;

  function find(space: Space, key: SiloKey): Buffer | undefined {
    checkKey(space, key);
    if (closed) throw closedError();
    return content.get(space)?.get(toHex(key));
  }

  function need(space: Space, key: SiloKey): Buffer {
    const value = find(space, key);
    if (value === undefined) throw notFound(space);
    return value;
  }

  /** Bytes used once the entries are in: of several entries of one key the last counts. */
  function usedAfter(entries: readonly SiloEntry[]): number {
    const sizes = new Map<string, number>();
    let used = usedBytes;
    for (const { space, key, value } of entries) {
      const name = `${space}/${toHex(key)}`;
      const old = find(space, key);
      const before = sizes.get(name) ?? (old === undefined ? 0 : entryBytes(old));
      const after = value === undefined ? 0 : entryBytes(value);
      sizes.set(name, after);
      used += after - before;
    }
    return used;
  }

  async function batch(entries: readonly SiloEntry[]): Promise<void> {
    checkEntries(entries);
    if (closed) throw closedError();
    const used = usedAfter(entries);
    if (capacity !== undefined && used > capacity && used > usedBytes) {
      throw new InfinitError('full', `the silo is full: ${usedBytes} of ${capacity} bytes are used`);
    }
    for (const { space, key, value } of entries) {
      const map = content.get(space);
      const name = toHex(key);
      if (value !== undefined) map?.set(name, Buffer.from(value));
      if (value !== undefined || map?.delete(name)) sequence++;
    }
    usedBytes = used;
  }

  const get: Silo['get'] = async (space, key, options) => {
    checkSignal(options?.signal);
    return Buffer.from(need(space, key));
  };

  const getRange: Silo['getRange'] = async (space, key, offset, length) => {
    checkRange(offset, length);
    return Buffer.from(need(space, key).subarray(offset, offset + length));
  };

  async function* list(space: Space, after?: SiloKey): AsyncGenerator<SiloKey> {
    if (after !== undefined) checkKey(space, after);
    if (closed) throw closedError();
    const keys = [...(content.get(space)?.keys() ?? [])].map(fromHex).sort(compareBytes);
    for (const key of keys) if (after === undefined || compareBytes(key, after) > 0) yield key;
  }

  return {
    storeId,
    get,
    getRange,
    size: async (space, key) => find(space, key)?.length,
    put: (space, key, value) => batch([{ space, key, value }]),
    delete: (space, key) => batch([{ space, key, value: undefined }]),
    batch,
    list,
    usage: () => ({
      capacityBytes: capacity,
      usedBytes,
      deadBytes: 0,
      freeBytes: capacity === undefined ? Number.MAX_SAFE_INTEGER : Math.max(0, capacity - usedBytes),
      entries: spaces.reduce((sum, space) => sum + (content.get(space)?.size ?? 0), 0),
      blocks: content.get('block')?.size ?? 0,
    }),
    sequence: () => sequence,
    verify: async (space, key) => void need(space, key),
    close: async () => {
      closed = true;
      for (const map of content.values()) map.clear();
    },
  };
}
