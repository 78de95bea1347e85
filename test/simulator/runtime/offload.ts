// Heavy work of a simulated process: done at once on this thread, answered at a virtual time. Always brotli, so that a trace
// does not depend on the Node version.

import type { Bytes } from '../../../src/core/base/bytes.ts';
import type { CodecName, Offload } from '../../../src/core/runtime/runtime.ts';
import { compressSync, decompressSync } from '../../../src/core/runtime/system/offload.ts';
import type { Life } from './host.ts';

const bytesPerUs = 200;

export class VirtualOffload implements Offload {
  readonly preferredCodec = 'brotli';
  readonly decompressSync = decompressSync;
  private readonly life: Life;

  constructor(life: Life) {
    this.life = life;
  }

  compress(data: Bytes, codec: CodecName): Promise<Buffer | undefined> {
    return this.life.later(10 + data.length / bytesPerUs, 'compress', () => compressSync(data, codec));
  }

  decompress(data: Bytes, codec: CodecName, limit: number): Promise<Buffer> {
    return this.life.later(10 + data.length / bytesPerUs, 'decompress', () => decompressSync(data, codec, limit));
  }
}
