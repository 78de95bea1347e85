// A node that leaves for good (docs/protocols.md 1.3, 1.7, 2.5): it says so in its record, has its registers moved and its journals
// left, sees to it that others hold every block it holds, and only then is it safe to switch off.

import { toHex } from '../base/bytes.ts';
import { InfinitError, isError } from '../base/errors.ts';
import { checkSignal } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import { type Address, type Member, sameMember } from '../block/address.ts';
import type { RegisterService } from '../consensus/register/service.ts';
import type { NodeRecord, Overlay } from '../overlay/overlay.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Absence } from './absence.ts';
import type { Unwanted } from './block-service.ts';
import type { BlockTransfer, Wanted } from './block-transfer.ts';
import type { HeldBlocks } from './held-blocks.ts';
import type { JournalUpkeep } from './journal-upkeep.ts';

export interface DrainParts {
  runtime: Runtime;
  self: () => Member;
  overlay: Pick<Overlay, 'nodes' | 'liveness'>;
  absence: Pick<Absence, 'holders'>;
  service: Pick<RegisterService, 'held'>;
  journals: Pick<JournalUpkeep, 'countListed'>;
  held: Pick<HeldBlocks, 'addresses' | 'has' | 'get'>;
  /** Whether a sweep known here says that a block is garbage. */
  unwanted: Unwanted;
  transfer: Pick<BlockTransfer, 'ensureHeld'>;
  replicationFactor: number;
  /** Says in this node's record that it leaves, or that it does not after all. */
  announce: (leaving: boolean) => void;
  /** Has the worker of registers look now. */
  moveRegisters: () => void;
}

/** JSON-safe. */
export interface DrainProgress {
  state: 'idle' | 'draining' | 'drained';
  /** That this node is still a member of. */
  registers: number;
  /** Trees that count on this node's journal. */
  journals: number;
  blocks: number;
  /** Of them in this pass: held by enough others. */
  confirmed: number;
  /** Other nodes that hold each block in the end; fewer than wanted where fewer nodes are left. */
  copies: number;
}

const lookAgainMs = 1000;
/** A pass that found blocks others lack is repeated; it need not be at once. */
const passAgainMs = 3000;
/** Holders beyond the copies wanted, for those that do not answer. */
const furtherNodes = 4;

export class Drain {
  private readonly parts: DrainParts;
  private readonly ended = new AbortController();
  private running: Promise<unknown> = Promise.resolve();
  private progress: DrainProgress = {
    ...{ state: 'idle', registers: 0, journals: 0, blocks: 0, confirmed: 0, copies: 0 },
  };

  constructor(parts: DrainParts) {
    this.parts = parts;
  }

  status(): DrainProgress {
    return { ...this.progress };
  }

  /** Whether this node takes nothing any more and nobody may rely on what it holds. */
  get isLeaving(): boolean {
    return this.progress.state !== 'idle';
  }

  /**
   * Resolves when others hold all this node holds and nothing counts on it. Throws `unavailable` when no other node can take it
   * over, `cancelled`; then the node stays what it was.
   */
  run(signal: AbortSignal): Promise<DrainProgress> {
    // One that was given up takes back first what it said.
    const handedOver = this.running.then(() => this.handOver(AbortSignal.any([signal, this.ended.signal])));
    this.running = handedOver.catch(() => {});
    return handedOver;
  }

  /** Gives up what goes on: the node ends and stays what it was. */
  async stop(): Promise<void> {
    this.ended.abort();
    await this.running;
  }

  private async handOver(signal: AbortSignal): Promise<DrainProgress> {
    const { announce } = this.parts;
    this.progress = { ...this.progress, state: 'draining' };
    try {
      this.others();
      announce(true);
      await this.passUntilHeld(signal);
      await this.untilUnneeded(signal);
      // What arrived meanwhile: whoever knew of this node a moment ago may have put it here.
      await this.passUntilHeld(signal);
      await this.untilUnneeded(signal);
    } catch (error) {
      this.takeBack();
      throw error;
    }
    this.progress = { ...this.progress, state: 'drained' };
    return this.status();
  }

