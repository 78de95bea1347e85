// Leaders of one tree that follow docs/protocols.md 4.4 and 4.5 with the least state a tree can have: the list of operations
// done. They append, commit, change ensembles, stall, crash and are deposed. What was acknowledged must be in every later
// leader's state (L1, L2), once (L3), and no deposed leader may still count grants (L4).

import { equalBytes } from '../../src/core/base/bytes.ts';
import { decode, encode } from '../../src/core/base/codec.ts';
import { InfinitError, isError } from '../../src/core/base/errors.ts';
import { type Address, registerAddress } from '../../src/core/block/address.ts';
import { accessInClear } from '../../src/core/block/register.ts';
import {
  type JournalSegment,
  type JournalWriter,
  type RegisterSnapshot,
  type RootHeader,
  rootHeader,
} from '../../src/core/consensus/consensus.ts';
import { Cluster, idOf, type Node, user } from './consensus-cluster.ts';
import { scheduleFaults } from './consensus-faults.ts';
import { Ledger } from './consensus-ledger.ts';
import { createWorld, type World } from './runtime/world.ts';

export interface JournalRun {
  violations: string[];
  acknowledged: number;
  epochs: number;
  trace: string;
}

export type PlantedInJournal = 'answers-early' | 'unrecovered' | undefined;

const durationMs = 40_000;

interface Leader {
  epoch: number;
  node: Node;
  writer: JournalWriter;
}

/** What happened, seen from outside. */
class Course {
  /** Operation and the epoch of its acknowledgement. */
  readonly acknowledged = new Map<number, number>();
  /** State at the start of each epoch that became active. */
  readonly actives = new Map<number, readonly number[]>();
  readonly leaders: Leader[] = [];
  readonly violations: string[] = [];

  activated(epoch: number, state: readonly number[]): void {
    this.actives.set(epoch, [...state]);
    for (const { epoch: older, node, writer } of this.leaders)
      if (older < epoch && writer.grantedUntil() > node.runtime.clock.monotonic())
        this.violations.push(`L4: leader ${older} may read while ${epoch} is active`);
  }

  judge(): void {
    for (const [epoch, state] of this.actives) {
      if (new Set(state).size !== state.length) this.violations.push(`L3: epoch ${epoch} has an operation twice`);
      const has = new Set(state);
      for (const [operation, by] of this.acknowledged)
        if (by < epoch && !has.has(operation))
          this.violations.push(`L1: ${operation}, acknowledged in epoch ${by}, is not in epoch ${epoch}`);
    }
  }
}

function bytesOf(operations: readonly number[]): Buffer {
  const out = Buffer.alloc(operations.length * 4);
  for (const [i, operation] of operations.entries()) out.writeUInt32BE(operation, i * 4);
  return out;
}

function operationsOf(bytes: Uint8Array): number[] {
  const view = Buffer.from(bytes);
  return Array.from({ length: view.length / 4 }, (_, i) => view.readUInt32BE(i * 4));
}

export async function runJournals(seed: number, planted?: PlantedInJournal): Promise<JournalRun> {
  const world = createWorld({ seed, link: { loss: 0.005, duplication: 0.01, reordering: 0.05 } });
  const cluster = new Cluster(world, 5, 4);
  const ledger = new Ledger();
  const course = new Course();
  cluster.onWritten = (host, storeId, entries) => ledger.written(host, storeId, entries);
  cluster.answersEarly = planted === 'answers-early';
  const salt = world.random.bytes(16);
  const tree = registerAddress(user.publicKey, salt);
  const header: RootHeader = {
    format: 1,
    treeId: Buffer.alloc(16, 7),
    epoch: 0,
    state: 'idle',
    leader: undefined,
    applied: 0,
    segments: [],
    gcGeneration: 0,
    sealed: Buffer.alloc(0),
  };
  const access = accessInClear(user.publicKey);
  const members = cluster.storage.slice(0, 3).map((name) => cluster.member(name));
  const payload = encode(rootHeader, header);
  const first = cluster.client('c0').registers.create({ owner: user, salt, members, access, payload });
  await world.settle(first);
  scheduleFaults(cluster, durationMs, { loseDisk: false });
  const endMs = world.nowMs + durationMs;
  const busy = ['c0', 'c1', 'c2', 'c3'].map((name) =>
    candidate({ world, cluster, course, planted }, name, tree, endMs),
  );
  await world.settle(Promise.all(busy), { limitMs: 300_000 });
  const last = new Campaign({ world, cluster, course, planted }, 'c0', tree);
  await world.settle(last.takeOver(), { limitMs: 120_000 });
  course.judge();
  ledger.judge();
  return {
    violations: [...course.violations, ...ledger.violations],
    acknowledged: course.acknowledged.size,
    epochs: course.actives.size,
    trace: world.trace(),
  };
}

interface Stage {
  world: World;
  cluster: Cluster;
  course: Course;
  planted: PlantedInJournal;
}

/** Takes over now and then, leads for a while, and stops without a word. */
async function candidate(stage: Stage, name: string, tree: Address, endMs: number): Promise<void> {
  const random = stage.world.random.fork(`candidate ${name}`);
  const { clock } = stage.cluster.client(name).runtime;
  while (stage.world.nowMs < endMs) {
    await clock.sleep(random.below(16_000));
    const campaign = new Campaign(stage, name, tree);
    try {
      await campaign.takeOver();
      await campaign.lead(Math.min(endMs, stage.world.nowMs + random.below(12_000)));
    } catch (error) {
      if (!isError(error, 'unavailable', 'conflict', 'denied')) throw error;
    }
    campaign.abandon();
  }
}

