// How many bytes of chunks operations have left unused since the last cycle, as their records say: a reason for the next one.

import { decode } from '../../base/codec.ts';
import { limits } from '../../base/limits.ts';
import { type ChunkRecord, chunkNumber, chunkRecord, spaceKey } from '../keys.ts';
import type { Effect } from '../tree.ts';

const [chunkSpace] = spaceKey('chunk');

export class DeadBytes {
  /** Since the last cycle; of a chunk first seen half used, all that is unused counts. */
  bytes = 0;
  /** By number, what was counted of it. */
  private readonly chunks = new Map<number, number>();

  see(effects: readonly Effect[]): void {
    for (const effect of effects)
      if (effect.type === 'put' && effect.key[0] === chunkSpace)
        this.count(chunkNumber(effect.key), decode(chunkRecord, effect.value));
  }

  /** A cycle has seen to it. */
  forget(): void {
    this.bytes = 0;
  }

  private count(chunk: number, { plain, live }: ChunkRecord): void {
    const dead = Math.max(0, plain - live);
    this.bytes += Math.max(0, dead - (this.chunks.get(chunk) ?? 0));
    this.chunks.delete(chunk);
    this.chunks.set(chunk, dead);
    const [oldest] = this.chunks.keys();
    if (this.chunks.size > limits.deadChunksSeenMax && oldest !== undefined) this.chunks.delete(oldest);
  }
}
