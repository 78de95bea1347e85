// A node's side of sweeps (docs/protocols.md 5, E2, E3): takes filters from writers of a tree once it has seen the generation in
// the chosen root, and deletes what they do not have; of trees that were destroyed it deletes all. One pass over the blocks serves
// everything that waits when it begins. Filters that wait are forgotten at a restart: the leader hands them again, or the next
// cycle does.

import { asBuffer, type Bytes, concatBytes, equalBytes, fromHex, toHex, utf8 } from '../base/bytes.ts';
import { decode } from '../base/codec.ts';
import { InfinitError, isError } from '../base/errors.ts';
import { checkSignal } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import { type Address, addressBytes } from '../block/address.ts';
import { treeTagBytes, treeTagOf } from '../block/immutable.ts';
import type { AccessList } from '../block/register.ts';
import { listedWriter } from '../block/register-validity.ts';
import { type Registers, rootHeader } from '../consensus/consensus.ts';
import { hash } from '../crypto/hash.ts';
import type { Peers } from '../peer/peer.ts';
import type { Clock } from '../runtime/runtime.ts';
import type { Silo, SiloStart } from '../silo/silo.ts';
import { FuseFilter } from './fuse-filter.ts';
import { generationBytes, type HeldBlocks } from './held-blocks.ts';
import {
  blockSweep,
  blockSwept,
  destroyedGeneration,
  type SweepOrder,
  type SweepProgress,
  type SweepQuestion,
  verifySweep,
} from './sweep-messages.ts';
import type { Work } from './worker.ts';

/** Blocks looked at in one step. */
const stepBlocks = 256;
/** In front of the tag stand the generation, format and cipher. */
const tagAt = generationBytes + 2;
const startBytes = tagAt + treeTagBytes;
/** For so long a root once read counts: each arc of a cycle asks about the same. */
const certifiedMs = 60_000;
/** Holders sweep at different times: one that has not yet must not bring back what others swept. */
const rememberedMs = 2 * 60 * 60_000;
const rootFormat = 1;
const wholeRing = { first: 0, last: 2 ** 32 - 1 };
/** Where a store keeps which destroyed trees it is rid of: their roots. */
const ridKey = hash(utf8('destroyed trees'));

export interface SweeperOptions {
  clock: Pick<Clock, 'monotonic'>;
  networkId: Bytes;
  held: HeldBlocks;
  silo: Silo;
  registers: Pick<Registers, 'read'>;
}

interface Sweep {
  tree: string;
  tag: string;
  generation: number;
  first: number;
  last: number;
  /** Undefined: nothing is kept, of no generation. */
  filter: FuseFilter | undefined;
  bytes: number;
  user: string;
}

/** What was done for the newest generation of a tree. */
interface Told {
  generation: number;
  done: Map<string, { first: number; last: number }>;
  blocks: number;
  bytes: number;
}

interface Pass {
  sweeps: readonly Sweep[];
  byTag: ReadonlyMap<string, readonly Sweep[]>;
  blocks: AsyncIterator<SiloStart>;
  /** First word of the last address that matters. */
  last: number;
  /** What went, by sweep. */
  freed: Map<Sweep, { blocks: number; bytes: number }>;
}

interface Certified {
  generation: number;
  access: AccessList;
  atMs: number;
}

export class Sweeper implements Work {
  readonly name = 'sweep';
  readonly counters = { taken: 0, passes: 0, looked: 0, blocks: 0, bytes: 0 };
  private readonly options: SweeperOptions;
  private readonly waiting = new Map<string, Sweep>();
  private readonly told = new Map<string, Told>();
  private readonly certified = new Map<string, Certified>();
  /** Passes that ended a while ago, for who brings back what they took. */
  private readonly recent = new Map<string, Sweep & { endedMs: number }>();
  private recentBytes = 0;
  /** Destroyed trees, by tag: whether this store is rid of them. The newest are last. */
  private readonly ended = new Map<string, { tree: string; isRid: boolean }>();
  private recalled: Promise<void> | undefined;
  private pass: Pass | undefined;
  private onWork = () => {};

  constructor(options: SweeperOptions) {
    this.options = options;
  }