class Campaign {
  private readonly stage: Stage;
  private readonly node: Node;
  private readonly tree: Address;
  private readonly random: { below(limit: number): number };
  private readonly session: Buffer;
  private root: RegisterSnapshot | undefined;
  private header: RootHeader | undefined;
  private state: number[] = [];
  private writer: JournalWriter | undefined;
  private serial = 0;

  constructor(stage: Stage, name: string, tree: Address) {
    this.stage = stage;
    this.node = stage.cluster.client(name);
    this.tree = tree;
    this.random = stage.world.random.fork(`campaign ${name} ${stage.world.nowMs}`);
    this.session = stage.world.random.fork(`session ${name} ${stage.world.nowMs}`).bytes(16);
  }

  private get now(): { root: RegisterSnapshot; header: RootHeader } {
    if (!this.root || !this.header) throw new Error('no root yet');
    return { root: this.root, header: this.header };
  }

  /** T1 to T7. */
  async takeOver(): Promise<void> {
    const { registers, journals } = this.node;
    this.root = await registers.read(this.tree, { timeoutMs: 10_000 });
    const found = decode(rootHeader, this.root.payload);
    // T2 names the candidate: else two claims are one value to the byte, and both candidates find theirs chosen.
    const leader = { node: idOf(this.node.name), session: this.session, endpoints: [] };
    const claimed = (header: RootHeader): RootHeader => ({
      ...header,
      epoch: found.epoch + 1,
      state: 'recovering',
      leader,
    });
    await this.change(found.epoch, claimed);
    const { root, header } = this.now;
    this.state = operationsOf(header.sealed);
    if (this.stage.planted !== 'unrecovered')
      for (const { first, data } of await journals.recover(root)) {
        const operations = operationsOf(data);
        this.state.push(...operations.slice(Math.max(0, this.state.length + 1 - first)));
      }
    const applied = this.state.length;
    const segment = this.segment(applied + 1, (header.segments.at(-1)?.id ?? 0) + 1, header.epoch);
    await this.change(header.epoch, (h) => ({
      ...h,
      state: 'active',
      applied,
      segments: [segment],
      sealed: bytesOf(this.state),
    }));
    this.stage.course.activated(header.epoch, this.state);
    await this.open(segment);
  }

  async lead(untilMs: number): Promise<void> {
    const { clock } = this.node.runtime;
    const pending: Promise<void>[] = [];
    while (this.stage.world.nowMs < untilMs && this.state.length < 900) {
      const dice = this.random.below(20);
      if (dice === 0) await this.commit();
      else if (dice === 1 || (this.writer?.troubled().length ?? 0) > 0) await this.changeEnsemble(pending);
      else if (dice === 2) await this.writer?.hold();
      else pending.push(this.append());
      for (const promise of pending) promise.catch(() => {});
      if (pending.length >= 4) await pending.shift();
      await clock.sleep(this.random.below(50));
    }
    await Promise.all(pending);
    if (this.random.below(3) === 0) await this.writer?.release();
  }

  abandon(): void {
    this.writer?.close();
  }

  private async append(): Promise<void> {
    const { header } = this.now;
    const count = 1 + this.random.below(4);
    const operations = Array.from({ length: count }, () => header.epoch * 10_000 + ++this.serial);
    const first = this.state.length + 1;
    this.state.push(...operations);
    await this.writer?.append({ first, last: this.state.length, data: bytesOf(operations) });
    for (const operation of operations) this.stage.course.acknowledged.set(operation, header.epoch);
  }

  private async commit(): Promise<void> {
    const { header } = this.now;
    const applied = this.state.length;
    const sealed = bytesOf(this.state);
    await this.change(header.epoch, (h) => ({ ...h, applied, sealed, segments: h.segments.slice(-1) }));
    await this.writer?.trim(this.now.root);
  }

  /** 4.4: what is issued is acknowledged, then the root lists the new segment, then it is opened. */
  private async changeEnsemble(pending: Promise<void>[]): Promise<void> {
    await Promise.all(pending.splice(0));
    const { header } = this.now;
    if (header.segments.length >= 4) return await this.commit();
    const segment = this.segment(this.state.length + 1, (header.segments.at(-1)?.id ?? 0) + 1, header.epoch);
    await this.change(header.epoch, (h) => ({ ...h, segments: [...h.segments, segment] }));
    this.writer?.close();
    await this.open(segment);
  }

  private async open(segment: JournalSegment): Promise<void> {
    this.writer = await this.node.journals.open(this.now.root, segment, user);
    this.stage.course.leaders.push({ epoch: this.now.header.epoch, node: this.node, writer: this.writer });
  }

  private segment(start: number, id: number, epoch: number): JournalSegment {
    const names = [...this.stage.cluster.storage];
    while (names.length > 3) names.splice(this.random.below(names.length), 1);
    return { id, epoch, start, members: names.map((name) => this.stage.cluster.member(name)) };
  }

  /** Compare-and-set of the root on the epoch; `conflict` when it is another's by now. */
  private async change(epoch: number, next: (header: RootHeader) => RootHeader): Promise<void> {
    const deposed = () => new InfinitError('conflict', 'somebody else leads');
    this.root = await this.node.registers.write(
      this.tree,
      user,
      (current) => {
        const header = decode(rootHeader, current.payload);
        if (header.epoch !== epoch) throw deposed();
        return encode(rootHeader, next(header));
      },
      { timeoutMs: 10_000 },
    );
    this.header = decode(rootHeader, this.root.payload);
    // What is answered may be newer than what was written: somebody else built on it already.
    const { leader } = this.header;
    if (!leader || !equalBytes(leader.session, this.session)) throw deposed();
  }
}
