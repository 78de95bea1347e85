// Everything that watches one simulated world: passes on what the probes tell, collects violations and coverage. One world, one
// watch; nothing it does changes what happens in the nodes, save that it reads silos back after restarts.

import {
  type Bytes,
  concatBytes,
  equalBytes,
  fromBase64,
  toHex,
  u32Bytes,
  u48Bytes,
} from '../../../src/core/base/bytes.ts';
import { decode } from '../../../src/core/base/codec.ts';
import { asError, isError } from '../../../src/core/base/errors.ts';
import { networkIdOf, nodeIdOf } from '../../../src/core/block/address.ts';
import { readImage } from '../../../src/core/block/register-validity.ts';
import { type JournalBatch, type JournalSegment, rootHeader } from '../../../src/core/consensus/consensus.ts';
import type { JournalAnswer } from '../../../src/core/consensus/journal/messages.ts';
import type { RegisterCall, WireReply } from '../../../src/core/consensus/register/messages.ts';
import { labelledHash } from '../../../src/core/crypto/hash.ts';
import type { NetworkDescriptor } from '../../../src/core/descriptor/descriptor.ts';
import { keyFromJson } from '../../../src/core/descriptor/keys.ts';
import { nodeKeyPair } from '../../../src/core/descriptor/node-keys.ts';
import type { LinkedNode } from '../../../src/core/node/link.ts';
import { LogSilo } from '../../../src/core/silo/filesystem/log-silo.ts';
import type { SiloEntry } from '../../../src/core/silo/silo.ts';
import type { PutOptions } from '../../../src/core/store/store.ts';
import type { Root } from '../../../src/core/tree/context.ts';
import { spaces } from '../../../src/core/tree/keys.ts';
import { type LockAnswer, type LockCall, lockSessionRecord } from '../../../src/core/tree/locks/lock-messages.ts';
import type { Outcome, QueryAnswer } from '../../../src/core/tree/messages.ts';
import type { Effect } from '../../../src/core/tree/tree.ts';
import type { Host, Life } from '../runtime/host.ts';
import type { World } from '../runtime/world.ts';
import type { Device } from '../whole.ts';
import { BlockChecker } from './blocks.ts';
import { Coverage, knownAnswers, knownStates } from './coverage.ts';
import { RegisterHistory } from './history.ts';
import { LockChecker } from './locks.ts';
import { type Led, type Observer, observe, type Served, type Swept } from './probes.ts';
import { RegisterChecker } from './registers.ts';
import { RingChecker } from './rings.ts';
import type { Report, Violation } from './rules.ts';
import { Stores } from './stores.ts';
import { TreeChecker } from './trees.ts';

/** What was sent has arrived, or never will. */
const arrivalMs = 3_000;
const lockSpace = Buffer.from(spaces.lock)[0];
/** Enough to know what is wrong. */
const violationsMax = 20;

export interface WatchOptions {
  /** Clocks may be off by more than the protocol allows: what is read locally may be old, and a lock believed in for too long. */
  staleReads?: boolean;
  replicas: () => number;
}

export class Watch implements Observer {
  readonly violations: Violation[] = [];
  readonly coverage = new Coverage();
  readonly stores: Stores;
  readonly registers: RegisterChecker;
  readonly history: RegisterHistory;
  readonly trees: TreeChecker;
  readonly blocks: BlockChecker;
  readonly rings: RingChecker;
  readonly locks: LockChecker;
  readonly report: Report;
  private readonly world: World;
  /** Ids of nodes by host, known once they run. */
  private readonly nodes = new Map<Host, Bytes>();
  private networkId: Bytes | undefined;
  /** Records written before that. */
  private readonly early: (() => void)[] = [];
  private readonly fences = new Map<string, bigint>();
  /** Changes of members under way. */
  private readonly changes = new Set<{ life: Life; deadSinceMs: number | undefined }>();
  private changedAtMs = Number.NEGATIVE_INFINITY;
  /** What sweeps are about to delete. */
  private readonly sweeps = new Map<Host, Map<string, Swept>>();

