// The base tree: immutable B+tree nodes under one root, as of the last commit (docs/tree-schema.md 4). Reading needs the
// root's reference alone; `merge` writes changed nodes and gives the next root, sharing all others with this one.

import type { Bytes } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import { type Abortable, checkSignal } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Effect, MapEntry, MapReader, NodeRef } from '../tree.ts';
import { compareKeys } from './key-order.ts';
import { Merge, type MergeOptions, type MergeResult } from './merge.ts';
import { levelMax, type Node } from './node.ts';
import { type NodeStore, nodeName } from './node-store.ts';

/** Where a tree begins. Height 0: empty, 1: the root is a leaf. */
export interface TreeRoot {
  root: NodeRef | undefined;
  height: number;
}

/** The part of a leaf in a scanned range: entries first..end-1, at least one. */
export interface LeafSlice {
  node: Node;
  first: number;
  end: number;
}

export class BaseTree implements MapReader {
  readonly root: NodeRef | undefined;
  readonly height: number;
  readonly store: NodeStore;

  constructor(store: NodeStore, at: TreeRoot = { root: undefined, height: 0 }) {
    if ((at.root === undefined) !== (at.height === 0) || at.height < 0 || at.height > levelMax + 1)
      throw new InfinitError('corrupt', 'tree has an impossible height');
    this.store = store;
    this.root = at.root;
    this.height = at.height;
  }

  async get(key: Bytes, options: Abortable = {}): Promise<Buffer | undefined> {
    if (this.root === undefined) return undefined;
    let level = this.height - 1;
    let node = this.store.cached(nodeName(this.root.address));
    if (node?.level !== level) node = await this.store.load(this.root, level, options);
    while (level-- > 0) {
      const index: number = node.childFor(key);
      const cached = this.store.cached(node.childName(index));
      node = cached?.level === level ? cached : await this.store.load(node.refAt(index), level, options);
    }
    return node.find(key);
  }

  async *scan(from: Bytes, to: Bytes, options: Abortable = {}): AsyncGenerator<MapEntry, void, void> {
    for await (const { node, first, end } of this.leaves(from, to, options))
      for (let i = first; i < end; i++) yield { key: node.keyAt(i), value: node.valueAt(i) };
  }

  /**
   * The leaves with keys in [from, to), in order. The following ones are fetched while the consumer works: none at first,
   * then twice as many each time.
   */
  async *leaves(from: Bytes, to: Bytes, options: Abortable = {}): AsyncGenerator<LeafSlice, void, void> {
    if (this.root === undefined || compareKeys(from, to) >= 0) return;
    const root = await this.store.load(this.root, this.height - 1, options);
    yield* this.leavesUnder(root, from, to, { options, ahead: 0 });
  }

  /**
   * The next tree, wholly stored when it resolves. Changes are ordered by key, ranges before single keys (as a memtable gives
   * them); ranges are disjoint and delete keys of this tree only.
   */
  merge(changes: Iterable<Effect>, options: MergeOptions = {}): Promise<MergeResult> {
    return new Merge(this.store, this, options).run(changes);
  }

  private async *leavesUnder(
    node: Node,
    from: Bytes,
    to: Bytes,
    scan: { options: Abortable; ahead: number },
  ): AsyncGenerator<LeafSlice, void, void> {
    checkSignal(scan.options.signal);
    if (node.level === 0) {
      const first = node.search(from);
      const end = node.search(to);
      if (first < end) yield { node, first, end };
      return;
    }
    const start = node.childFor(from);
    const end = Math.max(node.search(to), start + 1);
    let fetched = start + 1;
    for (let i = start; i < end; i++) {
      if (node.level === 1) {
        for (fetched = Math.max(fetched, i + 1); fetched < Math.min(end, i + 1 + scan.ahead); fetched++)
          this.store.load(node.refAt(fetched), 0).catch(() => {}); // Reported when the scan gets there.
        scan.ahead = Math.min(Math.max(1, scan.ahead * 2), limits.treeLoadsAheadMax);
      }
      const child = await this.store.load(node.refAt(i), node.level - 1, scan.options);
      yield* this.leavesUnder(child, from, to, scan);
    }
  }
}
