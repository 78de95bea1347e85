// The immutable blocks this node holds, on its silo, each with the garbage generation of its last put or touch. A stored value is
// {generation u32, block}; a later touch stands in the `generation` space beside it. One lock an address serialises put, touch,
// sweep and drop (docs/protocols.md 5). A copy found bad counts as missing until a good one has replaced it.

import { type Bytes, concatBytes, equalBytes, fromHex, toHex, u32Bytes } from '../base/bytes.ts';
import { isError } from '../base/errors.ts';
import { Events } from '../base/events.ts';
import { KeyedMutex } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import { type Address, blockAddress, type StoreId } from '../block/address.ts';
import { checkImmutable } from '../block/immutable.ts';
import type { Silo } from '../silo/silo.ts';

/** In front of a stored block stands its generation. */
export const generationBytes = 4;

export interface HeldBlock {
  generation: number;
  block: Bytes;
}

export class HeldBlocks {
  /**
   * `changed`: a block is here with this generation now, or no more (undefined). `bad`: a copy was found rotten. `missed`: a
   * reader asked for what is not here.
   */
  readonly events = new Events<{
    changed: { address: Address; generation: number | undefined };
    bad: Address;
    missed: Address;
  }>();
  private readonly silo: Silo;
  private readonly locks = new KeyedMutex();
  /** Copies that failed their checksum or hash; forgotten at a restart, found again by who reads them. */
  private readonly bad = new Set<string>();
  /** Copies somebody here is about to give up: nobody else may rely on them meanwhile. */
  private readonly givenUp = new Map<string, number>();

  constructor(silo: Silo) {
    this.silo = silo;
  }

  get storeId(): StoreId {
    return this.silo.storeId;
  }

  /** How many copies are known to be bad and not replaced yet. */
  get badCopies(): number {
    return this.bad.size;
  }

  /** Whether the copy here is known to be rotten and not replaced yet. */
  isBad(address: Address): boolean {
    return this.bad.has(toHex(address));
  }

  badAddresses(): Address[] {
    return [...this.bad].map(fromHex);
  }

  /** Keeps a block, durably, with at least the generation. Throws `corrupt` for what is none, `full`. */
  async put(address: Address, block: Bytes, generation: number): Promise<void> {
    checkImmutable(address, block);
    await this.locked(address, async () => {
      if (await this.raise(address, generation)) return;
      const kept = Math.max(generation, await this.leftover(address));
      await this.silo.put('block', address, concatBytes([u32Bytes(kept), block]));
      this.bad.delete(toHex(address));
      this.events.emit('changed', { address, generation: kept });
    });
  }

  /** The block and its generation. Throws `not-found`, `corrupt`. */
  async get(address: Address): Promise<HeldBlock> {
    try {
      const stored = await this.silo.get('block', address);
      const own = stored.readUInt32BE(0);
      return { generation: Math.max(own, await this.touched(address)), block: stored.subarray(generationBytes) };
    } catch (error) {
      if (isError(error, 'corrupt')) await this.condemn(address);
      throw error;
    }
  }

  async range(address: Address, offset: number, length: number): Promise<Bytes> {
    return this.silo.getRange('block', address, offset + generationBytes, length);
  }

  /** Whether a copy not known to be bad is here. */
  async has(address: Address): Promise<boolean> {
    return !this.bad.has(toHex(address)) && (await this.silo.size('block', address)) !== undefined;
  }

  /** Marks a held block with at least the generation, durably; false when it is not held. */
  touch(address: Address, generation: number): Promise<boolean> {
    return this.locked(address, () => this.raise(address, generation));
  }

  /**
   * For another holder that will rely on this copy: as `touch`, but false while the copy here is about to be given up. So of
   * several holders that give up copies at once, relying on each other, the last one to begin leaves its witnesses in place.
   */
  confirm(address: Address, generation: number): Promise<boolean> {
    return this.locked(address, () => !this.givenUp.has(toHex(address)) && this.raise(address, generation));
  }

  /** From now on until the returned function is called nobody may rely on these copies: say so before asking for others. */
  giveUp(addresses: readonly Address[]): () => void {
    const names = addresses.map(toHex);
    for (const name of names) this.givenUp.set(name, (this.givenUp.get(name) ?? 0) + 1);
    return () => {
      for (const name of names.splice(0)) {
        const left = (this.givenUp.get(name) ?? 1) - 1;
        if (left > 0) this.givenUp.set(name, left);
        else this.givenUp.delete(name);
      }
    };
  }

