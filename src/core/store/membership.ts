// Keeps the members of registers where they ought to be (docs/protocols.md 2.5, 2.10): grows small configurations at once,
// replaces exchanged stores, nodes that leave and nodes evicted, moves members that placement names no more, sees to it that each
// holds what was agreed on, and gives up what a register has left here. One proposer a register, so that members do not duel.

import { toHex } from '../base/bytes.ts';
import { isError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { type Address, type Member, sameMember, sameMembers } from '../block/address.ts';
import type { RegisterOptions, RegisterSnapshot, Registers } from '../consensus/consensus.ts';
import type { HeldRegister, RegisterService } from '../consensus/register/service.ts';
import type { NodeRecord, Overlay } from '../overlay/overlay.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Absence } from './absence.ts';
import { type Surroundings, wantedMembers } from './wanted-members.ts';
import type { Work } from './worker.ts';

export interface MembershipOptions {
  runtime: Runtime;
  /** This node and its store. */
  self: () => Member;
  overlay: Pick<Overlay, 'record' | 'liveness'>;
  absence: Pick<Absence, 'holders' | 'isEvicted'>;
  /** What this store holds. */
  service: Pick<RegisterService, 'held' | 'retire' | 'forget'>;
  registers: Pick<Registers, 'read' | 'reconfigure' | 'settle' | 'lagging'>;
  replicationFactor: number;
}

/** A difference to placement alone is a reason only when it has lasted. */
const moveAfterMs = 60_000;
/** Somebody is in the middle of a change: it is finished for him when he has not done so for this long. */
const jointAfterMs = 5_000;
/** Members take their turns so long after one another: the first may not know of the register. */
const turnMs = 30_000;
/** What was agreed on just now may be on its way to a member still. */
const laggingAfterMs = 5_000;
/** Members that did not say what they hold, or did not have it, are asked again. */
const askAgainMs = 60_000;
/** Looked at again although nothing seems wrong, and old stubs looked for. */
const recheckMs = 60 * 60_000;
/** A member that does not answer is waited for no longer. */
const operationMs = 8_000;
const blockedMs = 3_000;

interface Noted {
  /** Of the configuration; and what is different, undefined: nothing. Both are so since then. */
  generation: number;
  difference: string | undefined;
  since: number;
  /** When it is looked at again though nothing seems wrong. */
  nextAt: number;
}

/** One register a step; those that look right by what is held here are asked about after each change, and once an hour. */
export class Membership implements Work {
  readonly name = 'membership';
  readonly counters = { checked: 0, changed: 0, completed: 0, retired: 0, forgotten: 0, blocked: 0, failed: 0 };
  private readonly options: MembershipOptions;
  private queue: HeldRegister[] | undefined;
  private readonly noted = new Map<string, Noted>();
  /** Registers of which no majority is alive: nothing can be agreed on. */
  private readonly blocked = new Set<string>();
  private forgotAt = Number.NEGATIVE_INFINITY;

  constructor(options: MembershipOptions) {
    this.options = options;
  }

  /** This node was out of contact: what is held here may have moved on meanwhile. */
  recheck(): void {
    for (const noted of this.noted.values()) noted.nextAt = Number.NEGATIVE_INFINITY;
  }

  backlog(): number | undefined {
    return this.queue?.length;
  }

  async step(signal: AbortSignal): Promise<boolean> {
    this.queue ??= await this.due();
    const held = this.queue.shift();
    if (held === undefined) {
      this.queue = undefined;
      await this.forget();
      return false;
    }
    try {
      await this.look(held, signal);
    } catch (error) {
      if (!isError(error, 'unavailable', 'conflict', 'denied', 'not-found', 'corrupt', 'full')) throw error;
      this.counters.failed++;
    }
    return true;
  }

  private get now(): number {
    return this.options.runtime.clock.monotonic();
  }

  private async due(): Promise<HeldRegister[]> {
    const queue: HeldRegister[] = [];
    for await (const held of this.options.service.held()) {
      this.counters.checked++;
      try {
        if (await this.isDue(held)) queue.push(held);
      } catch (error) {
        // Nobody leads there at this moment: the others are looked at all the same.
        if (!isError(error, 'unavailable')) throw error;
        this.counters.failed++;
      }
    }
    return queue;
  }

  /** Whether what is held here is not as it should be, or has not been compared with what is agreed for long. */
  private async isDue({ address, image }: HeldRegister): Promise<boolean> {
    const { current, previous, generation } = image.state.config;
    if (previous !== undefined || !current.some((member) => sameMember(member, this.options.self()))) return true;
    const noted = this.noted.get(toHex(address));
    if (noted === undefined || noted.generation < generation || this.now >= noted.nextAt) return true;
    return !sameMembers(current, wantedMembers(current, await this.surroundings(address, current), { moves: true }));
  }

  private async surroundings(address: Address, current: readonly Member[]): Promise<Surroundings> {
    const { overlay, absence, replicationFactor } = this.options;
    const own = toHex(this.options.self().node);
    const [further, all] = await Promise.all([
      absence.holders(address, replicationFactor + current.length),
      absence.holders(address, replicationFactor, { all: true }),
    ]);
    return {
      replicationFactor,
      placed: await absence.holders(address, replicationFactor),
      further,
      all,
      record: (id) => overlay.record(id),
      isAlive: (id) => toHex(id) === own || overlay.liveness(id) === 'alive',
      isEvicted: (id) => toHex(id) !== own && absence.isEvicted(id),
    };
  }

  private async look({ address, image }: HeldRegister, signal: AbortSignal): Promise<void> {
    const { registers, service } = this.options;
    const voters = image.state.config.current;
    const around = await this.surroundings(address, voters);
    const isBlocked = this.able(voters, around).length * 2 <= voters.length;
    if (isBlocked) this.blocked.add(toHex(address));
    this.counters.blocked = this.blocked.size;
    const timeoutMs = isBlocked ? blockedMs : operationMs;
    const snapshot = await registers.read(address, { signal, members: voters, timeoutMs });
    if (this.blocked.delete(toHex(address))) this.counters.blocked = this.blocked.size;
    const noted = this.note(address, snapshot, await this.surroundings(address, snapshot.members));
    if (!snapshot.members.some((member) => sameMember(member, this.options.self()))) {
      if (!snapshot.joint && (await service.retire(address, snapshot.members))) this.counters.retired++;
      return;
    }
    const turn = this.turnOf(snapshot.members, around);
    if (turn === undefined) return;
    const lasted = this.now - noted.since - turn * turnMs;
    noted.nextAt = this.now + Math.max(0, laggingAfterMs - lasted);
    if (lasted < 0) return;
    const options = { signal, members: snapshot.members, timeoutMs: operationMs };
    if (snapshot.deleted) await registers.settle(address, options);
    if (snapshot.joint && lasted < jointAfterMs) return;
    const again = await this.surroundings(address, snapshot.members);
    const atOnce = wantedMembers(snapshot.members, again, { moves: false });
    const wanted =
      snapshot.joint || !sameMembers(atOnce, snapshot.members) || lasted < moveAfterMs
        ? atOnce
        : wantedMembers(snapshot.members, again, { moves: true });
    if (!snapshot.joint && sameMembers(snapshot.members, wanted)) {
      if (lasted >= laggingAfterMs) noted.nextAt = this.now + (await this.complete(snapshot, options));
      return;
    }
    await registers.reconfigure(address, wanted, options);
    this.counters.changed++;
  }

  /**
   * Who missed what was agreed on, or never got it, gets it now and not only with the next write: others may be lost first. In how
   * many milliseconds it is worth another look.
   */
  private async complete(snapshot: RegisterSnapshot, options: RegisterOptions): Promise<number> {
    if (snapshot.deleted) return recheckMs;
    const { registers } = this.options;
    const { behind, silent } = await registers.lagging(snapshot);
    if (behind.length === 0) return silent.length === 0 ? recheckMs : askAgainMs;
    await registers.settle(snapshot.address, options);
    this.counters.completed++;
    return askAgainMs;
  }

  /** Since when this difference has been seen. */
  private note(address: Address, snapshot: RegisterSnapshot, around: Surroundings): Noted {
    const name = toHex(address);
    const wanted = wantedMembers(snapshot.members, around, { moves: true });
    const differs = snapshot.joint || !sameMembers(snapshot.members, wanted);
    const difference = differs
      ? `${snapshot.generation} ${wanted
          .map(({ node }) => toHex(node))
          .sort()
          .join()}`
      : undefined;
    const before = this.noted.get(name);
    const { generation } = snapshot;
    const isSame = before !== undefined && before.generation === generation && before.difference === difference;
    const noted = { generation, difference, since: isSame ? before.since : this.now, nextAt: this.now + recheckMs };
    this.noted.delete(name);
    this.noted.set(name, noted);
    const oldest = this.noted.keys().next();
    if (this.noted.size > limits.registerRecordsCachedMax && !oldest.done) this.noted.delete(oldest.value);
    return noted;
  }

  /**
   * One does it: the first member believed alive, with the store its node has now; of those that leave, if there are any, because
   * they wait for it. A new store knows nothing of its node's old one. The others come after it, should it not do it.
   */
  private turnOf(members: readonly Member[], around: Surroundings): number | undefined {
    const able = this.able(members, around);
    const leaving = able.filter(({ node }) => around.record(node)?.leaving);
    const order = [...leaving, ...able.filter((member) => !leaving.includes(member))];
    const turn = order.findIndex((member) => sameMember(member, this.options.self()));
    return turn < 0 ? undefined : turn;
  }

  /** Members that can vote, as far as this node sees: alive, with the store that is named. */
  private able(members: readonly Member[], { isAlive, record }: Surroundings): Member[] {
    return members.filter(
      (member) => isAlive(member.node) && !isReplaced(member, (id) => record(id), this.options.self()),
    );
  }

  private async forget(): Promise<void> {
    if (this.now - this.forgotAt < recheckMs) return;
    this.forgotAt = this.now;
    this.counters.forgotten += await this.options.service.forget();
  }
}

function isReplaced(
  { node, store }: Member,
  record: (id: Member['node']) => NodeRecord | undefined,
  self: Member,
): boolean {
  if (toHex(node) === toHex(self.node)) return toHex(store) !== toHex(self.store);
  const known = record(node)?.stores;
  return known !== undefined && known.length > 0 && !known.some((other) => toHex(other) === toHex(store));
}
