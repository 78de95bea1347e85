// How often one client may ask: buckets that fill with time. Kept in memory, for so many clients; when there are more, those not
// heard of for the longest time begin anew.

import { limits } from '../../base/limits.ts';

export interface Rate {
  /** Requests that may come at once. */
  burst: number;
  perSecond: number;
}

interface Bucket {
  level: number;
  atMs: number;
}

export class Rates {
  private readonly rate: Rate;
  private readonly buckets = new Map<string, Bucket>();

  constructor(rate: Rate) {
    this.rate = rate;
  }

  /** 0 when the client may go on, else after how many milliseconds. */
  take(client: string, nowMs: number): number {
    const { burst, perSecond } = this.rate;
    const known = this.buckets.get(client) ?? { level: burst, atMs: nowMs };
    const gained = (Math.max(0, nowMs - known.atMs) / 1000) * perSecond;
    const level = Math.min(burst, known.level + gained);
    const isFree = level >= 1;
    this.buckets.delete(client);
    if (this.buckets.size >= limits.hubClientsMax) this.buckets.delete(this.buckets.keys().next().value as string);
    this.buckets.set(client, { level: isFree ? level - 1 : level, atMs: nowMs });
    return isFree ? 0 : Math.ceil(((1 - level) / perSecond) * 1000);
  }
}

/** One person's addresses count as one: of IPv6 the first 64 bits. */
export function clientOf(address: string): string {
  if (!address.includes(':')) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped) return mapped[1] as string;
  const [head = '', tail = ''] = address.split('::');
  const first = head.split(':').filter(Boolean);
  const last = tail.split(':').filter(Boolean);
  const zeros = address.includes('::') ? Array(Math.max(0, 8 - first.length - last.length)).fill('0') : [];
  return [...first, ...zeros, ...last].slice(0, 4).join(':');
}
