// What a capture reaches, as the filters nodes sweep by (docs/protocols.md 5): every node of the trees captured, every chunk of
// their chunk tables. Memory is bounded: when there is more in a window of addresses than fits, the window becomes smaller, and
// the rest is marked in another walk.

import { asBuffer, type Bytes, u32Bytes } from '../../base/bytes.ts';
import { decode } from '../../base/codec.ts';
import { InfinitError } from '../../base/errors.ts';
import { type Abortable, checkSignal } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import { hash } from '../../crypto/hash.ts';
import { buildFilter, type FilterBits, filterWords } from '../../store/fuse-filter.ts';
import type { Arc } from '../../store/sweep-messages.ts';
import { BaseTree } from '../base/base-tree.ts';
import type { NodeStore } from '../base/node-store.ts';
import type { Capture } from '../collected.ts';
import { chunkCodings, chunkKey, chunkNumber, chunkRecord, type Space, spaceRange } from '../keys.ts';
import type { MapReader, NodeRef } from '../tree.ts';

/** About so many addresses are in one filter: it is built in some milliseconds. */
const filterAddresses = 24 * 1024;
const wordsMax = 2 ** 32;
/** Few marks cost little with wide fingerprints, and then no garbage is missed. */
const wideMarksMax = 128 * 1024;
const middleMarksMax = 1024 * 1024;
/** Chunks looked at between two turns. */
const stepChunks = 2000;

/** The marked addresses of a window of the ring. */
export class Marks {
  /** First words of addresses, both included. */
  readonly first: number;
  last = wordsMax - 1;
  count = 0;
  private readonly most: number;
  private words = new Uint32Array(1024);
  private high = new Uint32Array(1024);
  private low = new Uint32Array(1024);

  /** From that first word on, as far as there is room. */
  constructor(first: number, most: number = limits.garbageMarksMax) {
    this.first = first;
    this.most = most;
  }

  /** The window ends at the end of the ring. */
  get isLast(): boolean {
    return this.last === wordsMax - 1;
  }

  add(address: Bytes): void {
    const word = asBuffer(address).readUInt32BE(0);
    if (word < this.first || word > this.last) return;
    if (this.count === this.words.length) this.makeRoom();
    if (word > this.last) return;
    const [high, low] = filterWords(address);
    this.words[this.count] = word;
    this.high[this.count] = high;
    this.low[this.count++] = low;
  }

  /** Arcs of about equal size with their filters; a turn each. `salt`: the mistakes of two filters differ with it. */
  *arcs(salt: Bytes): Generator<Arc, void, void> {
    const parts = 2 ** Math.max(0, Math.ceil(Math.log2(this.count / filterAddresses)));
    const step = Math.max(1, Math.ceil((this.last - this.first + 1) / parts));
    const order = this.byWord(step);
    let at = 0;
    for (let first = this.first; first <= this.last; first += step) {
      const last = Math.min(first + step - 1, this.last);
      const begin = at;
      while (at < order.length && (this.words[order[at] as number] as number) <= last) at++;
      const chosen = order.subarray(begin, at);
      const high = Uint32Array.from(chosen, (i) => this.high[i] as number);
      const low = Uint32Array.from(chosen, (i) => this.low[i] as number);
      const filter = buildFilter({ high, low }, this.bits, hash(salt, u32Bytes(first)));
      yield { first, last, filter };
    }
  }

  private get bits(): FilterBits {
    if (!this.isLast || this.first > 0 || this.count > middleMarksMax) return 8;
    return this.count > wideMarksMax ? 16 : 32;
  }

  /** Places of the marks, those of one step of words together, steps in order. */
  private byWord(step: number): Uint32Array {
    const bucket = (i: number) => Math.floor(((this.words[i] as number) - this.first) / step);
    const starts = new Uint32Array(Math.floor((this.last - this.first) / step) + 2);
    for (let i = 0; i < this.count; i++) {
      const at = bucket(i) + 1;
      starts[at] = (starts[at] as number) + 1;
    }
    for (let i = 1; i < starts.length; i++) starts[i] = (starts[i] as number) + (starts[i - 1] as number);
    const order = new Uint32Array(this.count);
    for (let i = 0; i < this.count; i++) {
      const at = bucket(i);
      order[starts[at] as number] = i;
      starts[at] = (starts[at] as number) + 1;
    }
    return order;
  }

