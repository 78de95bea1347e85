// Chance in the simulator: a small fast generator (sfc32) seeded by a text, whose forks are independent of each other and of
// how often the parent was asked.

import { createHash } from 'node:crypto';
import type { Random } from '../../../src/core/runtime/runtime.ts';

export class SeededRandom implements Random {
  private readonly seed: string;
  private readonly state: Uint32Array;

  constructor(seed: string) {
    this.seed = seed;
    const digest = createHash('sha256').update(seed).digest();
    this.state = Uint32Array.from([0, 4, 8, 12], (at) => digest.readUInt32LE(at));
  }

  fork(label: string): SeededRandom {
    return new SeededRandom(`${this.seed}/${label}`);
  }

  private next(): number {
    const state = this.state as unknown as [number, number, number, number];
    const [b, c, d] = [state[1], state[2], state[3]];
    const out = (state[0] + b + d) >>> 0;
    state[3] = d + 1;
    state[0] = b ^ (b >>> 9);
    state[1] = c + (c << 3);
    state[2] = ((c << 21) | (c >>> 11)) + out;
    return out;
  }

  bytes(count: number): Buffer {
    const out = Buffer.allocUnsafe(count);
    for (let i = 0; i < count; i++) out[i] = this.next() >>> 24;
    return out;
  }

  fraction(): number {
    return ((this.next() >>> 5) * 0x400_0000 + (this.next() >>> 6)) / 2 ** 53;
  }

  below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }

  /** A number in [low, high). */
  between(low: number, high: number): number {
    return low + this.fraction() * (high - low);
  }

  chance(probability: number): boolean {
    return probability > 0 && this.fraction() < probability;
  }
}
