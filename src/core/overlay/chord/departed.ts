// Who is dead may have left for good, and said so when this node could not hear it: those who took over its first place are asked
// for its record, so that nobody waits for it until it is evicted (docs/protocols.md 1.7).

import { limits } from '../../base/limits.ts';
import type { Cancel, Clock } from '../../runtime/runtime.ts';
import type { Directory } from '../directory.ts';
import type { Liveness } from '../overlay.ts';
import { type Entry, type NodeName, type Point, positionPoint } from '../ring.ts';

export interface DepartedParts {
  clock: Clock;
  directory: Directory;
  liveness: (node: NodeName) => Liveness;
  locate: (key: Point) => Promise<{ entries: readonly Entry[] }>;
}

/** Others come back at the same time, and then nobody need be asked about them. */
const askAfterMs = 1000;
const askedAtOnce = 8;
/** Nodes asked about one, which may not know either. */
const knowers = 3;
const askTimeoutMs = 3000;

export class Departed {
  private readonly parts: DepartedParts;
  private readonly waiting = new Set<NodeName>();
  private cancel: Cancel | undefined;

  constructor(parts: DepartedParts) {
    this.parts = parts;
  }

  /** Asks before long about those of them who are still dead then. */
  wonder(nodes: Iterable<NodeName>): void {
    for (const node of nodes)
      if (this.waiting.size < limits.knownContactsMax && this.isOpen(node)) this.waiting.add(node);
    if (this.waiting.size > 0) this.cancel ??= this.parts.clock.after(askAfterMs, () => void this.ask());
  }

  stop(): void {
    this.cancel?.();
    this.waiting.clear();
  }

  private async ask(): Promise<void> {
    const nodes = [...this.waiting].slice(0, askedAtOnce);
    for (const node of nodes) this.waiting.delete(node);
    await Promise.all(nodes.map((node) => this.askAbout(node).catch(() => undefined)));
    this.cancel = undefined;
    this.wonder([]);
  }

  private isOpen(node: NodeName): boolean {
    return this.parts.liveness(node) === 'dead' && this.parts.directory.get(node)?.leaving === false;
  }

  private async askAbout(node: NodeName): Promise<void> {
    const { directory, liveness, locate } = this.parts;
    if (!this.isOpen(node)) return;
    const { entries } = await locate(positionPoint(node, 0));
    const others = new Set(entries.map((entry) => entry.node));
    const able = [...others].filter((other) => other !== directory.self && liveness(other) === 'alive');
    for (const other of able.slice(0, knowers)) {
      if (!this.isOpen(node)) return;
      await directory.within(askTimeoutMs, undefined, async (signal) =>
        directory.fetch([node], await directory.peer(other, { signal })),
      );
    }
  }
}