  /** More memory, or a smaller window. */
  private makeRoom(): void {
    while (this.count === this.most && this.last > this.first) {
      this.last = this.first + Math.floor((this.last - this.first) / 2);
      let kept = 0;
      for (let i = 0; i < this.count; i++) {
        if ((this.words[i] as number) > this.last) continue;
        for (const array of [this.words, this.high, this.low]) array[kept] = array[i] as number;
        kept++;
      }
      this.count = kept;
    }
    if (this.count < this.words.length) return;
    const grown = (array: Uint32Array) => {
      const larger = new Uint32Array(Math.min(this.most, 2 * array.length));
      larger.set(array);
      return larger;
    };
    if (this.words.length >= this.most) throw new InfinitError('full', 'too many blocks at one place of the ring');
    this.words = grown(this.words);
    this.high = grown(this.high);
    this.low = grown(this.low);
  }
}

/** What this version does not know how to follow: then nothing may be swept. */
const unknownSpaces: readonly Space[] = ['snapshot', 'pin', 'dedup'];

export interface MarkOptions extends Abortable {
  /** Chunks below this number are marked already. */
  from?: number;
  /** Told of each chunk marked, in the order of their numbers. */
  marked?: (chunk: Bytes) => void;
  /** Chunks looked at between two turns. */
  step?: number | undefined;
}

/**
 * Marks all the capture reaches; yields after every piece, with the number of the next chunk once it is at those. Throws when any of
 * it cannot be read: then nothing is known.
 */
export async function* markCapture(
  capture: Capture,
  nodes: NodeStore,
  marks: Marks,
  options: MarkOptions = {},
): AsyncGenerator<number | undefined, void, void> {
  if (capture.body.snapshots !== undefined) throw unknown('snapshots');
  const chosen = new BaseTree(nodes, capture.body);
  const { base } = capture.view;
  const trees = sameRoot(chosen.root, base.root) ? [base] : [base, chosen];
  for (const tree of trees) yield* markNodes(tree, marks, options);
  if (trees.length > 1) {
    await checkKnown(chosen, options);
    const { signal, step } = options;
    for await (const _ of markChunks(chosen, marks, { signal, step })) yield undefined;
  }
  await checkKnown(capture.view, options);
  yield* markChunks(capture.view, marks, options);
}

/** Inner nodes name all others. */
async function* markNodes(tree: BaseTree, marks: Marks, options: Abortable): AsyncGenerator<undefined, void, void> {
  if (tree.root === undefined) return;
  marks.add(tree.root.address);
  const open: { ref: NodeRef; level: number }[] = [{ ref: tree.root, level: tree.height - 1 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (next.level === 0) continue;
    checkSignal(options.signal);
    const node = await tree.store.load(next.ref, next.level, options);
    for (let i = 0; i < node.count; i++) {
      const ref = node.refAt(i);
      marks.add(ref.address);
      if (next.level > 1) open.push({ ref, level: next.level - 1 });
    }
    yield undefined;
  }
}

async function* markChunks(view: MapReader, marks: Marks, options: MarkOptions): AsyncGenerator<number, void, void> {
  const { from = 0, marked, step = stepChunks } = options;
  let looked = 0;
  for await (const { key, value } of view.scan(chunkKey(from), spaceRange('chunk').to, options)) {
    const { address, coding } = decode(chunkRecord, value);
    if (coding !== chunkCodings.replicated) throw unknown(`chunks of coding ${coding}`);
    marks.add(address);
    marked?.(address);
    if (++looked % step === 0) yield chunkNumber(key) + 1;
  }
}

async function checkKnown(view: MapReader, options: Abortable): Promise<void> {
  for (const space of unknownSpaces) {
    const { from, to } = spaceRange(space);
    for await (const _ of view.scan(from, to, options)) throw unknown(`records of kind "${space}"`);
  }
}

function sameRoot(a: NodeRef | undefined, b: NodeRef | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a.address, b.address) === 0;
}

function unknown(what: string): InfinitError {
  return new InfinitError('unsupported', `the tree has ${what}, which this version does not know: nothing is swept`);
}
