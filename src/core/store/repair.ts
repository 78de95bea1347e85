// Restores copies: a node compares what it is to hold with the others who are to hold it, by set reconciliation, and each side
// gets what it lacks, with the higher generation (docs/protocols.md 1.7, 3). After a change of membership the former holders are
// asked too. Blocks somebody missed here, and bad copies, are fetched at once. Nothing is ever deleted (I3).

import { fromHex, toHex } from '../base/bytes.ts';
import { isError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Address, NodeId } from '../block/address.ts';
import type { NodeRecord, Overlay } from '../overlay/overlay.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Absence } from './absence.ts';
import { type Arc, ownArcs } from './arcs.ts';
import type { BlockTransfer } from './block-transfer.ts';
import type { Fetching } from './fetching.ts';
import type { HeldBlocks } from './held-blocks.ts';
import type { Inventory, InventoryEntry, Range } from './inventory.ts';
import { blockIndex } from './messages.ts';
import { Comparison, type Differences } from './reconcile.ts';
import type { Work } from './worker.ts';

export interface RepairParts {
  runtime: Runtime;
  self: NodeId;
  overlay: Overlay;
  absence: Pick<Absence, 'holders' | 'away'>;
  held: HeldBlocks;
  inventory: Inventory;
  transfer: BlockTransfer;
  fetching: Fetching;
  replicationFactor: number;
}

/** Between rounds in which nothing was found the time doubles. */
const roundMs = { first: 30_000, max: 10 * 60_000 };
const fetchesPerStep = 16;
const parallelFetches = 4;
const sendsPerStep = 64;
/** Further nodes clockwise that may have a block none of its holders has. */
const sparesMax = 8;

/** One node to compare with. `mutual`: it is to hold the ranges too, so that it is given what it lacks. */
interface Task {
  readonly node: NodeRecord;
  readonly mutual: boolean;
  readonly comparison: Comparison;
}

export class Repair implements Work {
  readonly name = 'repair';
  private readonly parts: RepairParts;
  private readonly counts = { rounds: 0, compared: 0, raised: 0, mended: 0, unavailable: 0 };
  /** Where this node is to hold blocks, as of the last round. */
  arcs: readonly Arc[] | undefined;
  private members = '';
  private alive = '';
  private tasks: Task[] = [];
  private fetches: { address: Address; from: NodeRecord }[] = [];
  private sends: { entry: InventoryEntry; to: NodeRecord }[] = [];
  private readonly wanted = new Set<string>();
  /** By node: blocks held here that it lacked when compared last, and did not take since. */
  readonly lacks = new Map<string, Set<string>>();
  private nextRoundMs = 0;
  private roundEndedMs: number | undefined;
  private periodMs = roundMs.first;
  private quiet = true;
  private withFormer = true;

  constructor(parts: RepairParts) {
    this.parts = parts;
  }

  get counters(): Record<string, number> {
    const { fetching, transfer } = this.parts;
    const { fetched, fetchedBytes } = fetching.counters;
    return { ...this.counts, fetched, fetchedBytes, sent: transfer.counters.sent, failed: fetching.counters.failed };
  }

  backlog(): number {
    const ranges = this.tasks.reduce((sum, { comparison }) => sum + comparison.left, 0);
    return this.wanted.size + this.fetches.length + this.sends.length + ranges;
  }

  /** Milliseconds since the last round ended; undefined before the first. */
  get comparedMs(): number | undefined {
    return this.roundEndedMs && Math.round(this.parts.runtime.clock.monotonic() - this.roundEndedMs);
  }

  /** Compares again at the next wake, whatever the time. */
  soon(): void {
    this.nextRoundMs = 0;
  }

  /** Blocks this node is to hold, or has a bad copy of, that wait to be fetched. */
  missing(): number {
    return this.wanted.size + this.fetches.length;
  }

