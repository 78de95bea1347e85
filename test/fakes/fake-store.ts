// A store in memory shared by the processes of a `World`: storage members that hold blocks and journals by the rules of
// docs/protocols.md 4.2 and 4.3 (fence, grant, gap, majority), and root registers as atomic compare-and-set objects.

import { type Bytes, equalBytes, toHex } from '../../src/core/base/bytes.ts';
import { decode } from '../../src/core/base/codec.ts';
import { InfinitError } from '../../src/core/base/errors.ts';
import { checkSignal } from '../../src/core/base/lifecycle.ts';
import {
  type Address,
  blockAddress,
  type Member,
  memberName,
  type NodeId,
  registerAddress,
} from '../../src/core/block/address.ts';
import { decodeImmutableHeader, treeTagOf } from '../../src/core/block/immutable.ts';
import {
  type Journals,
  type NewAccess,
  type RegisterSnapshot,
  type Registers,
  rootHeader,
} from '../../src/core/consensus/consensus.ts';
import { hash } from '../../src/core/crypto/hash.ts';
import type { KeyPair } from '../../src/core/crypto/keys.ts';
import { FuseFilter } from '../../src/core/store/fuse-filter.ts';
import type { Blocks, Store, Sweeps } from '../../src/core/store/store.ts';
import type { SweepProgress, SweepQuestion } from '../../src/core/store/sweep-messages.ts';
import { FakeJournals, JournalMember } from './fake-journals.ts';
import { type Party, type Process, type World, within } from './world.ts';

/** A storage node: up or down; what it holds survives being down. */
export class Storage implements Party {
  readonly name: string;
  readonly member: Member;
  readonly blocks = new Map<string, Buffer>();
  /** Garbage generations of the blocks. */
  readonly generations = new Map<string, number>();
  readonly swept = { done: new Set<string>(), blocks: 0, bytes: 0 };
  readonly journal: JournalMember;
  up = true;

  constructor(world: World, name: string) {
    this.name = name;
    this.member = { node: world.bytes(32), store: world.bytes(8) };
    this.journal = new JournalMember(world);
  }
  dispatch(task: () => void): void {
    if (this.up) task();
  }

  keep(name: string, block: Buffer, generation: number): void {
    this.blocks.set(name, block);
    this.generations.set(name, Math.max(generation, this.generations.get(name) ?? 0));
  }

  touch(name: string, generation: number): boolean {
    const block = this.blocks.get(name);
    if (block !== undefined) this.keep(name, block, generation);
    return block !== undefined;
  }

  /** As a node does it (docs/protocols.md 5). */
  sweep({ tree, generation, first, last, filter }: Parameters<Sweeps['hand']>[1], ignoreGeneration: boolean): void {
    const marked = new FuseFilter(filter);
    const tag = treeTagOf(tree);
    for (const [name, block] of this.blocks) {
      const address = Buffer.from(name, 'hex');
      const word = address.readUInt32BE(0);
      if (word < first || word > last || !decodeImmutableHeader(block).treeTag.equals(tag)) continue;
      if (marked.has(address)) continue;
      if (!ignoreGeneration && (this.generations.get(name) ?? 0) >= generation) continue;
      this.blocks.delete(name);
      this.generations.delete(name);
      this.swept.blocks++;
      this.swept.bytes += block.length;
    }
    this.swept.done.add(`${generation}/${first}`);
  }
}

/** Rules that a test breaks, to see that its checks notice. */
export interface PlantedBugs {
  /** W2. */
  sweepIgnoresGeneration?: boolean;
  /** W4: a touch answers and marks nothing. */
  touchDoesNothing?: boolean;
}

interface RegisterState {
  snapshot: RegisterSnapshot;
}

export class Cluster {
  readonly world: World;
  readonly storages: Storage[];
  readonly registers = new Map<string, RegisterState>();
  /** Every chosen root, oldest first: for checkers. */
  readonly chosen: RegisterSnapshot[] = [];
  /** Round trips asked of the cluster, by kind. */
  readonly counts = { put: 0, get: 0, registerRead: 0, registerWrite: 0, append: 0, fence: 0, hold: 0 };
  bugs: PlantedBugs = {};
  /** Planted: journal writers answer before a member has the batch. */
  appendsEarly = false;
  /** Called before a register write takes effect; may throw (refused) or answer `lose` (done, but the answer is lost). */
  onWrite: ((by: Process, payload: Bytes) => 'lose' | undefined) | undefined;
  /** Holds back the answer to a register write; it shows what the register says by then, as the contract allows. */
  beforeAnswer: ((by: Process) => Promise<void> | undefined) | undefined;

  constructor(world: World, names: readonly string[] = ['s1', 's2', 's3']) {
    this.world = world;
    this.storages = names.map((name) => new Storage(world, name));
  }