  constructor(world: World, { staleReads = false, replicas }: WatchOptions) {
    this.world = world;
    this.report = (rule, message) => {
      if (this.violations.length < violationsMax) this.violations.push({ rule, atMs: world.nowMs, message });
      world.log?.({ atMs: world.nowMs, host: '-', level: 'error', component: rule, message, facts: undefined });
    };
    const { report, coverage } = this;
    coverage.expect(...knownAnswers, ...knownStates);
    this.stores = new Stores(report, () => world.nowMs);
    this.history = new RegisterHistory(report);
    this.trees = new TreeChecker({ report, coverage, staleReads });
    const generationOf = (tree: string) => {
      const newest = this.registers.latest(tree);
      return newest && this.trees.headerOf(newest)?.gcGeneration;
    };
    this.blocks = new BlockChecker({ stores: this.stores, report, coverage, replicas, generationOf });
    this.rings = new RingChecker(report, coverage);
    this.locks = new LockChecker({ report, coverage, staleBelief: staleReads });
    this.registers = new RegisterChecker({
      networkId: () => this.networkId,
      report,
      coverage,
      onChosen: (address, entry, before, after) => this.trees.chosen(address, entry, before, after),
    });
    this.stores.onRemoved = ({ host }, space, key, had) => {
      if (space === 'block') this.blocks.removed(this.stores.of(host), key, had, this.sweeps.get(host)?.get(key));
    };
    observe(world, this);
  }

  /** What the network and its nodes are called; before that everything is kept and judged then. */
  async know(network: NetworkDescriptor, devices: readonly Device[]): Promise<void> {
    for (const { context, host } of devices) {
      const link = await context.repository.get('linked-network', `alice/${network.name}`);
      this.nodes.set(host, nodeIdOf((await nodeKeyPair(context, link)).publicKey));
    }
    this.networkId = networkIdOf(keyFromJson(network.owner), network.name);
    for (const written of this.early.splice(0)) written();
  }

  /** A node is made and does not run yet. */
  opened(linked: LinkedNode, { host }: Device): void {
    const { node } = linked;
    const { life } = host;
    this.nodes.set(host, node.peers.self.id);
    const { silo } = node.options;
    if (silo instanceof LogSilo) {
      if (silo.replacedStoreId) this.coverage.reach('store/damaged at opening');
      this.stores
        .opened(life, silo)
        .then(() => this.stores.compareContent(life, silo))
        .catch((error: unknown) => this.report('progress', `comparing a silo: ${asError(error).message}`));
    }
    this.watchRegisters(linked, life);
    this.watchStore(linked, life);
  }

  private watchRegisters({ node }: LinkedNode, life: Life): void {
    const registers = node.registers as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
    for (const name of ['create', 'read', 'write', 'reconfigure'] as const) {
      const real = registers[name]?.bind(node.registers) as (...args: unknown[]) => Promise<unknown>;
      registers[name] = async (...args) => {
        const begin = this.world.timeUs;
        const change = { life, deadSinceMs: undefined };
        if (name === 'reconfigure') this.changes.add(change);
        const snapshot = (await real(...args).finally(() => {
          if (this.changes.delete(change)) this.changedAtMs = this.world.nowMs;
        })) as Snapshot;
        const at = { address: toHex(snapshot.address), by: life.host.name, begin, end: this.world.timeUs };
        const { version, valueHash } = snapshot;
        this.history.ended(at, { version, hash: toHex(valueHash), wrote: name === 'write' });
        this.coverage.reach(`operation/register ${name}`);
        return snapshot;
      };
    }
  }

  /** Whether somebody has proposed members within the time it takes to hear that a node leaves. */
  get changedLately(): boolean {
    return this.changing || this.world.nowMs - this.changedAtMs < arrivalMs;
  }

  /** Whether somebody proposes members now, or died doing so a moment ago: what he sent may not have arrived. */
  get changing(): boolean {
    const now = this.world.nowMs;
    for (const change of this.changes) {
      if (!change.life.alive) change.deadSinceMs ??= now;
      if (change.deadSinceMs !== undefined && now - change.deadSinceMs > arrivalMs) this.changes.delete(change);
    }
    return this.changes.size > 0;
  }

  private watchStore({ node }: LinkedNode, life: Life): void {
    const { blocks, journals } = node.store;
    const put = blocks.put.bind(blocks);
    blocks.put = async (block: Bytes, options: PutOptions) => {
      const address = await put(block, options);
      this.blocks.confirmed(address, options);
      return address;
    };
    const touch = blocks.touch.bind(blocks);
    blocks.touch = async (addresses, options) => {
      const kept = await touch(addresses, options);
      for (const [i, address] of addresses.entries()) if (kept[i]) this.blocks.confirmed(address, options);
      return kept;
    };
    const get = blocks.get.bind(blocks);
    blocks.get = async (address, options) => {
      const block = await get(address, options);
      this.blocks.served(life.host, address, block);
      return block;
    };
    const recover = journals.recover.bind(journals);
    journals.recover = async (root, options) => {
      const batches = await recover(root, options);
      this.trees.recovered(toHex(root.address), decode(rootHeader, root.payload), batches);
      return batches;
    };
  }