  /** `wake`: called when there is something to do. */
  serve(peers: Pick<Peers, 'serve'>, wake: () => void): void {
    this.onWork = wake;
    peers.serve(blockSweep, async (order, { from }) => {
      await this.take(order, from.userKey);
      return {};
    });
    peers.serve(blockSwept, (question) => this.progress(question));
  }

  backlog(): number {
    return this.waiting.size;
  }

  /** Trees whose owners have destroyed them, as verified: all their blocks go, and none is taken any more. */
  async destroyed(trees: readonly Address[]): Promise<void> {
    await this.recall();
    for (const root of trees) {
      const [tree, tag] = [toHex(root), toHex(treeTagOf(root))];
      if (this.ended.has(tag)) continue;
      this.ended.set(tag, { tree, isRid: false });
      dropOldest(this.ended, limits.destroyedTreesKnownMax);
      this.forgetOlder(tree, destroyedGeneration);
      const all = { ...wholeRing, filter: undefined, bytes: 0, user: '' };
      this.waiting.set(`${tree}/all`, { tree, tag, generation: destroyedGeneration, ...all });
      this.onWork();
    }
  }

  /** Whether the block belongs to a tree that was destroyed. */
  isDestroyed(block: Bytes): boolean {
    return this.ended.has(tagOf(block));
  }

  async step(signal: AbortSignal): Promise<boolean> {
    await this.recall();
    const pass = (this.pass ??= this.begin());
    if (pass === undefined) return false;
    try {
      checkSignal(signal);
      if (await this.advance(pass)) return true;
    } catch (error) {
      this.pass = undefined;
      throw error;
    }
    this.pass = undefined;
    await this.finish(pass);
    return this.waiting.size > 0;
  }

  /** Whether a sweep that waits or ended lately does not want the block: it was garbage when its root was chosen, for ever. */
  isGarbage(address: Address, block: Bytes, generation: number): boolean {
    const tag = tagOf(block);
    if (this.ended.has(tag)) return true;
    const word = asBuffer(address).readUInt32BE(0);
    for (const sweeps of [this.waiting, this.recent])
      for (const { tag: of, generation: below, first, last, filter } of sweeps.values())
        if (of === tag && generation < below && first <= word && word <= last && !filter?.has(address)) return true;
    return false;
  }

  /** Keeps what is not too old and not too much. */
  private remember(name: string, sweep: Sweep): void {
    const now = this.options.clock.monotonic();
    this.forget(name);
    this.recent.set(name, { ...sweep, endedMs: now });
    this.recentBytes += sweep.bytes;
    for (const [oldest, { endedMs }] of this.recent) {
      const isMuch =
        this.recent.size > limits.sweepsRememberedMax || this.recentBytes > limits.sweepsRememberedBytesMax;
      if (!isMuch && now - endedMs <= rememberedMs) break;
      this.forget(oldest);
    }
  }

  private forget(name: string): void {
    this.recentBytes -= this.recent.get(name)?.bytes ?? 0;
    this.recent.delete(name);
  }

  private async take(order: SweepOrder, user: Bytes): Promise<void> {
    const { tree, generation, first, last, author } = order;
    if (!equalBytes(author, user)) throw new InfinitError('denied', 'another user signed this sweep');
    if (first > last) throw new InfinitError('corrupt', 'a sweep ends before it begins');
    if (!verifySweep(this.options.networkId, order)) throw new InfinitError('denied', 'a sweep is not signed');
    const filter = new FuseFilter(order.filter);
    await this.certify(tree, generation, author);
    const name = toHex(tree);
    this.forgetOlder(name, generation);
    const sweep = {
      tree: name,
      tag: toHex(treeTagOf(tree)),
      ...{ generation, first, last, filter },
      bytes: order.filter.length,
      user: toHex(user),
    };
    this.checkRoom(sweep);
    this.waiting.set(`${name}/${first}/${last}`, sweep);
    this.counters.taken++;
    this.onWork();
  }

