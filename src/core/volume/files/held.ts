// Unlinked files this client has open: it says so to the others, again and again, until it closes them. What could not be said
// is said at the next turn.

import type { Bytes } from '../../base/bytes.ts';
import { encode } from '../../base/codec.ts';
import { asError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Tree } from '../../tree/tree.ts';
import type { FileState, FileStates } from './file-state.ts';
import { fileOperation } from './messages.ts';
import type { FileTimes } from './times.ts';

const againMs = 2 * 60 * 1000;

export interface HeldOptions {
  runtime: Pick<Runtime, 'clock' | 'log'>;
  tree: Tree;
  states: FileStates;
  times: FileTimes;
  /** Names this client among the holders. */
  client: Bytes;
}

export class Held {
  private readonly options: HeldOptions;
  private readonly unsaid = new Set<number>();
  private readonly unreleased = new Set<number>();
  private saidAtMs: number;

  constructor(options: HeldOptions) {
    this.options = options;
    this.saidAtMs = options.runtime.clock.monotonic();
  }

  /** An open file has lost its last name by somebody else's doing. */
  async hold(state: FileState): Promise<void> {
    state.orphan = true;
    this.unsaid.add(state.inode);
    await this.say();
  }

  /** Closed: its data may go. */
  async release(inode: number): Promise<void> {
    this.unsaid.delete(inode);
    this.unreleased.add(inode);
    await this.say();
  }

  /** To be called every few seconds. */
  async tick(): Promise<void> {
    const { clock } = this.options.runtime;
    if (clock.monotonic() - this.saidAtMs >= againMs) {
      this.saidAtMs = clock.monotonic();
      for (const state of this.options.states.all) if (state.orphan && state.opens > 0) this.unsaid.add(state.inode);
    }
    await this.say();
  }

  /** Lets go of everything: the client ends. */
  async releaseAll(): Promise<void> {
    this.unsaid.clear();
    for (const state of this.options.states.all) if (state.orphan) this.unreleased.add(state.inode);
    await this.say();
  }

  private async say(): Promise<void> {
    const { times, client } = this.options;
    try {
      await this.told(this.unsaid, (inodes) => ({ type: 'hold', inodes, client, now: times.now() }));
      await this.told(this.unreleased, (inodes) => ({ type: 'release', inodes, client }));
    } catch (error) {
      // Holders not heard of for long count as gone.
      const { kind, message } = asError(error);
      this.options.runtime.log.write('warn', 'files', `could not say which files are open: ${message}`, { kind });
    }
  }

  private async told(
    inodes: Set<number>,
    operation: (inodes: number[]) => Parameters<typeof fileOperation.write>[1],
  ): Promise<void> {
    while (inodes.size > 0) {
      const some = [...inodes].slice(0, limits.heldInodesMax);
      for (const inode of some) inodes.delete(inode);
      try {
        await this.options.tree.do(encode(fileOperation, operation(some)), { durable: false });
      } catch (error) {
        for (const inode of some) if (inodes.size < limits.heldInodesMax) inodes.add(inode);
        throw error;
      }
    }
  }
}
