// One view over memtables and the base below them: newest layer first, each hiding what lies under it. The base leaves come
// asynchronously; the memtables' part of a scan is what they held when it began.

import type { Bytes } from '../../base/bytes.ts';
import { type Abortable, checkSignal } from '../../base/lifecycle.ts';
import type { Memtable } from '../memtable.ts';
import type { MapEntry, MapReader } from '../tree.ts';
import type { BaseTree } from './base-tree.ts';
import { compareKeys } from './key-order.ts';

type LayerEntry = { key: Bytes; value: Bytes | null };

/** What lies below: records in leaves. */
export interface Leaves {
  get(key: Bytes, options?: Abortable): Promise<Bytes | undefined>;
  /** Runs of records in [from, to), in order; none is empty. */
  leaves(
    from: Bytes,
    to: Bytes,
    options?: Abortable,
  ): AsyncIterable<{
    node: { keyAt(index: number): Bytes; valueAt(index: number): Bytes };
    first: number;
    end: number;
  }>;
}

export class LayeredReader<B extends Leaves = BaseTree> implements MapReader {
  /** Newest first. */
  readonly layers: readonly Memtable[];
  readonly base: B;

  constructor(layers: readonly Memtable[], base: B) {
    this.layers = layers;
    this.base = base;
  }

  async get(key: Bytes, options: Abortable = {}): Promise<Bytes | undefined> {
    checkSignal(options.signal);
    for (const layer of this.layers) {
      const value = layer.get(key);
      if (value !== undefined) return value ?? undefined;
    }
    return this.base.get(key, options);
  }

  /** This view as it is now, whatever is changed afterwards. */
  snapshot(): LayeredReader<B> {
    return new LayeredReader(
      this.layers.map((layer) => layer.snapshot()),
      this.base,
    );
  }

  async *scan(from: Bytes, to: Bytes, options: Abortable = {}): AsyncGenerator<MapEntry, void, void> {
    checkSignal(options.signal);
    const layers = this.layers.filter((layer) => !layer.isEmpty).map((layer) => layer.snapshot());
    const above = mergedEntries(layers, from, to);
    let next = above.next();
    let start: Bytes | undefined = from;
    while (start !== undefined) {
      let resume: Bytes | undefined;
      for await (const { node, first, end } of this.base.leaves(start, to, options)) {
        for (let i = first; i < end; i++) {
          const key = node.keyAt(i);
          for (; !next.done && compareKeys(next.value.key, key) < 0; next = above.next())
            if (next.value.value !== null) yield next.value as MapEntry;
          if (!next.done && compareKeys(next.value.key, key) === 0) continue;
          const hidden = hiddenUntil(layers, key);
          if (hidden === undefined) yield { key, value: node.valueAt(i) };
          else resume = hidden;
        }
        // A range that reaches past this leaf is stepped over, not read.
        if (resume !== undefined && compareKeys(resume, node.keyAt(end - 1)) > 0) break;
        resume = undefined;
      }
      start = resume !== undefined && compareKeys(resume, to) < 0 ? resume : undefined;
    }
    for (; !next.done; next = above.next()) if (next.value.value !== null) yield next.value as MapEntry;
  }
}

function hiddenUntil(layers: readonly Memtable[], key: Bytes): Bytes | undefined {
  let until: Bytes | undefined;
  for (const layer of layers) {
    const end = layer.hiddenUntil(key);
    if (end !== undefined && (until === undefined || compareKeys(end, until) > 0)) until = end;
  }
  return until;
}

/** The newest word of the layers on each key; what a newer layer's range hides counts as deleted. */
function* mergedEntries(layers: readonly Memtable[], from: Bytes, to: Bytes): Generator<LayerEntry, void, void> {
  const sources = layers.map((layer) => layer.entries(from, to));
  const heads = sources.map((source) => source.next());
  for (;;) {
    let newest = -1;
    let least: LayerEntry | undefined;
    for (const [i, head] of heads.entries()) {
      if (head.done || (least !== undefined && compareKeys(head.value.key, least.key) >= 0)) continue;
      least = head.value;
      newest = i;
    }
    if (least === undefined) return;
    for (const [i, source] of sources.entries()) {
      const head = heads[i];
      if (head && !head.done && compareKeys(head.value.key, least.key) === 0) heads[i] = source.next();
    }
    const hidden = newest > 0 && hiddenUntil(layers.slice(0, newest), least.key) !== undefined;
    yield hidden ? { key: least.key, value: null } : least;
  }
}