  /** Of a held block; undefined when it is not held. A copy of which it cannot be read is a bad one. */
  async generation(address: Address): Promise<number | undefined> {
    if (!(await this.has(address))) return undefined;
    try {
      const start = await this.silo.getRange('block', address, 0, generationBytes);
      return Math.max(start.readUInt32BE(0), await this.touched(address));
    } catch (error) {
      if (isError(error, 'corrupt')) this.markBad(address);
      else if (!isError(error, 'not-found')) throw error;
      return undefined;
    }
  }

  /**
   * Deletes a block if `may` agrees, asked with the generation it has while nobody else can change it (so `may` must not come
   * back here for this block). Returns whether it went; false also when it is not here, or known to be bad.
   */
  drop(address: Address, may: (generation: number) => Promise<boolean> | boolean): Promise<boolean> {
    return this.locked(address, async () => {
      const generation = await this.generation(address);
      if (generation === undefined || !(await may(generation))) return false;
      await this.remove(address);
      return true;
    });
  }

  /** Deletes the copy whatever it is, a bad one too. Returns whether there was one. */
  discard(address: Address): Promise<boolean> {
    return this.locked(address, async () => {
      if ((await this.silo.size('block', address)) === undefined) return false;
      await this.remove(address);
      this.bad.delete(toHex(address));
      return true;
    });
  }

  /** Reads a copy back and hashes it: false when it is rotten, which is remembered; true also when it is not here. */
  async verify(address: Address): Promise<{ sound: boolean; bytes: number }> {
    try {
      const { block } = await this.get(address);
      if (equalBytes(blockAddress(block), address)) return { sound: true, bytes: block.length };
      await this.condemn(address);
      return { sound: false, bytes: block.length };
    } catch (error) {
      if (isError(error, 'not-found')) return { sound: true, bytes: 0 };
      if (isError(error, 'corrupt')) return { sound: false, bytes: 0 };
      throw error;
    }
  }

  /** Addresses here in byte order, after one. Bad copies are among them. */
  addresses(after?: Address): AsyncIterable<Address> {
    return this.silo.list('block', after);
  }

  /** Runs while nobody else changes the block. */
  locked<T>(address: Address, task: () => Promise<T> | T): Promise<T> {
    return this.locks.run(toHex(address), task);
  }

  /** The copy here is rotten, so it counts as missing; it stays until a good one replaces it. Beyond the limit scrub finds it again. */
  private async condemn(address: Address): Promise<void> {
    await this.locked(address, async () => {
      if (this.bad.has(toHex(address)) || (await this.isSound(address))) return; // replaced meanwhile
      this.markBad(address);
    });
  }

  private markBad(address: Address): void {
    if (this.bad.has(toHex(address)) || this.bad.size >= limits.badCopiesMax) return;
    this.bad.add(toHex(address));
    this.events.emit('changed', { address, generation: undefined });
    this.events.emit('bad', address);
  }

  private async remove(address: Address): Promise<void> {
    await this.silo.batch([
      { space: 'block', key: address, value: undefined },
      { space: 'generation', key: address, value: undefined },
    ]);
    this.events.emit('changed', { address, generation: undefined });
  }

  private async raise(address: Address, generation: number): Promise<boolean> {
    const has = await this.generation(address);
    if (has === undefined) return false;
    if (has < generation) {
      await this.silo.put('generation', address, u32Bytes(generation));
      this.events.emit('changed', { address, generation });
    }
    return true;
  }

  private async isSound(address: Address): Promise<boolean> {
    try {
      const stored = await this.silo.get('block', address);
      await this.touched(address);
      return equalBytes(blockAddress(stored.subarray(generationBytes)), address);
    } catch (error) {
      if (isError(error, 'not-found')) return true;
      if (isError(error, 'corrupt')) return false;
      throw error;
    }
  }

  /** What a touch of the bad copy said still counts; a rotten record of it goes, others have it as well. */
  private async leftover(address: Address): Promise<number> {
    if (!this.bad.has(toHex(address))) return 0;
    try {
      return await this.touched(address);
    } catch (error) {
      if (!isError(error, 'corrupt')) throw error;
      await this.silo.delete('generation', address);
      return 0;
    }
  }

  /** The generation a touch has left beside the block, 0 when there was none. */
  private async touched(address: Address): Promise<number> {
    try {
      return (await this.silo.get('generation', address)).readUInt32BE(0);
    } catch (error) {
      if (isError(error, 'not-found')) return 0;
      throw error;
    }
  }
}
