// Journals follow the roots of their trees (docs/protocols.md 4.3, 4.4): what a root does not list any more goes from this store,
// all but the fence; and how many roots still count on this store, for a node that wants to leave.

import { toHex } from '../base/bytes.ts';
import { isError } from '../base/errors.ts';
import type { Address } from '../block/address.ts';
import type { Registers } from '../consensus/consensus.ts';
import type { JournalService } from '../consensus/journal/service.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Work } from './worker.ts';

export interface JournalUpkeepOptions {
  runtime: Runtime;
  journals: JournalService;
  registers: Pick<Registers, 'read'>;
}

/** Looked at again although nobody said that anything changed. */
const recheckMs = 60 * 60_000;
const operationMs = 8_000;

/** One journal a step. */
export class JournalUpkeep implements Work {
  readonly name = 'journals';
  readonly counters = { checked: 0, listed: 0, failed: 0 };
  private readonly options: JournalUpkeepOptions;
  private queue: Address[] | undefined;
  private readonly checkedAt = new Map<string, number>();
  /** Trees that were destroyed: their roots may not be found any more. */
  private readonly ended = new Set<string>();
  /** Trees whose root names this store in a segment. */
  private readonly listed = new Set<string>();

  constructor(options: JournalUpkeepOptions) {
    this.options = options;
  }

  /** Members of roots have changed, or this node was away. */
  recheck(): void {
    this.checkedAt.clear();
  }

  /** Those trees are gone for good. */
  destroyed(trees: readonly Address[]): void {
    for (const name of trees.map(toHex)) {
      this.ended.add(name);
      this.checkedAt.delete(name);
    }
    this.queue = undefined;
  }

  backlog(): number | undefined {
    return this.queue?.length;
  }

  async step(signal: AbortSignal): Promise<boolean> {
    this.queue ??= await this.due();
    const tree = this.queue.shift();
    if (tree === undefined) this.queue = undefined;
    else await this.look(tree, signal);
    return tree !== undefined;
  }

  /** Looks at every journal now; how many roots count on this store, those that cannot be read among them. */
  async countListed(signal: AbortSignal): Promise<number> {
    let count = 0;
    for await (const tree of this.options.journals.trees()) if (await this.look(tree, signal)) count++;
    return count;
  }

  private get now(): number {
    return this.options.runtime.clock.monotonic();
  }

  private async due(): Promise<Address[]> {
    const queue: Address[] = [];
    const here = new Set<string>();
    for await (const tree of this.options.journals.trees()) {
      here.add(toHex(tree));
      if (this.now - (this.checkedAt.get(toHex(tree)) ?? -recheckMs) >= recheckMs) queue.push(tree);
    }
    for (const name of this.checkedAt.keys()) if (!here.has(name)) this.checkedAt.delete(name);
    return queue;
  }

  /** Whether the root counts on this store; when in doubt it does. */
  private async look(tree: Address, signal: AbortSignal): Promise<boolean> {
    const name = toHex(tree);
    if (this.ended.has(name)) {
      await this.options.journals.remove(tree);
      this.listed.delete(name);
      return false;
    }
    try {
      const root = await this.options.registers.read(tree, { signal, timeoutMs: operationMs });
      const isListed = await this.options.journals.follow(root);
      this.counters.checked++;
      this.checkedAt.set(name, this.now);
      if (isListed) this.listed.add(name);
      else this.listed.delete(name);
      return isListed;
    } catch (error) {
      if (!isError(error, 'unavailable', 'corrupt', 'denied', 'not-found', 'unsupported', 'full')) throw error;
      this.counters.failed++;
      return true;
    } finally {
      this.counters.listed = this.listed.size;
    }
  }
}