  /** E3: the generation stands in a chosen root, and the author may write by the access list there. */
  private async certify(tree: Address, generation: number, author: Bytes): Promise<void> {
    const name = toHex(tree);
    const now = this.options.clock.monotonic();
    let known = this.certified.get(name);
    if (known === undefined || known.generation < generation || now - known.atMs > certifiedMs) {
      const { payload, access, deleted } = await this.options.registers.read(tree);
      if (deleted || payload[0] !== rootFormat) throw new InfinitError('denied', 'the tree of a sweep has no root');
      known = { generation: decode(rootHeader, payload).gcGeneration, access, atMs: now };
      this.certified.delete(name);
      this.certified.set(name, known);
      dropOldest(this.certified, limits.sweepsToldMax);
    }
    if (known.generation < generation)
      throw new InfinitError('denied', `generation ${generation} is not in the root, which has ${known.generation}`);
    if (!listedWriter(known.access, author))
      throw new InfinitError('denied', 'the author of a sweep may not write the tree');
  }

  /** A later cycle marks everything anew. */
  private forgetOlder(tree: string, generation: number): void {
    for (const [name, sweep] of this.waiting)
      if (sweep.tree === tree && sweep.generation < generation) this.waiting.delete(name);
  }

  private checkRoom({ user, bytes, tree, first, last }: Sweep): void {
    let [all, own] = [bytes, bytes];
    for (const [name, sweep] of this.waiting) {
      if (name === `${tree}/${first}/${last}`) continue;
      all += sweep.bytes;
      if (sweep.user === user) own += sweep.bytes;
    }
    const tooMany = this.waiting.size >= limits.sweepsWaitingMax;
    if (tooMany || all > limits.sweepsWaitingBytesMax || own > limits.sweepsPerUserBytesMax)
      throw new InfinitError('full', 'too many sweeps wait at this node');
  }

  private begin(): Pass | undefined {
    const sweeps = [...this.waiting.values()];
    if (sweeps.length === 0) return undefined;
    const byTag = new Map<string, Sweep[]>();
    for (const sweep of sweeps) byTag.set(sweep.tag, [...(byTag.get(sweep.tag) ?? []), sweep]);
    const first = sweeps.reduce((least, sweep) => Math.min(least, sweep.first), 2 ** 32);
    const last = sweeps.reduce((most, sweep) => Math.max(most, sweep.last), 0);
    const blocks = this.options.silo.scan('block', startBytes, keyBefore(first))[Symbol.asyncIterator]();
    this.counters.passes++;
    return { sweeps, byTag, blocks, last, freed: new Map() };
  }

  /** Looks at the next blocks; false behind the last. */
  private async advance(pass: Pass): Promise<boolean> {
    const drops: Promise<void>[] = [];
    let more = true;
    for (let looked = 0; looked < stepBlocks && more; looked++) {
      const next = await pass.blocks.next();
      more = !next.done && asBuffer(next.value.key).readUInt32BE(0) <= pass.last;
      if (next.done || !more) break;
      this.counters.looked++;
      const sweep = unwantedBy(pass, next.value);
      if (sweep !== undefined) drops.push(this.drop(pass, sweep, next.value.key));
    }
    if (!more) await pass.blocks.return?.();
    const ended = await Promise.allSettled(drops);
    for (const drop of ended) if (drop.status === 'rejected') throw drop.reason;
    return more;
  }

  /** What is touched meanwhile stays: generations are compared under the block's lock. */
  private async drop(pass: Pass, sweep: Sweep, address: Address): Promise<void> {
    const { held, silo } = this.options;
    const bytes = (await silo.size('block', address)) ?? 0;
    const gone = await (sweep.filter === undefined
      ? held.discard(address)
      : held.drop(address, (generation) => generation < sweep.generation));
    if (!gone) return;
    const freed = pass.freed.get(sweep) ?? { blocks: 0, bytes: 0 };
    pass.freed.set(sweep, { blocks: freed.blocks + 1, bytes: freed.bytes + bytes });
    this.counters.blocks++;
    this.counters.bytes += bytes;
  }

  private async finish(pass: Pass): Promise<void> {
    await this.noteRid(pass.sweeps);
    for (const sweep of pass.sweeps) {
      const name = nameOf(sweep);
      if (this.waiting.get(name) === sweep) this.waiting.delete(name);
      if (sweep.filter !== undefined) this.remember(name, sweep);
      const before = this.told.get(sweep.tree);
      if (before !== undefined && before.generation > sweep.generation) continue;
      const { generation } = sweep;
      const told = before?.generation === generation ? before : { generation, done: new Map(), blocks: 0, bytes: 0 };
      const { blocks, bytes } = pass.freed.get(sweep) ?? { blocks: 0, bytes: 0 };
      told.done.set(name, sweep);
      told.blocks += blocks;
      told.bytes += bytes;
      dropOldest(told.done, limits.sweepsWaitingMax);
      this.told.delete(sweep.tree);
      this.told.set(sweep.tree, told);
      dropOldest(this.told, limits.sweepsToldMax);
    }
  }

