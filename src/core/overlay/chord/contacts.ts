// Remembered members (protocols 1.1, 1.5): what lets the halves of a partition, or a network restarted as a whole, meet
// again. Nobody is forgotten because it failed; when there are too many, a random one goes, rather a short-lived one.

import { limits } from '../../base/limits.ts';
import type { Random } from '../../runtime/runtime.ts';
import type { NodeName } from '../ring.ts';

const evictionSample = 3;

export class Contacts {
  private readonly random: Random;
  /** First and last time of a sign of life. */
  private readonly seen = new Map<NodeName, { first: number; last: number }>();
  /** Grows with every newcomer. */
  version = 0;
  private turn = 0;

  constructor(random: Random) {
    this.random = random;
  }

  get size(): number {
    return this.seen.size;
  }

  has(node: NodeName): boolean {
    return this.seen.has(node);
  }

  /** In the order of first meeting. */
  all(): NodeName[] {
    return [...this.seen.keys()];
  }

  /** Remembers the node; `alive` when it was heard of itself. */
  remember(node: NodeName, now: number, alive: boolean): void {
    const known = this.seen.get(node);
    if (known) {
      if (alive) known.last = now;
      return;
    }
    if (this.seen.size >= limits.knownContactsMax) this.evict();
    this.seen.set(node, { first: now, last: now });
    this.version++;
  }

  /** The next one in turn that passes. */
  next(passes: (node: NodeName) => boolean): NodeName | undefined {
    const nodes = this.all();
    for (let tried = 0; tried < nodes.length; tried++) {
      const node = nodes[this.turn++ % nodes.length] as NodeName;
      if (passes(node)) return node;
    }
    return undefined;
  }

  /** Up to `count` different ones in turn that pass. */
  some(count: number, passes: (node: NodeName) => boolean): NodeName[] {
    const out = new Set<NodeName>();
    for (let i = 0; i < count; i++) {
      const node = this.next(passes);
      if (node !== undefined) out.add(node);
    }
    return [...out];
  }

  /** Up to `count` random ones. */
  sample(count: number): NodeName[] {
    const nodes = this.all();
    const out: NodeName[] = [];
    while (out.length < count && nodes.length > 0) {
      out.push(...nodes.splice(this.random.below(nodes.length), 1));
    }
    return out;
  }

  private evict(): void {
    const life = (node: NodeName) => {
      const times = this.seen.get(node);
      return times ? times.last - times.first : 0;
    };
    this.seen.delete(this.sample(evictionSample).sort((a, b) => life(a) - life(b))[0] as NodeName);
  }
}