  get members(): Member[] {
    return this.storages.map((storage) => storage.member);
  }
  storageOf(member: Member): Storage | undefined {
    return this.storages.find((storage) => memberName(storage.member) === memberName(member));
  }
  /** What a process sees. */
  store(process: Process): Store {
    return {
      blocks: new FakeBlocks(this, process),
      sweeps: new FakeSweeps(this, process),
      registers: new FakeRegisters(this, process),
      journals: new FakeJournals(this, process) satisfies Journals,
    };
  }
}

class FakeBlocks implements Blocks {
  private readonly cluster: Cluster;
  private readonly process: Process;

  constructor(cluster: Cluster, process: Process) {
    this.cluster = cluster;
    this.process = process;
  }

  async put(block: Bytes, options: { quorum: number; generation: number }): Promise<Address> {
    const address = blockAddress(block);
    this.cluster.counts.put++;
    const copy = Buffer.from(block);
    let missing = options.quorum;
    await new Promise<void>((resolve, reject) => {
      if (missing > this.cluster.storages.length) reject(new InfinitError('unavailable', 'too few nodes'));
      for (const storage of this.cluster.storages)
        void retried(this.process, storage, () => {
          storage.keep(toHex(address), copy, options.generation);
        }).then(() => {
          if (--missing === 0) resolve();
        });
    });
    return address;
  }

  async get(address: Address): Promise<Buffer> {
    this.cluster.counts.get++;
    for (const storage of this.cluster.storages) {
      const asked = this.process.world.ask(this.process, storage, () => storage.blocks.get(toHex(address)));
      const block = await within(this.process, 200, storage.name, asked).catch(() => undefined);
      if (block !== undefined && equalBytes(blockAddress(block), address)) return block;
    }
    throw new InfinitError('lost', `block ${toHex(address).slice(0, 8)} is nowhere`);
  }

  async getRange(address: Address, offset: number, length: number): Promise<Buffer> {
    return (await this.get(address)).subarray(offset, offset + length);
  }

  async touch(
    addresses: readonly Address[],
    { generation, quorum }: { generation: number; quorum: number },
  ): Promise<boolean[]> {
    const { storages, bugs, world } = this.cluster;
    const touched = (storage: Storage, name: string) =>
      bugs.touchDoesNothing ? storage.blocks.has(name) : storage.touch(name, generation);
    const asked = addresses.map((address) =>
      Promise.all(
        storages.map((storage) => {
          const answer = world.ask(this.process, storage, () => touched(storage, toHex(address)));
          return within(this.process, 500, storage.name, answer).catch(() => false);
        }),
      ),
    );
    return (await Promise.all(asked)).map((held) => held.filter(Boolean).length >= quorum);
  }
}

class FakeSweeps implements Sweeps {
  private readonly cluster: Cluster;
  private readonly process: Process;

  constructor(cluster: Cluster, process: Process) {
    this.cluster = cluster;
    this.process = process;
  }

  async holders(): Promise<NodeId[]> {
    return this.cluster.storages.filter(({ up }) => up).map(({ member }) => member.node);
  }

  async hand(node: NodeId, order: Parameters<Sweeps['hand']>[1]): Promise<void> {
    const { cluster } = this;
    await this.asked(node, (storage) => {
      const root = rootOf(cluster, order.tree);
      if (root.gcGeneration < order.generation) throw new InfinitError('denied', 'no such generation');
      storage.sweep(order, cluster.bugs.sweepIgnoresGeneration === true);
    });
  }

  progress(node: NodeId, { generation, first, last }: SweepQuestion): Promise<SweepProgress> {
    return this.asked(node, ({ swept: { done, blocks, bytes } }) => {
      const mine = [...done].map((name) => name.split('/').map(Number));
      const within = mine.filter(([g, at = 0]) => g === generation && first <= at && at <= last);
      return { waiting: 0, done: within.length, blocks, bytes };
    });
  }

  private asked<T>(node: NodeId, handler: (storage: Storage) => T): Promise<T> {
    const { world, storages } = this.cluster;
    const storage = storages.find(({ member }) => equalBytes(member.node, node));
    if (storage === undefined) throw new InfinitError('unavailable', 'no such node');
    const asked = world.ask(this.process, storage, () => handler(storage));
    return within(this.process, 2000, storage.name, asked);
  }
}

/** Asks until it is answered: every 50 ms again. */
async function retried<T>(process: Process, party: Party, handler: () => T): Promise<T> {
  for (;;) {
    try {
      return await within(process, 50, party.name, process.world.ask(process, party, handler));
    } catch {
      // Lost on the way: once more.
    }
  }
}

class FakeRegisters implements Registers {
  private readonly cluster: Cluster;
  private readonly process: Process;

  constructor(cluster: Cluster, process: Process) {
    this.cluster = cluster;
    this.process = process;
  }