  /** What a store is rid of it need not look for again after a restart. */
  private async noteRid(sweeps: readonly Sweep[]): Promise<void> {
    const whole = sweeps.filter(({ filter }) => filter === undefined);
    if (whole.length === 0) return;
    for (const { tag, tree } of whole) this.ended.set(tag, { tree, isRid: true });
    const rid = [...this.ended.values()].filter(({ isRid }) => isRid).map(({ tree }) => fromHex(tree));
    await this.options.silo.put('meta', ridKey, concatBytes(rid));
  }

  /** How far this store is with a tree that was destroyed. */
  private riddance(root: Address): SweepProgress {
    const ended = this.ended.get(toHex(treeTagOf(root)));
    const { blocks, bytes } = this.told.get(toHex(root)) ?? { blocks: 0, bytes: 0 };
    if (ended === undefined) return { waiting: 0, done: 0, blocks: 0, bytes: 0 };
    return { waiting: ended.isRid ? 0 : 1, done: ended.isRid ? 1 : 0, blocks, bytes };
  }

  /** Once; again when it could not be read. */
  private recall(): Promise<void> {
    this.recalled ??= this.readRid().catch((error: unknown) => {
      this.recalled = undefined;
      throw error;
    });
    return this.recalled;
  }

  private async readRid(): Promise<void> {
    try {
      const rid = await this.options.silo.get('meta', ridKey);
      for (let at = 0; at + addressBytes <= rid.length; at += addressBytes) {
        const root = rid.subarray(at, at + addressBytes);
        this.ended.set(toHex(treeTagOf(root)), { tree: toHex(root), isRid: true });
      }
    } catch (error) {
      if (!isError(error, 'not-found', 'corrupt')) throw error; // then it looks once more
    }
  }

  private progress({ tree, generation, first, last }: SweepQuestion): SweepProgress {
    const name = toHex(tree);
    const within = (arc: { first: number; last: number }) => first <= arc.first && arc.last <= last;
    if (generation === destroyedGeneration) return this.riddance(tree);
    let waiting = 0;
    for (const sweep of this.waiting.values())
      if (sweep.tree === name && sweep.generation === generation && within(sweep)) waiting++;
    const told = this.told.get(name);
    if (told?.generation !== generation) return { waiting, done: 0, blocks: 0, bytes: 0 };
    const done = [...told.done.values()].filter(within).length;
    return { waiting, done, blocks: told.blocks, bytes: told.bytes };
  }
}

/** Of a tag in front of a block. */
function tagOf(block: Bytes): string {
  return toHex(block.subarray(tagAt - generationBytes, startBytes - generationBytes));
}

function nameOf({ tree, first, last, filter }: Pick<Sweep, 'tree' | 'first' | 'last' | 'filter'>): string {
  return filter === undefined ? `${tree}/all` : `${tree}/${first}/${last}`;
}

/** The sweep that does not want the block, as far as can be told without its lock. */
function unwantedBy({ byTag }: Pass, { key, start }: SiloStart): Sweep | undefined {
  if (start.length < startBytes) return undefined;
  const sweeps = byTag.get(start.toString('hex', tagAt, startBytes));
  if (sweeps === undefined) return undefined;
  const [word, generation] = [asBuffer(key).readUInt32BE(0), start.readUInt32BE(0)];
  return sweeps.find(
    ({ filter, first, last, generation: below }) =>
      filter === undefined || (first <= word && word <= last && generation < below && !filter.has(key)),
  );
}

/** The last possible key in front of an arc. */
function keyBefore(first: number): Buffer | undefined {
  if (first === 0) return undefined;
  const key = Buffer.alloc(addressBytes, 0xff);
  key.writeUInt32BE(first - 1, 0);
  return key;
}

function dropOldest<V>(map: Map<string, V>, most: number): void {
  const [oldest] = map.keys();
  if (map.size > most && oldest !== undefined) map.delete(oldest);
}
