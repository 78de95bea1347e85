// A commit's merge: one pass in key order over the changes and the old tree, writing new nodes bottom-up. Subtrees without a
// change are shared, those wholly under a deleted range are dropped unread. Nodes are put while the pass goes on, a bounded
// number at once; the pass yields to the event loop after every few hundred entries.

import { type Bytes, equalBytes } from '../../base/bytes.ts';
import { assert } from '../../base/errors.ts';
import { type Abortable, checkSignal } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Effect, NodeRef } from '../tree.ts';
import type { TreeRoot } from './base-tree.ts';
import { compareKeys, lowerBound } from './key-order.ts';
import { LevelBuilder, type NodePart } from './level-builder.ts';
import { encodeNode, encodeNodeRef, type Node, nodeRefBytes } from './node.ts';
import type { NodeStore } from './node-store.ts';

/** Entries between two yields: about 2 ms. */
const stepEntries = 600;
/** What writing a node costs in entries. */
const emitWork = 100;

export interface MergeOptions extends Abortable {
  /** Every node is written anew, under a key of its own. */
  fresh?: boolean;
}

export interface MergeResult extends TreeRoot {
  written: { nodes: number; bytes: number };
}

type Pending = NodeRef | Promise<NodeRef>;

const noKey = Buffer.alloc(0);

export class Merge {
  private readonly store: NodeStore;
  private readonly old: TreeRoot;
  private readonly signal: AbortSignal | undefined;
  private readonly fresh: boolean;
  private effects: Effect[] = [];
  private starts: Bytes[] = [];
  /** The next effect. */
  private at = 0;
  /** End of the deleted range last entered: old keys below it are gone. */
  private hiddenTo: Bytes = noKey;
  private readonly leaves = new LevelBuilder<Bytes>(
    0,
    (value) => value.length,
    (part) => this.emit(0, this.store.put(encodeNode(0, part.keys, part.values)), part),
  );
  /** Of level i + 1. */
  private readonly inner: LevelBuilder<Pending>[] = [];
  /** Up to this level nodes have something to their left. */
  private started = 0;
  private readonly puts: Promise<NodeRef>[] = [];
  private readonly written = { nodes: 0, bytes: 0 };
  private work = 0;

  constructor(store: NodeStore, old: TreeRoot, { signal, fresh = false }: MergeOptions) {
    this.store = store;
    this.old = old;
    this.signal = signal;
    this.fresh = fresh;
  }

  async run(changes: Iterable<Effect>): Promise<MergeResult> {
    await this.collect(changes);
    try {
      const { root, height } = this.old;
      const changed =
        root === undefined ? await this.addPuts(noKey, undefined) : await this.visitRoot(root, height - 1);
      if (!changed) return { root, height, written: this.written };
      const next = await this.finish();
      return { ...next, written: this.written };
    } finally {
      await Promise.allSettled(this.puts);
    }
  }

  private async collect(changes: Iterable<Effect>): Promise<void> {
    let last: Bytes = noKey;
    for (const effect of changes) {
      const start = effect.type === 'deleteRange' ? effect.from : effect.key;
      assert(compareKeys(last, start) <= 0, 'changes of a merge are ordered');
      this.effects.push(effect);
      this.starts.push(start);
      last = start;
      if (this.effects.length % stepEntries === 0) await this.store.runtime.clock.sleep(0);
    }
  }

  private async visitRoot(ref: NodeRef, level: number): Promise<boolean> {
    if (this.starts.length === 0 && !this.fresh) return false;
    const root = await this.store.load(ref, level);
    return this.visit(root, noKey, undefined);
  }

  /** Old keys from `low` to `high` (the end without) with the changes among them. Returns false when nothing changed. */
  private visit(node: Node, low: Bytes, high: Bytes | undefined): Promise<boolean> {
    return node.level === 0 ? this.visitLeaf(node, low, high) : this.visitInner(node, low, high);
  }

  private async visitInner(node: Node, low: Bytes, high: Bytes | undefined): Promise<boolean> {
    const builder = this.builder(node.level);
    const aligned = this.emptyUpTo(node.level);
    const { emitted } = builder;
    const bounds: (Bytes | undefined)[] = [low];
    for (let i = 1; i < node.count; i++) bounds.push(node.keyAt(i));
    bounds.push(high);
    let changed = false;
    let ahead = 0;
    for (let i = 0; i < node.count; i++) {
      for (; ahead < Math.min(i + limits.treeLoadsAheadMax, node.count); ahead++)
        if (this.hasChange(bounds[ahead] as Bytes, bounds[ahead + 1]))
          this.store.load(node.refAt(ahead), node.level - 1).catch(() => {}); // Reported when the pass gets there.
      const lower = bounds[i] as Bytes;
      if (await this.visitChild(node, i, lower, bounds[i + 1])) changed = true;
      else this.addRef(node.level, lower, node.refAt(i));
    }
    if (!changed && aligned && builder.emitted === emitted) {
      builder.clear();
      return false;
    }
    builder.boundary();
    return true;
  }

  /** False when the child is to be shared as it is. */
  private async visitChild(parent: Node, index: number, low: Bytes, high: Bytes | undefined): Promise<boolean> {
    const level = parent.level - 1;
    this.enter(low);
    if (high !== undefined && compareKeys(this.hiddenTo, high) >= 0) {
      await this.addPuts(low, high);
      return true;
    }
    if (!this.fresh && this.isUntouched(low, high) && this.emptyUpTo(level)) {
      if (++this.work >= stepEntries) await this.pause();
      return false;
    }
    return this.visit(await this.store.load(parent.refAt(index), level), low, high);
  }