  /** Somebody missed the block here, or the copy here is bad. */
  want(address: Address): void {
    if (this.wanted.size < limits.blocksWantedMax) this.wanted.add(toHex(address));
  }

  async step(signal: AbortSignal): Promise<boolean> {
    if (this.wanted.size > 0) await this.fetchWanted(signal);
    if (!this.parts.inventory.complete) return this.wanted.size > 0;
    if (this.fetches.length > 0) await this.fetchMissing(signal);
    else if (this.sends.length > 0) await this.sendLacking(signal);
    else if (this.tasks.length > 0) await this.compareNext(signal);
    else if (!(await this.beginRound(signal))) return this.wanted.size > 0;
    return true;
  }

  /** Plans a round when one is due: who is compared with, where. */
  private async beginRound(signal: AbortSignal): Promise<boolean> {
    const { runtime, self, overlay, held } = this.parts;
    const { members, alive } = this.membershipNow();
    const changed = members !== this.members || this.arcs === undefined;
    if (!changed && alive === this.alive && runtime.clock.monotonic() < this.nextRoundMs) return false;
    if (changed) {
      this.arcs = await ownArcs({ ...this.parts, clock: runtime.clock }, { signal });
      this.members = members;
      this.withFormer = true;
      this.periodMs = roundMs.first;
      this.lacks.clear();
    }
    this.alive = alive;
    for (const address of held.badAddresses()) this.want(address);
    const mutual = new Map<string, { node: NodeRecord; ranges: Range[] }>();
    const former: typeof mutual = new Map();
    for (const arc of this.arcs ?? []) {
      share(mutual, arc.holders, arc.ranges);
      if (this.withFormer) share(former, arc.former, arc.ranges);
    }
    for (const [kind, shares] of [mutual, former].entries()) {
      for (const { node, ranges } of shares.values()) {
        if (toHex(node.id) === toHex(self) || overlay.liveness(node.id) !== 'alive') continue;
        const comparison = new Comparison(this.parts.inventory, ranges);
        this.tasks.push({ node, mutual: kind === 0, comparison });
        if (kind === 0) this.lacks.set(toHex(node.id), new Set());
      }
    }
    this.quiet = true;
    if (this.tasks.length === 0) this.endRound();
    return this.tasks.length > 0;
  }

  private endRound(): void {
    this.counts.rounds++;
    if (this.quiet) this.withFormer = false;
    this.periodMs = this.quiet ? Math.min(this.periodMs * 2, roundMs.max) : roundMs.first;
    this.roundEndedMs = this.parts.runtime.clock.monotonic();
    this.nextRoundMs = this.roundEndedMs + this.periodMs;
  }

  /** Everything of the nodes that placement depends on, and who can be compared with. */
  private membershipNow(): { members: string; alive: string } {
    const { overlay, absence } = this.parts;
    const records = new Map([...absence.away(), ...overlay.nodes()].map((record) => [toHex(record.id), record]));
    const members = [...records].map(([name, { positions, zone, closed, leaving, stores }]) =>
      [name, positions, zone, closed, leaving, stores.map(toHex)].join(' '),
    );
    const alive = [...records].flatMap(([name, { id }]) => (overlay.liveness(id) === 'alive' ? [name] : []));
    return { members: members.sort().join(), alive: alive.sort().join() };
  }

  /** Asks one question of the first task; tasks take turns. */
  private async compareNext(signal: AbortSignal): Promise<void> {
    const task = this.tasks.shift() as Task;
    const { overlay } = this.parts;
    try {
      const peer = await overlay.peer(task.node.id, { signal });
      const { answers } = await peer.call(blockIndex, { ranges: task.comparison.question() }, { signal });
      this.counts.compared++;
      await this.note(task, task.comparison.answered(answers));
      if (!task.comparison.over) this.tasks.push(task);
    } catch (error) {
      if (!isError(error, 'unavailable', 'denied', 'corrupt', 'full', 'unsupported')) throw error;
      this.counts.unavailable++;
      this.quiet = false;
    }
    if (this.tasks.length === 0) this.endRound();
  }

