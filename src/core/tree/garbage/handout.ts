// Hands the filters of a cycle to the storage nodes and asks each until it is done. A node that is away, or stays behind, is left
// out: what it holds too much goes in a later cycle.

import { toHex } from '../../base/bytes.ts';
import { asError, InfinitError, isError } from '../../base/errors.ts';
import type { Abortable } from '../../base/lifecycle.ts';
import type { NodeId } from '../../block/address.ts';
import type { Arc, SweepProgress } from '../../store/sweep-messages.ts';
import type { TreeContext } from '../context.ts';

/** Filters handed in one step. */
const stepArcs = 16;
const attemptsMax = 5;
const pollMs = 1000;
/** A node that gets no further for so long is left out. */
const patienceMs = 10 * 60_000;

export class Handout {
  private readonly context: TreeContext;
  private readonly generation: number;
  private readonly options: Abortable;
  private readonly told = new Map<string, SweepProgress>();
  private readonly lost = new Map<string, string>();
  private readonly resumed: boolean;

  /** `resumed`: an earlier leader may have handed them already. */
  constructor(
    context: TreeContext,
    generation: number,
    { signal, resumed }: { signal: AbortSignal; resumed: boolean },
  ) {
    this.context = context;
    this.generation = generation;
    this.options = { signal };
    this.resumed = resumed;
  }

  /** Nodes that did it all, nodes left out, and what went by what they say: copies, not distinct blocks. */
  get outcome(): { nodes: number; missed: number; blocks: number; bytes: number } {
    const told = [...this.told].flatMap(([name, progress]) => (this.lost.has(name) ? [] : [progress]));
    const sum = (of: (progress: SweepProgress) => number) => told.reduce((all, progress) => all + of(progress), 0);
    return { nodes: told.length, missed: this.lost.size, blocks: sum((p) => p.blocks), bytes: sum((p) => p.bytes) };
  }

  /** Arcs that follow each other. Yields how long to wait before the next step. */
  async *hand(arcs: readonly Arc[]): AsyncGenerator<number, void, void> {
    const nodes = await this.context.store.sweeps.holders(this.options);
    for (const node of nodes) yield* this.unlessLost(node, () => this.handMissing(node, arcs));
    for (const node of nodes) yield* this.unlessLost(node, () => this.await(node, arcs));
  }

  private async *unlessLost(
    node: NodeId,
    task: () => AsyncGenerator<number, void, void>,
  ): AsyncGenerator<number, void, void> {
    const name = toHex(node);
    if (this.lost.has(name)) return;
    try {
      yield* task();
    } catch (cause) {
      const error = asError(cause);
      // The cycle itself is wrong: nobody would take it.
      if (error.kind === 'denied' || error.kind === 'cancelled') throw error;
      this.lost.set(name, error.message);
      this.context.runtime.log.write('info', 'garbage', `node ${name.slice(0, 8)} is left out: ${error.message}`);
    }
  }

  private async *handMissing(node: NodeId, arcs: readonly Arc[]): AsyncGenerator<number, void, void> {
    if (this.resumed) {
      const { waiting, done } = await this.ask(node, arcs);
      if (waiting + done >= arcs.length) return;
    }
    yield* this.handAll(node, arcs);
  }

  private ask(node: NodeId, arcs: readonly Arc[]): Promise<SweepProgress> {
    const { store, rootAddress: tree } = this.context;
    const [first, last] = [arcs[0]?.first ?? 0, arcs.at(-1)?.last ?? 0];
    return store.sweeps.progress(node, { tree, generation: this.generation, first, last }, this.options);
  }

  private async *handAll(node: NodeId, arcs: readonly Arc[]): AsyncGenerator<number, void, void> {
    const { store, rootAddress: tree, user } = this.context;
    const { generation } = this;
    for (const [i, arc] of arcs.entries()) {
      for (let attempt = 1; ; attempt++) {
        try {
          await store.sweeps.hand(node, { tree, generation, ...arc }, user, this.options);
          break;
        } catch (error) {
          if (!isError(error, 'unavailable', 'full') || attempt === attemptsMax) throw error;
        }
        yield pollMs * attempt;
      }
      if (i % stepArcs === stepArcs - 1) yield 0;
    }
  }

  private async *await(node: NodeId, arcs: readonly Arc[]): AsyncGenerator<number, void, void> {
    const { runtime } = this.context;
    let [before, failures, sinceMs] = [-1, 0, runtime.clock.monotonic()];
    for (;;) {
      try {
        const told = await this.ask(node, arcs);
        this.told.set(toHex(node), told);
        if (told.done >= arcs.length) return;
        if (told.waiting === 0) {
          // It was restarted and remembers nothing.
          if (++failures === attemptsMax) throw isBehind();
          yield* this.handAll(node, arcs);
        }
        if (told.done !== before) sinceMs = runtime.clock.monotonic();
        before = told.done;
      } catch (error) {
        if (!isError(error, 'unavailable') || ++failures >= attemptsMax) throw error;
      }
      if (runtime.clock.monotonic() - sinceMs > patienceMs) throw isBehind();
      yield pollMs;
    }
  }
}

function isBehind(): InfinitError {
  return new InfinitError('full', 'it does not get on with what it was handed');
}
