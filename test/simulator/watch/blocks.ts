// Blocks judged from outside: I1 to I3 over what is served, acknowledged and dropped; L6 and E1 by walking the trees that chosen
// roots reach, over the blocks as the silos keep them.

import { type Bytes, equalBytes, toHex } from '../../../src/core/base/bytes.ts';
import { decode } from '../../../src/core/base/codec.ts';
import { isError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { blockAddress } from '../../../src/core/block/address.ts';
import { decodeImmutableHeader, treeTagOf } from '../../../src/core/block/immutable.ts';
import { decompressSync } from '../../../src/core/runtime/system/offload.ts';
import type { PutOptions } from '../../../src/core/store/store.ts';
import { BaseTree } from '../../../src/core/tree/base/base-tree.ts';
import { NodeStore, type NodeStoreOptions } from '../../../src/core/tree/base/node-store.ts';
import type { Root } from '../../../src/core/tree/context.ts';
import { chunkRecord, spaces } from '../../../src/core/tree/keys.ts';
import type { NodeRef } from '../../../src/core/tree/tree.ts';
import type { Host } from '../runtime/host.ts';
import type { Coverage } from './coverage.ts';
import type { Swept } from './probes.ts';
import type { Report } from './rules.ts';
import type { StoreMirror, Stores } from './stores.ts';

interface Acknowledged {
  quorum: number;
  /** The highest garbage generation in which a put or touch of it has resolved. */
  generation: number;
  /** Disks that held it when it was acknowledged, but for those from which a sweep rightly took an older copy. */
  by: Set<StoreMirror>;
}

const chunkSpace = Buffer.from(spaces.chunk)[0];

export interface BlockCheckerOptions {
  stores: Stores;
  report: Report;
  coverage: Coverage;
  replicas: () => number;
  /** Of the chosen root of a tree. */
  generationOf: (tree: string) => number | undefined;
}

export class BlockChecker {
  private readonly options: BlockCheckerOptions;
  private readonly acknowledged = new Map<string, Acknowledged>();
  /** Of which a sweep took a copy: the highest generation of such a sweep. */
  private readonly swept = new Map<string, number>();
  /** Per tree: what the newest root reaches, and of which version it is. */
  private readonly reached = new Map<string, { version: number; blocks: ReadonlySet<string> }>();
  private readonly walked = new Set<string>();

  constructor(options: BlockCheckerOptions) {
    this.options = options;
  }

  get puts(): number {
    return this.acknowledged.size;
  }

  /** I1 at a server. */
  served(host: Host, address: Bytes, block: Bytes): void {
    if (!equalBytes(blockAddress(block), address))
      this.options.report('I1', `${host.name} served bytes that are not block ${toHex(address).slice(0, 12)}`);
  }

  /**
   * I2: a put has resolved at its caller, or a touch has said that enough hold the block. In a generation that is over it may be
   * swept meanwhile: it is touched before it is named.
   */
  confirmed(address: Bytes, { quorum, generation }: PutOptions): void {
    const { stores, report } = this.options;
    const name = toHex(address);
    const holders = stores.holders('block', name);
    const marked = holders.filter((mirror) => stores.isMarked(mirror, name, generation));
    // A node may have lost its disk since it answered.
    const held = marked.length + stores.lostHolders('block', name, limits.callTimeoutMs);
    if (held < quorum && !this.isOver(name, generation))
      report(
        'I2',
        `block ${name.slice(0, 12)} was acknowledged with ${held} of ${quorum} copies of generation ${generation}`,
      );
    const before = this.acknowledged.get(name);
    this.acknowledged.set(name, {
      quorum,
      generation: Math.max(generation, before?.generation ?? 0),
      by: new Set([...(before?.by ?? []), ...holders]),
    });
  }

  /**
   * Whether what was acknowledged of a block may be gone: a sweep took copies, and nobody has put or touched it in that generation
   * or a later one (docs/protocols.md 5, the rule that makes dedup safe). Sweeps take single copies at different times: a touch
   * that finds enough left marks them, so this sweep never takes those. The block is live then, though copies that the touch
   * did not reach were taken before it or are taken after it.
   */
  private isSwept(address: string): boolean {
    const swept = this.swept.get(address);
    return swept !== undefined && swept > (this.acknowledged.get(address)?.generation ?? 0);
  }

  /** Whether a later generation is chosen in the root of the block's tree. */
  private isOver(address: string, generation: number): boolean {
    const block = this.options.stores.content.get(address);
    if (!block) return false;
    const { treeTag } = decodeImmutableHeader(block);
    const tree = [...this.reached.keys()].find((root) => treeTagOf(Buffer.from(root, 'hex')).equals(treeTag));
    return tree !== undefined && (this.options.generationOf(tree) ?? 0) > generation;
  }

  /** A silo has deleted a block, by order of a sweep or for another reason. */
  removed(mirror: StoreMirror, address: string, had: number, order: Swept | undefined): void {
    const { stores, report, coverage, replicas } = this.options;
    coverage.reach(order ? 'store/block swept' : 'store/block dropped');
    if (order) {
      this.sweptBy(mirror, address, had, order);
      return;
    }
    const left = stores.holders('block', address).length;
    // Of garbage others may have swept theirs in this moment.
    if (left < replicas() && !this.isSwept(address))
      report('I3', `${mirror.host.name} dropped block ${address.slice(0, 12)}, of which ${left} copies are left`);
  }

  /** E1 to E3. */
  private sweptBy(mirror: StoreMirror, address: string, had: number, { tree, generation }: Swept): void {
    const { stores, report, generationOf } = this.options;
    const name = `${mirror.host.name} swept block ${address.slice(0, 12)}`;
    this.swept.set(address, Math.max(generation, this.swept.get(address) ?? 0));
    // A copy older than the sweep may go though the block is live, when others were marked since the sweep's generation.
    if (had >= generation && !mirror.rotted)
      report('E1', `${name} of generation ${had} by a sweep of generation ${generation}`);
    else this.acknowledged.get(address)?.by.delete(mirror);
    for (const [other, { blocks }] of this.reached)
      if (blocks.has(address) && (other !== tree || this.isSwept(address)))
        report('E1', `${name}, which the root of ${other.slice(0, 12)} reaches`);
    const block = stores.content.get(address);
    if (block && !decodeImmutableHeader(block).treeTag.equals(treeTagOf(Buffer.from(tree, 'hex'))))
      report('E2', `${name} by an order of ${tree.slice(0, 12)}, which is another tree`);
    const chosen = generationOf(tree);
    if (chosen === undefined || chosen < generation)
      report('E3', `${name} by generation ${generation}, and the root of ${tree.slice(0, 12)} has ${chosen}`);
  }

  /** A root is known to be chosen: everything it reaches was acknowledged before (L6). */
  async rooted(tree: string, { header, body, snapshot }: Root): Promise<void> {
    const known = this.reached.get(tree);
    if (known && known.version >= snapshot.version) return;
    const blocks = new Set<string>();
    this.reached.set(tree, { version: snapshot.version, blocks });
    const name = `${tree.slice(0, 12)}, epoch ${header.epoch}, applied ${header.applied}`;
    try {
      if (body.root) await this.walk(tree, body.root, body.height, blocks, name);
    } catch (error) {
      if (!isError(error)) throw error;
      this.options.report('L6', `the root of ${name} cannot be walked: ${error.message}`);
    }
  }

  private async walk(tree: string, root: NodeRef, height: number, blocks: Set<string>, name: string): Promise<void> {
    const store = this.storeOf(tree);
    const see = (address: Bytes, what: string) => {
      const block = toHex(address);
      blocks.add(block);
      if (this.isSwept(block))
        this.options.report('E1', `${what} ${block.slice(0, 12)} of the root of ${name} was swept`);
      if (this.walked.has(block)) return;
      this.walked.add(block);
      if (!this.acknowledged.has(block))
        this.options.report('L6', `${what} ${block.slice(0, 12)} of the root of ${name} was never acknowledged`);
    };
    const visit = async (ref: NodeRef, level: number): Promise<void> => {
      see(ref.address, 'node');
      const node = await store.load(ref, level);
      for (let i = 0; i < node.count; i++) {
        if (level > 0) await visit(node.refAt(i), level - 1);
        else if (node.keyAt(i)[0] === chunkSpace) see(decode(chunkRecord, node.valueAt(i)).address, 'chunk');
      }
    };
    await visit(root, new BaseTree(store, { root, height }).height - 1);
  }

  /** Reads blocks as they were once stored, wherever. */
  private storeOf(tree: string): NodeStore {
    const { stores } = this.options;
    const get = async (address: Bytes) => {
      const block = stores.content.get(toHex(address));
      if (!block) throw new Error(`block ${toHex(address)} was never stored`);
      return block;
    };
    const none = () => Promise.reject(new Error('nothing is written here'));
    const options = {
      runtime: { offload: { preferredCodec: 'brotli', decompressSync } },
      blocks: { get, put: none, getRange: none, touch: none },
      treeTag: treeTagOf(Buffer.from(tree, 'hex')),
      putOptions: () => ({ generation: 0, quorum: 0 }),
    };
    return new NodeStore(options as unknown as NodeStoreOptions);
  }

  /** E1, I2: whoever acknowledged a block and still has his disk holds it, unless it was swept or enough others have it. */
  check(): void {
    const { stores, report, replicas } = this.options;
    const alive = new Set(stores.all().filter(({ isAway }) => !isAway));
    for (const [address, { by, quorum }] of this.acknowledged) {
      if (this.isSwept(address)) continue;
      const holders = stores.holders('block', address);
      const sound = [...by].filter((mirror) => alive.has(mirror) && !mirror.rotted);
      const lacking = sound.filter((mirror) => !holders.includes(mirror));
      const reached = [...this.reached.values()].some(({ blocks }) => blocks.has(address));
      const rule = reached ? 'E1' : 'I2';
      if (holders.length === 0) report(rule, `block ${address.slice(0, 12)} is nowhere`);
      else if (lacking.length > 0 && holders.length < Math.max(quorum, replicas()))
        report(
          rule,
          `block ${address.slice(0, 12)} is gone from ${lacking.map(({ host }) => host.name).join(' and ')}`,
        );
    }
  }

  /**
   * Acknowledged blocks that fewer than so many disks hold; besides one: of sound ones without it, and not of copies older than
   * what was acknowledged, which a sweep may take.
   */
  thin(copies: number, besides?: Host): string[] {
    const { stores } = this.options;
    return [...this.acknowledged]
      .filter(([address, { generation }]) => {
        if (this.isSwept(address)) return false;
        const holders = stores.holders('block', address);
        const lasting = holders.filter(
          (mirror) => mirror.host !== besides && !mirror.rotted && stores.generationOn(mirror, address) >= generation,
        );
        return (besides ? lasting : holders).length < copies;
      })
      .map(([address]) => address);
  }

  /** Blocks that must last: acknowledged and not swept, or reached by a chosen root, and not of a generation that is over. */
  get lasting(): string[] {
    const reached = [...this.reached.values()];
    return [...this.acknowledged]
      .filter(([address, { generation }]) =>
        this.isSwept(address)
          ? false
          : reached.some(({ blocks }) => blocks.has(address)) || !this.isOver(address, generation),
      )
      .map(([address]) => address);
  }
}