  private async note({ node, mutual }: Task, { missing, behind, lacking }: Differences): Promise<void> {
    const { held, self, overlay } = this.parts;
    const takes = overlay.record(self)?.closed !== true;
    if (takes) this.fetches.push(...missing.map(({ address }) => ({ address, from: node })));
    for (const { address, generation } of behind) if (await held.touch(address, generation)) this.counts.raised++;
    const given = mutual ? lacking : [];
    const name = toHex(node.id);
    const lacks = this.lacks.get(name) ?? new Set();
    this.lacks.set(name, lacks);
    for (const { address } of given) if (lacks.size < limits.blocksShortMax) lacks.add(toHex(address));
    if (!node.closed) this.sends.push(...given.map((entry) => ({ entry, to: node })));
    if ((takes && missing.length > 0) || behind.length > 0 || given.length > 0) this.quiet = false;
  }

  private async fetchMissing(signal: AbortSignal): Promise<void> {
    const { held, fetching } = this.parts;
    const queue = this.fetches.splice(0, fetchesPerStep);
    const one = async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        // Here, yet not in the inventory: its record could not be listed, so it may be rotten.
        const isRotten = (await held.has(next.address)) && !(await held.verify(next.address)).sound;
        const outcome = await fetching.fetch(next.address, [next.from], { signal });
        if (isRotten && outcome === 'here') this.counts.mended++;
        if (outcome === 'full')
          this.fetches.length = queue.length = 0; // looked at again in the next round
        else if (outcome === 'failed') this.want(next.address);
      }
    };
    await Promise.all(Array.from({ length: parallelFetches }, one));
  }

  private async sendLacking(signal: AbortSignal): Promise<void> {
    const batch = this.sends.splice(0, sendsPerStep);
    const wanted = batch.map(({ entry, to }) => ({ address: entry.address, holders: [to] }));
    const answers = await this.parts.transfer.ensureHeld(wanted, { signal });
    for (const { address, stores, unwanted } of answers)
      for (const node of [...stores.map(({ node }) => node), ...unwanted])
        this.lacks.get(toHex(node))?.delete(toHex(address));
  }

  /** Blocks missed here are fetched from whoever is near, if this node is to hold them or has a bad copy. */
  private async fetchWanted(signal: AbortSignal): Promise<void> {
    const queue = [...this.wanted].slice(0, fetchesPerStep);
    for (const name of queue) this.wanted.delete(name);
    const one = async () => {
      for (let name = queue.shift(); name !== undefined; name = queue.shift()) await this.mend(fromHex(name), signal);
    };
    await Promise.all(Array.from({ length: parallelFetches }, one));
  }

  private async mend(address: Address, signal: AbortSignal): Promise<void> {
    const { absence, held, overlay, fetching, self, replicationFactor } = this.parts;
    if (await held.has(address)) return;
    if (!held.isBad(address)) {
      // Readers ask closed nodes too; what they miss there is not for them to take.
      if (overlay.record(self)?.closed === true) return;
      const holders = await absence.holders(address, replicationFactor, { signal, closed: true });
      if (!holders.some(({ id }) => toHex(id) === toHex(self))) return;
    }
    const near = await absence.holders(address, replicationFactor + sparesMax, { signal, all: true });
    const alive = near.filter(({ id }) => overlay.liveness(id) === 'alive');
    if ((await fetching.fetch(address, alive, { signal })) === 'here') this.counts.mended++;
  }
}

function share(
  shares: Map<string, { node: NodeRecord; ranges: Range[] }>,
  nodes: readonly NodeRecord[],
  ranges: readonly Range[],
): void {
  for (const node of nodes) {
    const known = shares.get(toHex(node.id)) ?? { node, ranges: [] };
    known.ranges.push(...ranges);
    shares.set(toHex(node.id), known);
  }
}
