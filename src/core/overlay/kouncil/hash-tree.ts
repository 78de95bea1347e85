// Which node records somebody holds, as a tree of hashes over the digits of node ids (protocols 1.6): two who compare theirs find
// where they differ by asking about as many branches as there are differences. Same records, same hashes, whoever computes.

import { concatBytes, fromHex, toHex, u64Bytes, utf8 } from '../../base/bytes.ts';
import { hash } from '../../crypto/hash.ts';
import type { NodeRecord } from '../overlay.ts';
import type { NodeName } from '../ring.ts';

/** One version of one record. Of two the higher serial is newer, of equal ones the higher mark. */
export interface Leaf {
  readonly node: NodeName;
  readonly serial: number;
  /** The beginning of its signature: 16 hexadecimal digits. */
  readonly mark: string;
}

export type Branch =
  | { type: 'same' }
  | { type: 'children'; digests: readonly string[] }
  | { type: 'leaves'; leaves: readonly Leaf[] };

/** A branch with more leaves has children. */
export const leavesMax = 16;
export const digits = '0123456789abcdef';
const digestDigits = 16;
/** Sorts behind every digit. */
const end = 'g';

export function leafOf(record: NodeRecord): Leaf {
  return { node: toHex(record.id), serial: record.serial, mark: toHex(record.signature.subarray(0, 8)) };
}

export function isNewer(leaf: Leaf, than: Leaf | undefined): boolean {
  if (than === undefined || leaf.serial !== than.serial) return than === undefined || leaf.serial > than.serial;
  return leaf.mark > than.mark;
}

export class HashTree {
  private readonly leaves = new Map<NodeName, Leaf>();
  private readonly sorted: NodeName[] = [];
  /** Of branches with children, as long as nothing below them changes: others ask about any there might be. */
  private readonly digests = new Map<string, string>();

  get size(): number {
    return this.leaves.size;
  }

  get(node: NodeName): Leaf | undefined {
    return this.leaves.get(node);
  }

  set(leaf: Leaf): void {
    if (!this.leaves.has(leaf.node)) this.sorted.splice(this.indexOf(leaf.node), 0, leaf.node);
    this.leaves.set(leaf.node, leaf);
    this.changed(leaf.node);
  }

  delete(node: NodeName): void {
    if (!this.leaves.delete(node)) return;
    this.sorted.splice(this.indexOf(node), 1);
    this.changed(node);
  }

  /** The leaves whose ids begin with the prefix, in order. */
  under(prefix: string): Leaf[] {
    const names = this.sorted.slice(this.indexOf(prefix), this.indexOf(prefix + end));
    return names.map((node) => this.leaves.get(node) as Leaf);
  }

  digest(prefix: string): string {
    const known = this.digests.get(prefix);
    if (known !== undefined) return known;
    const digest = toHex(hash(this.content(prefix))).slice(0, digestDigits);
    if (this.count(prefix) > leavesMax) this.digests.set(prefix, digest);
    return digest;
  }

  /** What to answer somebody whose branch has that digest. */
  branch(prefix: string, theirs: string): Branch {
    if (this.digest(prefix) === theirs) return { type: 'same' };
    if (this.count(prefix) <= leavesMax) return { type: 'leaves', leaves: this.under(prefix) };
    return { type: 'children', digests: [...digits].map((digit) => this.digest(prefix + digit)) };
  }

  private content(prefix: string): Buffer {
    if (this.count(prefix) > leavesMax)
      return concatBytes([utf8('children'), ...[...digits].map((digit) => fromHex(this.digest(prefix + digit)))]);
    const leaves = this.under(prefix).flatMap(({ node, serial, mark }) => [
      fromHex(node),
      u64Bytes(serial),
      fromHex(mark),
    ]);
    return concatBytes([utf8('leaves'), ...leaves]);
  }

  private count(prefix: string): number {
    return this.indexOf(prefix + end) - this.indexOf(prefix);
  }

  private indexOf(name: string): number {
    let low = 0;
    let high = this.sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.sorted[middle] as NodeName) < name) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private changed(node: NodeName): void {
    for (let length = 0; length <= node.length; length++) this.digests.delete(node.slice(0, length));
  }
}
