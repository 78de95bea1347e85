// Grows registers that have fewer members than they should (docs/protocols.md 2.10): at once when nodes appear, straight to all
// available up to n; and replaces a member whose store was emptied or exchanged by the new store of the same node (2.5).

import { toHex } from '../base/bytes.ts';
import { isError } from '../base/errors.ts';
import { type Address, type Member, memberName, type NodeId } from '../block/address.ts';
import type { RegisterSnapshot, Registers } from '../consensus/consensus.ts';
import type { HeldRegister, RegisterService } from '../consensus/register/service.ts';
import type { NodeRecord, Overlay } from '../overlay/overlay.ts';
import type { Work } from './worker.ts';

export interface GrowthOptions {
  self: NodeId;
  overlay: Overlay;
  /** What this store holds. */
  service: RegisterService;
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
    const instead = replacement(member, record);
    return instead === undefined ? member : { node: member.node, store: instead };
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

/** The store a member's node has now, when the member's own is no more. */
function replacement(
  { node, store }: Member,
  record: (id: NodeId) => NodeRecord | undefined,
): Member['store'] | undefined {
  const stores = record(node)?.stores ?? [];
  return stores.some((known) => toHex(known) === toHex(store)) ? undefined : stores[0];
}

/** One register a step; those that look right by what is held here are not asked about. */
export class Growth implements Work {
  readonly name = 'growth';
  readonly counters = { checked: 0, changed: 0, failed: 0 };
  private readonly options: GrowthOptions;
  private queue: HeldRegister[] | undefined;

  constructor(options: GrowthOptions) {
    this.options = options;
  }

  async step(signal: AbortSignal): Promise<boolean> {
    if (this.queue === undefined) {
      this.queue = [];
      for await (const held of this.options.service.held()) {
        if (await this.due(held, signal)) this.queue.push(held);
      }
    }
    const held = this.queue.shift();
    if (held === undefined) {
      this.queue = undefined;
      return false;
    }
    try {
      await this.change(held, signal);
    } catch (error) {
      if (!isError(error, 'unavailable', 'conflict', 'denied', 'not-found')) throw error;
      this.counters.failed++;
    }
    return true;
  }

  /** Whether the configuration held here should be another. */
  private async due(held: HeldRegister, signal: AbortSignal): Promise<boolean> {
    this.counters.checked++;
    const { current, previous } = held.image.state.config;
    return previous !== undefined || !sameMembers(current, await this.wanted(held.address, current, signal));
  }

  private async wanted(address: Address, current: readonly Member[], signal: AbortSignal): Promise<Member[]> {
    const { overlay, replicationFactor } = this.options;
    const owners = await overlay.owners(address, replicationFactor + current.length, { signal });
    return desiredMembers(current, owners, (id) => overlay.record(id), replicationFactor);
  }

  private async change(held: HeldRegister, signal: AbortSignal): Promise<void> {
    const { registers } = this.options;
    const snapshot = await registers.read(held.address, { signal, members: held.image.state.config.current });
    if (!this.mine(snapshot)) return;
    const wanted = await this.wanted(held.address, snapshot.members, signal);
    if (!snapshot.joint && sameMembers(snapshot.members, wanted)) return;
    await registers.reconfigure(held.address, wanted, { signal, members: snapshot.members });
    this.counters.changed++;
  }

  /** The first member believed alive does it, so that members do not duel. A new store knows nothing of its node's old one. */
  private mine(snapshot: RegisterSnapshot): boolean {
    const { overlay, self } = this.options;
    const own = toHex(self);
    const able = snapshot.members.find(
      (member) =>
        replacement(member, (id) => overlay.record(id)) === undefined &&
        (toHex(member.node) === own || overlay.liveness(member.node) === 'alive'),
    );
    return able !== undefined && toHex(able.node) === own;
  }
}

function sameMembers(a: readonly Member[], b: readonly Member[]): boolean {
  return a.map(memberName).sort().join() === b.map(memberName).sort().join();
}
