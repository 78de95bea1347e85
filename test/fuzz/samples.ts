// Values of any codec, without knowing it: the codec reads from chance instead of bytes. What comes out is of the right shape and
// within its limits, so its encoding is a valid one to begin damage from.

import type { Bytes } from '../../src/core/base/bytes.ts';
import { type Codec, encode, Reader } from '../../src/core/base/codec.ts';
import { isError } from '../../src/core/base/errors.ts';
import type { SeededRandom } from '../simulator/runtime/random.ts';
import { pick } from './fuzzer.ts';

const attemptsMax = 400;
/** Numbers asked for in all: a value that wants more is given up. */
const numbersMax = 3000;
const largeNumbers = [255, 256, 1024, 65_535, 1 << 20, 0xffff_ffff];

class ChanceReader extends Reader {
  private readonly random: SeededRandom;
  private readonly words: readonly Bytes[];
  private left = numbersMax;

  constructor(random: SeededRandom, words: readonly Bytes[]) {
    super(new Uint8Array(0));
    this.random = random;
    this.words = words;
  }

  override get remaining(): number {
    return this.random.below(1000);
  }

  private number(): number {
    if (this.left-- === 0) throw new RangeError('the value grows too large');
    // Lengths, counts and tags are small: so are most numbers.
    if (this.random.chance(0.9)) return this.random.below(pick(this.random, [2, 2, 4, 8]));
    return this.random.chance(0.9) ? this.random.below(100) : pick(this.random, largeNumbers);
  }

  override u8(): number {
    return this.random.chance(0.7) ? this.random.below(2) : this.number() & 255;
  }
  override u16(): number {
    return this.number() & 65_535;
  }
  override u32(): number {
    return this.number();
  }
  override u48(): number {
    return this.number();
  }
  override u64(): number {
    return this.random.chance(0.05) ? Number.MAX_SAFE_INTEGER - this.random.below(2) : this.number();
  }
  override raw(length: number): Buffer {
    if (length > 4096) throw new RangeError('the value grows too large');
    const known = this.words.filter((word) => word.length === length);
    if (known.length > 0 && this.random.chance(0.7)) return Buffer.from(pick(this.random, known));
    // Letters are bytes of text as well.
    return Buffer.from(this.random.bytes(length).map((byte) => 97 + (byte % 26)));
  }
  override attached(length: number): Buffer {
    return this.raw(length);
  }
  override end(): void {}
}

/** Undefined when chance found none. `words` are byte strings worth using where one of their length is wanted. */
export function sample<T>(random: SeededRandom, codec: Codec<T>, words: readonly Bytes[] = []): T | undefined {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    try {
      const value = codec.read(new ChanceReader(random, words));
      encode(codec, value);
      return value;
    } catch (error) {
      if (!(error instanceof RangeError) && !isError(error, 'corrupt', 'full', 'unsupported')) throw error;
    }
  }
  return undefined;
}
