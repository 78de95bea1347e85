// The calls a ring machine wants made, and those under way: what each was for.

import type { NodeName } from '../ring.ts';
import { type Call, type Item, type Outgoing, timeoutOf } from './calls.ts';

/** What an open call was for. */
export interface Pending {
  readonly to: NodeName;
  readonly call: Call;
  readonly items: readonly Item[];
}

const pendingMax = 4096;

export class Outbox {
  private outgoing: Outgoing[] = [];
  private readonly pending = new Map<number, Pending>();
  private lastId = 0;

  add(to: NodeName, call: Call, sends: readonly Item[], pingTimeoutMs: number): void {
    const id = ++this.lastId;
    if (this.pending.size >= pendingMax) this.pending.delete(this.pending.keys().next().value as number);
    this.pending.set(id, { to, call, items: sends.map(({ position, nonce }) => ({ position, nonce })) });
    this.outgoing.push({ id, to, call, timeoutMs: timeoutOf(call, pingTimeoutMs) });
  }

  /** Those to be made now. */
  drain(): Outgoing[] {
    const out = this.outgoing;
    this.outgoing = [];
    return out;
  }

  /** The call has ended; undefined when it was given up before. */
  end(id: number): Pending | undefined {
    const open = this.pending.get(id);
    this.pending.delete(id);
    return open;
  }
}