  /** Answers when a majority of the configuration is up and reachable both ways. */
  private async asked<T>(handler: () => T): Promise<T> {
    const { world, storages } = this.cluster;
    const { name } = this.process;
    const reachable = storages.filter((s) => s.up && world.connected(name, s.name) && world.connected(s.name, name));
    const register: Party = { name: '', dispatch: (task) => task() };
    const asked = new Promise<T>((resolve, reject) => {
      if (reachable.length * 2 > storages.length) world.ask(this.process, register, handler).then(resolve, reject);
    });
    return within(this.process, 2000, 'the root register', asked);
  }

  async create(request: Parameters<Registers['create']>[0]): Promise<RegisterSnapshot> {
    const address = registerAddress(request.owner.publicKey, request.salt);
    return this.asked(() => {
      const made = snapshot({
        address,
        recovered: 0,
        generation: 0,
        members: request.members,
        joint: false,
        access: { ...request.access, signature: Buffer.alloc(64) },
        version: 1,
        payload: request.payload,
        author: request.owner.publicKey,
        deleted: false,
      });
      this.cluster.registers.set(toHex(address), { snapshot: made });
      this.cluster.chosen.push(made);
      return made;
    });
  }

  async read(address: Address, options: { signal?: AbortSignal | undefined } = {}): Promise<RegisterSnapshot> {
    checkSignal(options.signal);
    this.cluster.counts.registerRead++;
    return this.asked(() => this.current(address));
  }

  settle(address: Address): Promise<RegisterSnapshot> {
    return this.read(address);
  }

  async lagging() {
    return { behind: [], silent: [] };
  }

  private current(address: Address): RegisterSnapshot {
    const state = this.cluster.registers.get(toHex(address));
    if (state === undefined) throw new InfinitError('unavailable', 'no such register');
    return state.snapshot;
  }

  async write(
    address: Address,
    author: KeyPair,
    change: (current: RegisterSnapshot) => Bytes,
  ): Promise<RegisterSnapshot> {
    return this.change(address, author, (current) => ({ payload: change(current), access: undefined }));
  }

  share(address: Address, owner: KeyPair, change: Parameters<Registers['share']>[2]): Promise<RegisterSnapshot> {
    return this.change(address, owner, change);
  }

  private async change(
    address: Address,
    author: KeyPair,
    change: (current: RegisterSnapshot) => { payload: Bytes; access: NewAccess | undefined },
  ): Promise<RegisterSnapshot> {
    let current = await this.read(address);
    for (;;) {
      const next = change(current);
      const payload = Buffer.from(next.payload);
      const based = current.version;
      this.cluster.counts.registerWrite++;
      const result = await this.asked(() => this.swap(address, author, based, { payload, access: next.access }));
      if (result === 'lost') throw new InfinitError('unavailable', 'outcome unknown');
      if (result.version === based + 1 && equalBytes(result.payload, payload)) {
        await this.cluster.beforeAnswer?.(this.process);
        return this.current(address);
      }
      current = result;
    }
  }

  private swap(
    address: Address,
    author: KeyPair,
    based: number,
    { payload, access }: { payload: Buffer; access: NewAccess | undefined },
  ): RegisterSnapshot | 'lost' {
    const now = this.current(address);
    const { owner, writers, worldWrite } = now.access;
    if (!worldWrite && ![owner, ...writers].some((key) => equalBytes(key, author.publicKey)))
      throw new InfinitError('denied', 'author may not write');
    if (now.version !== based) return now;
    const fate = this.cluster.onWrite?.(this.process, payload);
    const listed = access ? { ...now.access, ...access, version: now.access.version + 1 } : now.access;
    const made = snapshot({ ...now, version: based + 1, access: listed, payload, author: author.publicKey });
    this.cluster.registers.set(toHex(address), { snapshot: made });
    this.cluster.chosen.push(made);
    return fate === 'lose' ? 'lost' : made;
  }

  async reconfigure(address: Address, members: readonly Member[]): Promise<RegisterSnapshot> {
    return this.asked(() => {
      const now = this.current(address);
      const made = snapshot({ ...now, generation: now.generation + 2, members });
      this.cluster.registers.set(toHex(address), { snapshot: made });
      return made;
    });
  }

  async delete(): Promise<void> {
    throw new InfinitError('unsupported', 'not here');
  }
}

function snapshot(fields: Omit<RegisterSnapshot, 'valueHash' | 'proof'>): RegisterSnapshot {
  return { ...fields, valueHash: hash(fields.payload), proof: fields.payload };
}

/** The clear part of the latest root. */
export function rootOf(cluster: Cluster, address: Address) {
  const state = cluster.registers.get(toHex(address));
  if (state === undefined) throw new Error('no root');
  return decode(rootHeader, state.snapshot.payload);
}