  /** The node stays after all. */
  takeBack(): void {
    this.progress = { ...this.progress, state: 'idle' };
    this.parts.announce(false);
  }

  /** Nodes that may take over; there must be one. */
  private others(): readonly NodeRecord[] {
    const own = toHex(this.parts.self().node);
    const others = this.parts.overlay
      .nodes()
      .filter(({ id, leaving, closed }) => toHex(id) !== own && !leaving && !closed && this.isAlive(id));
    if (others.length === 0) throw new InfinitError('unavailable', 'no other node can take over what this one holds');
    this.progress.copies = Math.min(this.parts.replicationFactor, others.length);
    return others;
  }

  private isAlive(id: Uint8Array): boolean {
    return this.parts.overlay.liveness(id) === 'alive';
  }

  /** Registers have other members, and no root lists this store. */
  private async untilUnneeded(signal: AbortSignal): Promise<void> {
    const { service, journals, moveRegisters, runtime, self } = this.parts;
    for (;;) {
      checkSignal(signal);
      this.others();
      let registers = 0;
      for await (const { image } of service.held()) {
        const { current, previous } = image.state.config;
        if ([...current, ...(previous ?? [])].some((member) => sameMember(member, self()))) registers++;
      }
      this.progress.registers = registers;
      this.progress.journals = await journals.countListed(signal);
      if (registers === 0 && this.progress.journals === 0) return;
      moveRegisters();
      await runtime.clock.sleep(lookAgainMs, { signal });
    }
  }

  private async passUntilHeld(signal: AbortSignal): Promise<void> {
    for (;;) {
      if ((await this.pass(signal)) === 0) return;
      this.parts.moveRegisters();
      await this.parts.runtime.clock.sleep(passAgainMs, { signal });
    }
  }

  /** All blocks once; how many of them too few others hold. */
  private async pass(signal: AbortSignal): Promise<number> {
    this.progress.blocks = 0;
    this.progress.confirmed = 0;
    let missing = 0;
    let batch: Address[] = [];
    const confirm = async () => {
      missing += await this.confirm(batch, signal);
      batch = [];
    };
    for await (const address of this.parts.held.addresses()) {
      checkSignal(signal);
      // A bad copy is nothing anybody could have from here.
      if (!(await this.parts.held.has(address))) continue;
      this.progress.blocks++;
      batch.push(address);
      if (batch.length >= limits.blockHaveMax) await confirm();
    }
    if (batch.length > 0) await confirm();
    return missing;
  }

  private async confirm(addresses: readonly Address[], signal: AbortSignal): Promise<number> {
    this.others();
    const { copies } = this.progress;
    const wanted = await Promise.all(addresses.map((address) => this.wanted(address)));
    let missing = 0;
    for (const { address, generation, stores, unwanted } of await this.parts.transfer.ensureHeld(wanted, { signal })) {
      // Who does not take it knows a sweep that calls it garbage; this node may not have heard of that.
      const nodes = new Set([...stores.map(({ node }) => node), ...unwanted].map(toHex));
      // Gone from here meanwhile, or garbage by a sweep known here.
      if (generation === undefined || nodes.size >= copies || (await this.isGarbage(address)))
        this.progress.confirmed++;
      else missing++;
    }
    return missing;
  }

  private async isGarbage(address: Address): Promise<boolean> {
    try {
      const { block, generation } = await this.parts.held.get(address);
      return this.parts.unwanted(address, block, generation);
    } catch (error) {
      if (isError(error, 'not-found')) return true;
      if (isError(error, 'corrupt')) return false;
      throw error;
    }
  }

  /** Placement without this node, of nodes that are alive; a few more where the first ones are away. */
  private async wanted(address: Address): Promise<Wanted> {
    const { absence, replicationFactor, self } = this.parts;
    const own = toHex(self().node);
    const placed = await absence.holders(address, replicationFactor + furtherNodes);
    const able = placed.filter(({ id, leaving }) => toHex(id) !== own && !leaving && this.isAlive(id));
    return { address, holders: able.slice(0, replicationFactor) };
  }
}
