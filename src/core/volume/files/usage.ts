// What a volume uses and has left: the tree's counters, and the network's capacity asked for now and then.

import type { Abortable } from '../../base/lifecycle.ts';
import type { Clock } from '../../runtime/runtime.ts';
import type { Usage } from './files.ts';
import { usageReply } from './messages.ts';
import type { Requests } from './requests.ts';

const capacityMs = 5000;

export interface Capacity {
  totalBytes: number;
  freeBytes: number;
}

export class VolumeUsage {
  private readonly requests: Requests;
  private readonly clock: Clock;
  private readonly capacity: () => Promise<Capacity>;
  private known: { atMs: number; capacity: Promise<Capacity> } | undefined;

  constructor(requests: Requests, clock: Clock, capacity: () => Promise<Capacity>) {
    this.requests = requests;
    this.clock = clock;
    this.capacity = capacity;
  }

  async read(options: Abortable = {}): Promise<Usage> {
    const { bytesUsed, inodesUsed, quota } = await this.requests.ask({ type: 'usage' }, usageReply, options);
    const { totalBytes, freeBytes } = await this.recentCapacity();
    const used = { usedBytes: bytesUsed, inodesUsed };
    if (quota === 0) return { totalBytes, freeBytes, ...used };
    return { totalBytes: quota, freeBytes: Math.min(freeBytes, Math.max(0, quota - bytesUsed)), ...used };
  }

  private recentCapacity(): Promise<Capacity> {
    const now = this.clock.monotonic();
    if (this.known === undefined || now - this.known.atMs > capacityMs) {
      const asked = { atMs: now, capacity: this.capacity() };
      this.known = asked;
      asked.capacity.catch(() => {
        if (this.known === asked) this.known = undefined;
      });
    }
    return this.known.capacity;
  }
}
