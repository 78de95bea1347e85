// Frees unlinked files that nobody has open any more, while this client leads: step by step, with pauses, so that others'
// operations come first.

import type { Bytes } from '../../base/bytes.ts';
import { equalBytes } from '../../base/bytes.ts';
import { type CodecType, decode, encode } from '../../base/codec.ts';
import { asError, isError } from '../../base/errors.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Tree } from '../../tree/tree.ts';
import type { FileStates } from './file-state.ts';
import type { FileTime } from './files.ts';
import { fileOperation, fileQuery, orphansReply, reapReply } from './messages.ts';
import { type FileTimes, timeMs } from './times.ts';

/** A client not heard of for so long has gone. */
const holderMs = 10 * 60 * 1000;
/** Others that have the file open say so within this. */
const graceMs = 30_000;
const batch = 256;
/** Of the time, so many parts are pauses for one of work. */
const pauseShare = 3;
const pauseMinMs = 2;

export interface JanitorOptions {
  runtime: Pick<Runtime, 'clock' | 'log'>;
  tree: Tree;
  states: FileStates;
  times: FileTimes;
  client: Bytes;
  /** Says that this client does not have the file open. */
  release(inode: number): Promise<void>;
}

type Orphan = CodecType<typeof orphansReply>[number];

export class Janitor {
  private readonly options: JanitorOptions;
  private readonly stopped = new AbortController();
  private running: Promise<void> | undefined;
  private again = false;

  constructor(options: JanitorOptions) {
    this.options = options;
  }

  /** Looks for what can be freed; one walk at a time. */
  run(): Promise<void> {
    this.again = true;
    this.running ??= this.walks().finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    await this.running;
  }

  private async walks(): Promise<void> {
    while (this.again && !this.stopped.signal.aborted) {
      this.again = false;
      await this.walk().catch((error: unknown) => {
        const { kind, message } = asError(error);
        const level = isError(error, 'unavailable', 'cancelled') ? 'debug' : 'warn';
        this.options.runtime.log.write(level, 'files', `could not free unlinked files: ${message}`, { kind });
      });
    }
  }

  private async walk(): Promise<void> {
    const { tree } = this.options;
    const { signal } = this.stopped;
    for (let after = 0; ; ) {
      if (tree.status().role !== 'leader') return;
      const query = encode(fileQuery, { type: 'orphans', after, limit: batch });
      const orphans = decode(orphansReply, await tree.query(query, { signal }));
      for (const orphan of orphans) if (await this.mayGo(orphan)) await this.reap(orphan.inode);
      const last = orphans.at(-1);
      if (last === undefined) return;
      after = last.inode;
    }
  }

  private async mayGo({ inode, since, holders }: Orphan): Promise<boolean> {
    const { states, tree, client, release } = this.options;
    if ((states.get(inode)?.opens ?? 0) > 0) return false;
    const own = holders.some((holder) => equalBytes(holder.client, client));
    if (own) await release(inode);
    const others = holders.filter((holder) => !equalBytes(holder.client, client));
    if (others.some(({ at }) => this.ageMs(at) < holderMs)) return false;
    return tree.alone() || this.ageMs(since) > graceMs;
  }

  private async reap(inode: number): Promise<void> {
    const { runtime, tree, states, times } = this.options;
    const { clock } = runtime;
    for (;;) {
      if (this.stopped.signal.aborted || tree.status().role !== 'leader' || (states.get(inode)?.opens ?? 0) > 0) return;
      const start = clock.monotonic();
      const now = times.now();
      const before = { seconds: now.seconds - holderMs / 1000, nanoseconds: now.nanoseconds };
      try {
        const reply = await tree.do(encode(fileOperation, { type: 'reap', inode, before }), { durable: false });
        if (decode(reapReply, reply).done) return;
      } catch (error) {
        // Somebody holds it since.
        if (isError(error, 'conflict')) return;
        throw error;
      }
      const pauseMs = Math.max(pauseMinMs, pauseShare * (clock.monotonic() - start));
      await clock.sleep(pauseMs, { signal: this.stopped.signal });
    }
  }

  private ageMs(at: FileTime): number {
    return timeMs(this.options.times.now()) - timeMs(at);
  }
}
