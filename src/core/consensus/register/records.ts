// The acceptor records of a store: on its silo, and those used last in memory, too.

import { type Bytes, toHex } from '../../base/bytes.ts';
import { asError, isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Address } from '../../block/address.ts';
import type { Silo, SiloEntry } from '../../silo/silo.ts';
import type { AcceptorRecord } from './acceptor.ts';
import { type Ballot, higherBallot, zeroBallot } from './ballot.ts';
import { Ceiling } from './ceiling.ts';
import { decodeRecord, encodeRecord } from './record.ts';

export interface RecordChange {
  address: Address;
  record: AcceptorRecord;
  persist: boolean;
  bytes: number;
}

export interface RecordsParts {
  silo: Silo;
  networkId: Bytes;
  /** Wall clock. */
  now: () => number;
}

/** Who changes a record holds the lock of its register. */
export class Records {
  private readonly parts: RecordsParts;
  private readonly ceiling: Ceiling;
  /** Records as they are on the silo (but for commit marks), least recently used first. */
  private readonly cache = new Map<string, AcceptorRecord>();

  constructor(parts: RecordsParts) {
    this.parts = parts;
    this.ceiling = new Ceiling(parts.silo, parts.now);
  }

  /** No record, read or not, promises more; known once `load` has resolved. */
  get highestPromise(): Ballot {
    return this.ceiling.current;
  }

  load(): Promise<void> {
    return this.ceiling.load();
  }

  /** Undefined: there is none; an error: there is one, and it cannot be read. */
  async find(address: Address): Promise<AcceptorRecord | Error | undefined> {
    return this.cache.get(toHex(address)) ?? (await this.read(address).catch(asError));
  }

  /** Undefined also for what cannot be read. */
  async current(address: Address): Promise<AcceptorRecord | undefined> {
    const found = await this.find(address);
    return found instanceof Error ? undefined : found;
  }

  /** As it is in memory. */
  remembered(address: Address): AcceptorRecord | undefined {
    return this.cache.get(toHex(address));
  }

  /** The record is gone from the silo. */
  forget(address: Address): void {
    this.cache.delete(toHex(address));
  }

  async persist(changes: ReadonlyMap<string, RecordChange>): Promise<void> {
    const entries: SiloEntry[] = [];
    let promised = zeroBallot;
    for (const { address, record, persist } of changes.values()) {
      if (!persist) continue;
      entries.push({ space: 'register', key: address, value: encodeRecord(record) });
      promised = higherBallot(promised, record.promised);
    }
    const ceiling = this.ceiling.cover(promised);
    if (ceiling) entries.push(ceiling);
    if (entries.length > 0) await this.parts.silo.batch(entries);
    if (ceiling) this.ceiling.covered(ceiling);
    for (const [name, { record }] of changes) {
      this.cache.delete(name);
      this.cache.set(name, record);
    }
    for (const name of this.cache.keys()) {
      if (this.cache.size <= limits.registerRecordsCachedMax) break;
      this.cache.delete(name);
    }
  }

  private async read(address: Address): Promise<AcceptorRecord | undefined> {
    try {
      return decodeRecord(this.parts.networkId, await this.parts.silo.get('register', address));
    } catch (error) {
      if (isError(error, 'not-found')) return undefined;
      throw error;
    }
  }
}