  served({ life, method, request, from, response, error }: Served): void {
    const { coverage } = this;
    coverage.reach(`message/${method}`);
    if (error) {
      coverage.reach(`refusal/${method} ${error.kind}`);
      if (error.kind === 'internal') this.report('progress', `${life.host.name}: ${method}: ${error.message}`);
      return;
    }
    if (method === 'reg.batch') this.voted(life, request as { calls: RegisterCall[] }, response as Voted);
    else if (method.startsWith('jnl.')) {
      const { store, answer } = response as { store: Bytes; answer: JournalAnswer };
      coverage.reach(`answer/jnl ${answer.type}`);
      this.named(life, store, method);
      if (method === 'jnl.fence' && answer.type === 'tails') this.fenced(life, store, request as Shown);
    } else if (method === 'block.get' || method === 'block.fetch') {
      const { address } = request as { address: Bytes };
      this.blocks.served(life.host, address, (response as { block: Bytes }).block);
    } else if (method === 'block.sweep') {
      coverage.reach('garbage/sweep ordered');
      this.ordered(request as { tree: Bytes }, from.id);
    } else if (method === 'tree.query') {
      const { leaseMs, outcome } = response as QueryAnswer;
      if (leaseMs > 0) coverage.reach('tree/leased answer');
      this.sent(outcome);
      if (outcome.type === 'moved' && outcome.role === 'recovering') coverage.reach('tree/read during takeover');
    } else if (method === 'tree.do') this.sent(response as Outcome);
  }

  /** What a process that does not lead answers is told by nobody else. */
  private sent(outcome: Outcome): void {
    if (outcome.type === 'moved') this.coverage.reach('answer/tree moved');
  }

  private ordered({ tree }: { tree: Bytes }, by: Bytes): void {
    const host = [...this.nodes].find(([, id]) => equalBytes(id, by))?.[0];
    const epoch = host && this.trees.epochOf(toHex(tree), host.name);
    if (epoch !== undefined && this.trees.isDeposed(toHex(tree), epoch))
      this.coverage.reach('garbage/sweep of a deposed leader');
  }

  private voted(life: Life, { calls }: { calls: RegisterCall[] }, { store, replies }: Voted): void {
    const node = this.nodes.get(life.host);
    if (!node) return;
    if (replies.some(({ type }) => type === 'promise' || type === 'accepted')) this.named(life, store, 'a vote');
    this.registers.replied(life, node, store, calls, replies);
  }

  /** G5. */
  private named(life: Life, store: Bytes, what: string): void {
    const name = toHex(store);
    if (this.stores.dead.has(name))
      this.report('G5', `${life.host.name} answers ${what} in the name of ${name}, whose disk is gone`);
  }

  storing(life: Life, silo: LogSilo, entries: readonly SiloEntry[]): void {
    this.stores.renamed(life, silo);
    this.stores.storing(life, entries);
  }

  notStored(life: Life, _silo: LogSilo, entries: readonly SiloEntry[]): void {
    this.coverage.reach('store/full');
    this.stores.notStored(life, entries);
  }

  stored(life: Life, silo: LogSilo, entries: readonly SiloEntry[]): void {
    this.stores.stored(life, entries);
    for (const { space, key, value } of entries) {
      if (space === 'generation') this.coverage.reach('store/generation raised');
      if (space === 'register' || space === 'journal') this.record(life, silo.storeId, { space, key, value });
    }
  }

  private record({ host }: Life, store: Bytes, { space, key, value }: SiloEntry): void {
    const storeId = Buffer.from(store);
    const copy = value && Buffer.from(value);
    if (space === 'register') {
      const written = () => {
        const node = this.nodes.get(host);
        if (node) this.registers.written(node, storeId, toHex(key), copy);
      };
      if (this.networkId) written();
      else this.early.push(written);
      // Format 1, tree 32, fence 8.
    } else if (copy && toHex(key).slice(32, 40) === 'ffffffff')
      this.fence(
        `${host.name} ${toHex(storeId)} ${copy.subarray(1, 33).toString('hex').slice(0, 12)}`,
        copy.readBigUInt64BE(33),
      );
  }

