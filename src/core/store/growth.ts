// Grows registers that have fewer members than they should (docs/protocols.md 2.10): at once when nodes appear, straight to all
// available up to n; and replaces a member whose store was emptied or exchanged by the new store of the same node (2.5).

import { toHex } from '../base/bytes.ts';
import { isError } from '../base/errors.ts';
import { type Address, type Member, memberName, type NodeId } from '../block/address.ts';
import type { RegisterSnapshot, Registers } from '../consensus/consensus.ts';
import type { NodeRecord, Overlay } from '../overlay/overlay.ts';
import type { Silo } from '../silo/silo.ts';
import type { Work } from './worker.ts';

export interface GrowthOptions {
  self: NodeId;
  silo: Silo;
  overlay: Overlay;
  registers: Registers;
  replicationFactor: number;
}

/** The members a register should have now: those it has, exchanged stores replaced, filled up to n by placement. */
export function desiredMembers(
  current: readonly Member[],
  owners: readonly NodeRecord[],
  record: (id: NodeId) => NodeRecord | undefined,
  replicationFactor: number,
): Member[] {
  const wanted: Member[] = current.map((member) => {
    const stores = record(member.node)?.stores ?? [];
    const replaced = stores.length > 0 && !stores.some((store) => toHex(store) === toHex(member.store));
    return replaced ? { node: member.node, store: stores[0] as Member['store'] } : member;
  });
  for (const owner of owners) {
    const store = owner.stores[0];
    if (wanted.length >= replicationFactor) break;
    if (store !== undefined && !wanted.some((member) => toHex(member.node) === toHex(owner.id))) {
      wanted.push({ node: owner.id, store });
    }
  }
  return wanted;
}

/** One register a step. */
export class Growth implements Work {
  readonly name = 'growth';
  readonly counters = { checked: 0, changed: 0, short: 0, failed: 0 };
  private readonly options: GrowthOptions;
  private queue: Address[] | undefined;
  private short = 0;

  constructor(options: GrowthOptions) {
    this.options = options;
  }

  async step(signal: AbortSignal): Promise<boolean> {
    if (this.queue === undefined) {
      this.queue = [];
      this.short = 0;
      for await (const address of this.options.silo.list('register')) this.queue.push(address);
    }
    const address = this.queue.shift();
    if (address === undefined) {
      this.queue = undefined;
      this.counters.short = this.short;
      return false;
    }
    try {
      await this.check(address, signal);
    } catch (error) {
      if (!isError(error, 'unavailable', 'conflict', 'denied', 'not-found')) throw error;
      this.counters.failed++;
      this.short++;
    }
    return true;
  }

  private async check(address: Address, signal: AbortSignal): Promise<void> {
    const { registers, overlay, replicationFactor } = this.options;
    this.counters.checked++;
    const snapshot = await registers.read(address, { signal });
    if (!this.mine(snapshot)) return;
    const owners = await overlay.owners(address, replicationFactor + snapshot.members.length, { signal });
    const wanted = desiredMembers(snapshot.members, owners, (id) => overlay.record(id), replicationFactor);
    if (wanted.length < replicationFactor) this.short++;
    const same = wanted.map(memberName).sort().join() === snapshot.members.map(memberName).sort().join();
    if (same && !snapshot.joint) return;
    await registers.reconfigure(address, wanted, { signal, members: snapshot.members });
    this.counters.changed++;
  }

  /** The first member believed alive does it, so that members do not duel. */
  private mine(snapshot: RegisterSnapshot): boolean {
    const { overlay, self } = this.options;
    const own = toHex(self);
    const alive = snapshot.members.map((m) => toHex(m.node)).filter((id) => id === own || this.alive(id, overlay));
    return alive[0] === own;
  }

  private alive(id: string, overlay: Overlay): boolean {
    return overlay.liveness(Buffer.from(id, 'hex')) === 'alive';
  }
}