  private async visitLeaf(node: Node, low: Bytes, high: Bytes | undefined): Promise<boolean> {
    const aligned = this.leaves.length === 0;
    this.leaves.begin(low);
    // Entries go to the builder only from the first change on: an unchanged leaf is shared.
    let changed = !aligned || this.fresh;
    let copied = 0;
    const change = (): void => {
      if (changed) return;
      changed = true;
      for (let i = 0; i < copied; i++) this.leaves.add(node.keyAt(i), node.valueAt(i));
    };
    const keepBelow = (end: Bytes | undefined): void => {
      for (; copied < node.count; copied++) {
        const key = node.keyAt(copied);
        if (end !== undefined && compareKeys(key, end) >= 0) return;
        if (compareKeys(key, this.hiddenTo) < 0) change();
        else if (changed) this.leaves.add(key, node.valueAt(copied));
      }
    };
    for (let effect = this.next(high); effect !== undefined; effect = this.next(high)) {
      const start = this.starts[this.at++] as Bytes;
      keepBelow(start);
      if (effect.type === 'deleteRange') this.hiddenTo = effect.to;
      else {
        const exists = copied < node.count && compareKeys(node.keyAt(copied), start) === 0;
        const same = effect.type === 'put' ? exists && equalBytes(node.valueAt(copied), effect.value) : !exists;
        if (!same) change();
        if (exists) copied++;
        if (changed && effect.type === 'put') this.leaves.add(start, effect.value);
      }
      if (++this.work >= stepEntries) await this.pause();
    }
    keepBelow(undefined);
    if (!changed) return false;
    this.leaves.boundary();
    this.work += node.count;
    if (this.work >= stepEntries) await this.pause();
    return true;
  }

  /** The changes up to `high` where the old tree has nothing (left). */
  private async addPuts(low: Bytes, high: Bytes | undefined): Promise<boolean> {
    this.leaves.begin(low);
    for (let effect = this.next(high); effect !== undefined; effect = this.next(high)) {
      this.at++;
      if (effect.type === 'put') this.leaves.add(effect.key, effect.value);
      else if (effect.type === 'deleteRange') this.hiddenTo = effect.to;
      if (++this.work >= stepEntries) await this.pause();
    }
    this.leaves.boundary();
    return true;
  }

  /** Closes all levels; the lowest that holds a single node is the root. */
  private async finish(): Promise<TreeRoot> {
    this.leaves.flush();
    for (let i = 0; i < this.inner.length; i++) {
      const builder = this.builder(i + 1);
      const { only } = builder;
      if (only !== undefined && this.inner.slice(i + 1).every((above) => above.length === 0)) {
        await Promise.all(this.puts);
        return { root: await only, height: i + 1 };
      }
      builder.flush();
    }
    return { root: undefined, height: 0 };
  }

  /** The next effect when it starts below `high`. */
  private next(high: Bytes | undefined): Effect | undefined {
    const start = this.starts[this.at];
    if (start === undefined || (high !== undefined && compareKeys(start, high) >= 0)) return undefined;
    return this.effects[this.at];
  }

  /** Takes in the deleted ranges that start at or below the key. */
  private enter(low: Bytes): void {
    for (let effect = this.effects[this.at]; effect?.type === 'deleteRange'; effect = this.effects[++this.at]) {
      if (compareKeys(effect.from, low) > 0) return;
      this.hiddenTo = effect.to;
    }
  }

  private isUntouched(low: Bytes, high: Bytes | undefined): boolean {
    return compareKeys(this.hiddenTo, low) <= 0 && this.next(high) === undefined;
  }

  /** A guess for loading ahead: whether a change starts between the keys. */
  private hasChange(low: Bytes, high: Bytes | undefined): boolean {
    const start = this.starts[lowerBound(this.starts, low)];
    return start !== undefined && (high === undefined || compareKeys(start, high) < 0);
  }

  private emptyUpTo(level: number): boolean {
    if (this.leaves.length > 0) return false;
    for (let i = 0; i < level; i++) if ((this.inner[i]?.length ?? 0) > 0) return false;
    return true;
  }

  private builder(level: number): LevelBuilder<Pending> {
    for (let i = this.inner.length; i < level; i++)
      this.inner.push(
        new LevelBuilder<Pending>(
          i + 1,
          () => nodeRefBytes,
          (part) => this.emit(i + 1, this.putInner(i + 1, part), part),
        ),
      );
    return this.inner[level - 1] as LevelBuilder<Pending>;
  }

  /** The first child of a level has no lower bound. */
  private addRef(level: number, lower: Bytes, ref: Pending): void {
    const builder = this.builder(level);
    builder.add(this.started >= level ? lower : noKey, ref);
    this.started = Math.max(this.started, level);
  }

  private emit(level: number, put: Promise<NodeRef>, part: NodePart<unknown>): void {
    put.then(
      (ref) => {
        this.written.nodes++;
        this.written.bytes += ref.stored;
      },
      () => {}, // The pass sees it when it waits.
    );
    this.puts.push(put);
    this.work += part.keys.length + emitWork;
    this.addRef(level + 1, part.lower, put);
  }

  private async putInner(level: number, part: NodePart<Pending>): Promise<NodeRef> {
    const refs = await Promise.all(part.values);
    return this.store.put(encodeNode(level, part.keys, refs.map(encodeNodeRef)));
  }

  /** Lets others run, and waits while too many puts are under way. */
  private async pause(): Promise<void> {
    this.work = 0;
    checkSignal(this.signal);
    while (this.puts.length > limits.treePutsInFlightMax) await this.puts.shift();
    await this.store.runtime.clock.sleep(0);
  }
}