  /** L7. */
  private fence(at: string, fence: bigint): void {
    const before = this.fences.get(at) ?? 0n;
    if (fence < before) this.report('L7', `the fence at ${at} went from ${before} to ${fence}`);
    this.fences.set(at, fence);
  }

  /** L7: a member that says it obeys a fence has written that down. */
  private fenced({ host }: Life, store: Bytes, { tree, proof }: Shown): void {
    if (!this.networkId) return;
    const { epoch } = decode(rootHeader, readImage(this.networkId, proof).state.value.payload);
    const at = `${host.name} ${toHex(store)} ${toHex(tree).slice(0, 12)}`;
    const durable = this.fences.get(at) ?? 0n;
    if (durable < BigInt(epoch))
      this.report('L7', `${at} answered the fence of epoch ${epoch}, and ${durable} is durable`);
  }

  sweeping({ host }: Life, address: Bytes, order: Swept | undefined): void {
    const sweeps = this.sweeps.get(host) ?? new Map<string, Swept>();
    this.sweeps.set(host, sweeps);
    if (order) sweeps.set(toHex(address), order);
    else sweeps.delete(toHex(address));
  }

  /**
   * L1 begins here: a majority of the segment's members has the batch on its disks, or had it when a disk was lost, or the
   * chosen root contains it.
   */
  appended(led: Led, segment: JournalSegment, batch: JournalBatch): void {
    this.trees.appended(led, batch);
    const newest = this.registers.latest(led.tree);
    if (newest && (this.trees.headerOf(newest)?.applied ?? 0) >= batch.last) return;
    const key = journalKey(led.tree, segment.id, batch);
    const held = segment.members.filter(({ store }) => this.stores.hasHeld(toHex(store), 'journal', key));
    if (held.length * 2 > segment.members.length) return;
    const of = `${held.length} of ${segment.members.length} members`;
    this.report(
      'L1',
      `${led.life.host.name} acknowledged records to ${batch.last} of ${led.tree.slice(0, 12)}, held by ${of}`,
    );
  }

  executed(...told: Parameters<Observer['executed']>): void {
    this.trees.executed(...told);
  }

  /** K4. */
  recorded(effects: readonly Effect[]): void {
    for (const effect of effects)
      if (effect.type === 'put' && effect.key[0] === lockSpace)
        this.locks.isRecorded(toHex(effect.key.subarray(1)), decode(lockSessionRecord, effect.value).session);
  }

  locked({ client, session, request }: LockCall, answer: LockAnswer): void {
    this.coverage.reach(`answer/lock ${answer.type}`);
    if (answer.type === 'begun') {
      this.locks.began(toHex(client), session);
      if (request.type === 'begin' && request.reclaim) this.coverage.reach('lock/taken up by the next leader');
    }
    if (answer.type === 'locked') this.coverage.reach(`lock/${answer.result}`);
    if (answer.type === 'polled' && answer.grants.length > 0) this.coverage.reach('lock/granted after a wait');
  }

  reached(_life: Life, state: string): void {
    this.coverage.reach(state);
  }

  answered(led: Led, kind: 'operation' | 'query', outcome: Outcome): void {
    this.trees.answered(led, kind, outcome);
  }

  rooted(_life: Life, tree: string, root: Root): void {
    this.blocks.rooted(tree, root).catch((error: unknown) => {
      this.report(
        'L6',
        `the root of ${tree.slice(0, 12)} cannot be walked: ${isError(error) ? error.message : String(error)}`,
      );
    });
  }
}

interface Snapshot {
  address: Bytes;
  version: number;
  valueHash: Bytes;
}

/** A request that shows a signed root. */
interface Shown {
  tree: Bytes;
  proof: Bytes;
}

interface Voted {
  store: Bytes;
  replies: WireReply[];
}

/** Where a member keeps a batch (`journal/member-store.ts`). */
function journalKey(tree: string, segment: number, { first, last }: JournalBatch): string {
  const prefix = labelledHash('journal-key', Buffer.from(tree, 'hex')).subarray(0, 16);
  return toHex(concatBytes([prefix, u32Bytes(segment), u48Bytes(first), u48Bytes(last)]));
}

/** The id a tree has in its roots. */
export function treeIdOf(descriptor: { tree_id: string }): string {
  return toHex(fromBase64(descriptor.tree_id));
}
