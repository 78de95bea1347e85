// How a node of the ring comes to know its share of the data, though nobody tells it of everybody (decision 017): it asks
// others for the records they hold, and as long as the network fits into what a node remembers, weighs itself among all.

import { limits } from '../../base/limits.ts';
import type { Peer } from '../../peer/peer.ts';
import type { Cancel } from '../../runtime/runtime.ts';
import { Circle } from '../circle.ts';
import type { Directory } from '../directory.ts';
import type { OverlayContext } from '../overlay.ts';
import type { NodeName } from '../ring.ts';
import { chordScale, weighAgainMs, weighSelf } from '../weights.ts';

export interface WeigherParts {
  readonly context: OverlayContext;
  readonly directory: Directory;
  /** Other nodes to ask. */
  readonly alive: () => readonly NodeName[];
  /** Learns whom the other knows. */
  readonly introduce: (peer: Peer) => Promise<void>;
  /** This node's record declares another number of positions. */
  readonly onChange: () => void;
}

export class Weigher {
  private readonly parts: WeigherParts;
  private cancel: Cancel = () => {};
  private stopped = false;

  constructor(parts: WeigherParts) {
    this.parts = parts;
  }

  begin(): void {
    const { context } = this.parts;
    const { runtime } = context;
    if (context.positions === undefined || this.stopped) return;
    const delayMs = weighAgainMs(context) * (0.8 + 0.4 * runtime.random.fraction());
    this.cancel = runtime.clock.after(delayMs, async () => {
      this.begin();
      await this.ask().catch(() => undefined); // he may be gone: the next is asked the next time
      if (!this.stopped) this.weigh();
    });
  }

  stop(): void {
    this.stopped = true;
    this.cancel();
  }

  weigh(): void {
    const { context, directory, onChange } = this.parts;
    const nodes = directory.all();
    const circle = new Circle();
    for (const node of nodes) circle.set(node, directory.get(node)?.positions ?? 0);
    const isWhole = nodes.length < limits.knownContactsMax;
    if (weighSelf(context, directory, isWhole ? circle : undefined, chordScale)) onChange();
  }

  private async ask(): Promise<void> {
    const { alive, context, directory, introduce } = this.parts;
    const others = alive();
    const node = others[context.runtime.random.below(Math.max(1, others.length))];
    if (node !== undefined) await introduce(await directory.peer(node));
  }
}
