// What a node or client of Kouncil knows of everybody: the records, the hash tree over them, the circle of all positions.
// Answers who owns an address from it, and brings it to what somebody else knows (protocols 1.6).

import { toHex } from '../../base/bytes.ts';
import { limits } from '../../base/limits.ts';
import type { Address } from '../../block/address.ts';
import type { Peer } from '../../peer/peer.ts';
import { Circle } from '../circle.ts';
import type { Directory } from '../directory.ts';
import type { Standing } from '../messages.ts';
import type { Liveness, NodeRecord, OverlayContext } from '../overlay.ts';
import { type NodeName, pointOf, replicas } from '../ring.ts';
import { kouncilScale, weighSelf } from '../weights.ts';
import { type Branch, digits, HashTree, isNewer, type Leaf, leafOf } from './hash-tree.ts';
import { type CompareRequest, prefixDigitsMax, ringCompare, ringTell } from './messages.ts';

const callTimeoutMs = 3000;

/** What two tables differ in. */
export interface Difference {
  /** Records the other side has newer, or alone. */
  readonly theirs: readonly Leaf[];
  /** Nodes of which this side has the newer one. */
  readonly ours: readonly NodeName[];
  /** Of them, those the other side does not know at all. */
  readonly alone: ReadonlySet<NodeName>;
}

interface Found {
  readonly theirs: Leaf[];
  readonly ours: NodeName[];
  readonly alone: Set<NodeName>;
}

export class Table {
  readonly directory: Directory;
  readonly tree = new HashTree();
  private readonly context: OverlayContext;
  private readonly circle = new Circle();
  private readonly liveness: (node: NodeName) => Liveness;
  /** Versions of records that were offered and did not verify: not asked for again. */
  private readonly refused = new Map<NodeName, Leaf>();
  private ownSerial = -1;

  constructor(context: OverlayContext, directory: Directory, liveness: (node: NodeName) => Liveness) {
    this.context = context;
    this.directory = directory;
    this.liveness = liveness;
    directory.onForget = (node) => {
      this.tree.delete(node);
      this.circle.set(node, 0);
    };
  }

  /** A record is held from now on; to be called whenever the directory has learned one. */
  enter(record: NodeRecord): void {
    this.tree.set(leafOf(record));
    this.circle.set(toHex(record.id), record.positions);
  }

  /** Takes this node's own record in when it has changed; returns the one before, or undefined when nothing is new. */
  enterSelf(): NodeRecord | undefined {
    const own = this.context.self();
    if (own === undefined || own.serial === this.ownSerial) return undefined;
    this.ownSerial = own.serial;
    this.enter(own);
    return own;
  }

  owners(address: Address, count: number, all = false): NodeRecord[] {
    this.enterSelf();
    const recordOf = (node: NodeName) => (this.isMember(node) ? this.directory.get(node) : undefined);
    return replicas(this.circle.walk(pointOf(address)), count, recordOf, all);
  }

  /** Whether the node is among the first members clockwise from the address, whatever their states. */
  isNear(address: Address, node: NodeName, count: number): boolean {
    this.enterSelf();
    const first = new Set<NodeName>();
    for (const { node: next } of this.circle.walk(pointOf(address))) {
      if (first.size >= count) return false;
      if (!this.isMember(next)) continue;
      if (next === node) return true;
      first.add(next);
    }
    return false;
  }

  /** Known, and not believed dead. */
  isMember(node: NodeName): boolean {
    const liveness = this.liveness(node);
    return liveness === 'alive' || liveness === 'suspect';
  }

  members(): NodeRecord[] {
    const own = this.context.self();
    const others = this.directory.all().filter((node) => this.isMember(node));
    return [...(own ? [own] : []), ...others.flatMap((node) => this.directory.get(node) ?? [])];
  }

  /** Declares as many positions as this node's capacity asks for, once others are known to compare it with. */
  weigh(): boolean {
    this.enterSelf();
    return weighSelf(this.context, this.directory, this.circle, kouncilScale);
  }

  compare({ items }: CompareRequest): { items: Branch[] } {
    this.enterSelf();
    return { items: items.map(({ prefix, digest }) => this.tree.branch(prefix, digest)) };
  }

  /** Walks down the branches in which the other's tree differs. Bounded, whatever it answers. */
  async differences(peer: Peer): Promise<Difference> {
    this.enterSelf();
    const found = { theirs: [] as Leaf[], ours: [] as NodeName[], alone: new Set<NodeName>() };
    let open = [''];
    for (let calls = 0; open.length > 0 && calls < limits.compareCallsMax; calls++) {
      const asked = open.slice(0, limits.compareBranchesMax);
      open = open.slice(limits.compareBranchesMax);
      const request = { items: asked.map((prefix) => ({ prefix, digest: this.tree.digest(prefix) })) };
      const answer = await peer.call(ringCompare, request, { timeoutMs: callTimeoutMs });
      for (const [i, prefix] of asked.entries()) {
        const branch = answer.items[i];
        if (branch?.type === 'children') open.push(...this.differing(prefix, branch.digests));
        else if (branch?.type === 'leaves') this.settle(prefix, branch.leaves, found);
      }
    }
    return { ...found, theirs: found.theirs.slice(0, limits.nodeRecordsMax) };
  }

  /** Asks the peer for the records, as far as they have not been found wanting before. */
  async take(leaves: readonly Leaf[], peer: Peer): Promise<void> {
    const wanted = leaves.filter(
      (leaf) => leaf.node !== this.directory.self && !same(this.refused.get(leaf.node), leaf),
    );
    for (let at = 0; at < wanted.length; at += limits.recordsToldMax) {
      const batch = wanted.slice(at, at + limits.recordsToldMax);
      await this.directory.fetch(
        batch.map(({ node }) => node),
        peer,
      );
      for (const leaf of batch) if (isNewer(leaf, this.tree.get(leaf.node))) this.refuse(leaf);
    }
  }

  /** Tells the peer the records of these nodes. */
  async tell(nodes: readonly NodeName[], peer: Peer): Promise<void> {
    for (let at = 0; at < nodes.length; at += limits.recordsToldMax) {
      const known: Standing[] = nodes.slice(at, at + limits.recordsToldMax).flatMap((node) => {
        const record = this.directory.get(node);
        return record ? [{ record, liveness: this.liveness(node) }] : [];
      });
      await peer.call(ringTell, { known }, { timeoutMs: callTimeoutMs });
    }
  }

  private differing(prefix: string, digests: readonly string[]): string[] {
    if (prefix.length >= prefixDigitsMax) return [];
    return [...digits]
      .map((digit) => prefix + digit)
      .filter((child, i) => digests[i] !== undefined && digests[i] !== this.tree.digest(child));
  }

  private settle(prefix: string, leaves: readonly Leaf[], found: Found): void {
    const known = new Map(leaves.map((leaf) => [leaf.node, leaf]));
    for (const leaf of known.values())
      if (leaf.node.startsWith(prefix) && isNewer(leaf, this.tree.get(leaf.node))) found.theirs.push(leaf);
    for (const leaf of this.tree.under(prefix)) {
      const held = known.get(leaf.node);
      if (isNewer(leaf, held)) found.ours.push(leaf.node);
      if (held === undefined) found.alone.add(leaf.node);
    }
  }

  private refuse(leaf: Leaf): void {
    if (this.refused.size >= limits.nodeRecordsMax) this.refused.clear();
    this.refused.set(leaf.node, leaf);
  }
}

function same(a: Leaf | undefined, b: Leaf): boolean {
  return a?.serial === b.serial && a.mark === b.mark;
}
