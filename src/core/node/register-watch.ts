// What a node does about the network register, wired: it keeps the descriptor in force, tells of trees that were destroyed, and
// passes word on of both.

import { type Bytes, toHex } from '../base/bytes.ts';
import { Events } from '../base/events.ts';
import type { Abortable } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import type { Address } from '../block/address.ts';
import type { Overlay } from '../overlay/overlay.ts';
import type { Peers } from '../peer/peer.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { type DestroyedTree, rootOfDestroyed, verifyDestroyed } from '../store/tree-entries.ts';
import { Worker } from '../store/worker.ts';
import { DescriptorSync, type DescriptorSyncOptions } from './descriptor-sync.ts';
import { RegisterNews } from './register-news.ts';

export interface RegisterWatchOptions extends Omit<DescriptorSyncOptions, 'destroyed'> {
  runtime: Runtime;
  peers: Peers;
  overlay: Overlay;
  networkId: Bytes;
  /** Root registers of trees that were destroyed, each told once. */
  destroyed: (roots: readonly Address[]) => Promise<void>;
}

export const registerPeriodMs = 60_000;
/** Signatures checked in one turn of the event loop. */
const verifiedAtOnce = 16;

export class RegisterWatch {
  /** `destroyed`: the root of a tree that is gone for good. */
  readonly events = new Events<{ destroyed: Address }>();
  readonly worker: Worker;
  private readonly options: RegisterWatchOptions;
  private readonly sync: DescriptorSync;
  private readonly news: RegisterNews;
  private readonly known = new Set<string>();

  constructor(options: RegisterWatchOptions) {
    this.options = options;
    const { runtime, peers, overlay } = options;
    this.sync = new DescriptorSync({
      ...options,
      learned: async (descriptor) => {
        try {
          await options.learned(descriptor);
        } finally {
          this.news.passOn();
        }
      },
      destroyed: (trees) => this.learn(trees),
    });
    this.worker = new Worker(this.sync, runtime, registerPeriodMs);
    this.news = new RegisterNews({
      ...{ runtime, peers, overlay },
      version: () => this.sync.version,
      look: () => this.worker.wake(),
    });
  }

  /** Brings in what this device has newer, and tells the nodes to look; how many heard it. */
  async publish(options: Abortable = {}): Promise<number> {
    await this.sync.step(options.signal ?? new AbortController().signal);
    return this.news.spread(options);
  }

  stop(): void {
    this.news.stop();
  }

  /** Whatever nodes say, only the owner's own word counts. */
  private async learn(trees: readonly DestroyedTree[]): Promise<void> {
    const { networkId, runtime, destroyed } = this.options;
    const fresh: Address[] = [];
    for (const tree of trees) {
      const root = rootOfDestroyed(tree);
      if (this.known.has(toHex(root)) || !verifyDestroyed(networkId, tree)) continue;
      fresh.push(root);
      if (fresh.length % verifiedAtOnce === 0) await runtime.clock.sleep(0);
    }
    if (fresh.length === 0) return;
    await destroyed(fresh);
    for (const root of fresh) this.known.add(toHex(root));
    for (const name of this.known) if (this.known.size > limits.destroyedTreesKnownMax) this.known.delete(name);
    for (const root of fresh) this.events.emit('destroyed', root);
    this.news.passOn();
  }
}
