// A planted bug, so that the fuzzing itself is tested: a decoder that believes a length it reads.

import { type Codec, decode, encode, struct, u8, u32 } from '../../src/core/base/codec.ts';
import { accepted, damage, fuzzer } from './fuzzer.ts';

const trusting: Codec<Buffer> = {
  write: (writer, value) => {
    writer.u32(value.length);
    writer.raw(value);
  },
  read: (reader) => {
    const copy = Buffer.alloc(8);
    const length = reader.u32();
    reader.raw(Math.min(length, reader.remaining)).copy(copy);
    return Buffer.from(copy.buffer, copy.byteOffset, length);
  },
};
const planted = struct({ kind: u8, body: trusting, trailer: u32 });

export const canary = fuzzer('canary', {
  make: (random) => damage(random, encode(planted, { kind: 1, body: Buffer.from('12345678'), trailer: 7 })),
  check: (bytes) => void accepted(() => decode(planted, bytes)),
});
