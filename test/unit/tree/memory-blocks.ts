// Blocks in memory and the part of a runtime that a tree's data structures need, for their tests: seeded chance, brotli on
// the calling thread, a clock that only yields.

import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';
import { toHex } from '../../../src/core/base/bytes.ts';
import { InfinitError } from '../../../src/core/base/errors.ts';
import { type Address, blockAddress } from '../../../src/core/block/address.ts';
import { checkImmutable } from '../../../src/core/block/immutable.ts';
import { hash } from '../../../src/core/crypto/hash.ts';
import type { Clock, Offload, Random, Runtime } from '../../../src/core/runtime/runtime.ts';
import type { Blocks, PutOptions } from '../../../src/core/store/store.ts';

export class MemoryBlocks implements Blocks {
  readonly held = new Map<string, Buffer>();
  readonly counts = { put: 0, get: 0, range: 0 };
  inFlight = 0;
  inFlightMax = 0;
  /** Called on each put; may throw. */
  onPut: () => void = () => {};

  async put(block: Uint8Array, _options: PutOptions): Promise<Address> {
    this.counts.put++;
    this.inFlightMax = Math.max(this.inFlightMax, ++this.inFlight);
    const address = blockAddress(block);
    checkImmutable(address, block);
    await Promise.resolve();
    this.inFlight--;
    this.onPut();
    this.held.set(toHex(address), Buffer.from(block));
    return address;
  }

  async get(address: Address): Promise<Buffer> {
    this.counts.get++;
    const block = this.find(address);
    checkImmutable(address, block);
    return block;
  }

  async getRange(address: Address, offset: number, length: number): Promise<Buffer> {
    this.counts.range++;
    return this.find(address).subarray(offset, offset + length);
  }

  async touch(addresses: readonly Address[]): Promise<boolean[]> {
    return addresses.map((address) => this.held.has(toHex(address)));
  }

  private find(address: Address): Buffer {
    const block = this.held.get(toHex(address));
    if (block === undefined) throw new InfinitError('lost', 'no such block');
    return block;
  }
}

const options = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } };

export const memoryOffload: Offload = {
  preferredCodec: 'brotli',
  async compress(data) {
    const packed = brotliCompressSync(data, options);
    return packed.length < data.length * 0.95 ? packed : undefined;
  },
  async decompress(data, codec, limit) {
    return memoryOffload.decompressSync(data, codec, limit);
  },
  decompressSync(data, codec, limit) {
    if (codec !== 'brotli') throw new InfinitError('unsupported', codec);
    try {
      return brotliDecompressSync(data, { maxOutputLength: limit });
    } catch (error) {
      throw new InfinitError('corrupt', 'compressed bytes are damaged', { cause: error });
    }
  },
};

export function seededRandom(seed: number): Random {
  let counter = 0;
  const bytes = (count: number): Buffer => {
    const parts: Buffer[] = [];
    for (let made = 0; made < count; made += 32) parts.push(hash(Buffer.from(`${seed}/${counter++}`)));
    return Buffer.concat(parts).subarray(0, count);
  };
  const fraction = (): number => bytes(4).readUInt32BE() / 2 ** 32;
  return { bytes, fraction, below: (limit) => Math.floor(fraction() * limit) };
}

const clock: Clock = {
  now: () => 0,
  monotonic: () => 0,
  sleep: () => new Promise((resolve) => setImmediate(resolve)),
  after: () => () => {},
};

export function memoryRuntime(seed = 1): Pick<Runtime, 'random' | 'offload' | 'clock'> {
  return { random: seededRandom(seed), offload: memoryOffload, clock };
}
