// Values lately written or read, in memory up to a limit: in an object store each reading is a request.

import type { Place } from './index.ts';

export class ValueCache {
  private readonly bytesMax: number;
  /** The least lately used first. */
  private readonly values = new Map<string, Buffer>();
  private bytes = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get(place: Pick<Place, 'pack' | 'offset'>): Buffer | undefined {
    const name = nameOf(place);
    const value = this.values.get(name);
    if (value === undefined) return undefined;
    this.values.delete(name);
    this.values.set(name, value);
    return value;
  }

  /** The value must not change afterwards. */
  set(place: Pick<Place, 'pack' | 'offset'>, value: Buffer): void {
    const name = nameOf(place);
    if (value.length > this.bytesMax / 4 || this.values.has(name)) return;
    this.values.set(name, value);
    this.bytes += value.length;
    for (const [oldest, { length }] of this.values) {
      if (this.bytes <= this.bytesMax) break;
      this.values.delete(oldest);
      this.bytes -= length;
    }
  }

  clear(): void {
    this.values.clear();
    this.bytes = 0;
  }
}

function nameOf({ pack, offset }: Pick<Place, 'pack' | 'offset'>): string {
  return `${pack}/${offset}`;
}
