// Housekeeping of a silo of packs: checkpoints when enough was written, compaction when packs pile up, room when it is short.
// Numbers of checkpoints begin with that of the opening, so that a process that no longer has the silo spoils nothing.

import { equalBytes } from '../../base/bytes.ts';
import { asError, type InfinitError } from '../../base/errors.ts';
import { Mutex, Semaphore } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Turns } from '../turns.ts';
import { type Checkpoint, removeOlderCheckpoints, writeCheckpoint } from './checkpoint.ts';
import type { Compactor } from './compactor.ts';
import { packName } from './format.ts';
import type { ObjectStore } from './object-store.ts';
import { takenOver } from './pack-writer.ts';
import type { PackState } from './state.ts';
import { readSuperblock, type Superblock } from './superblock.ts';

export interface HousekeepingOptions {
  store: ObjectStore;
  state: PackState;
  superblock: Superblock;
  runtime: Runtime;
  turns: Turns;
  compactor: Compactor;
  checkpoint: Checkpoint | undefined;
  /** All packs up to this number are durable and show. */
  confirmed(): number;
  /** The silo is somebody else's now. */
  lost(error: InfinitError): void;
}

const checkpointsPerOpening = 2 ** 20;
/** Bytes of a checkpoint that are worth as much as reading the table of one pack. */
const bytesPerTable = 16 * 1024;
const packsBetweenLooks = 16;

export class Housekeeping {
  private readonly options: HousekeepingOptions;
  private readonly checkpoints = new Mutex();
  /** Of the newest durable checkpoint; 0: none. */
  number: number;
  private checkpointBytes: number;
  private packsSince = 0;
  private bytesSince = 0;
  private lookedAt: number;
  private running: Promise<void> | undefined;
  private stopped = false;

  constructor(options: HousekeepingOptions) {
    this.options = options;
    this.number = options.checkpoint?.number ?? 0;
    this.checkpointBytes = options.checkpoint?.bytes ?? 0;
    this.lookedAt = options.runtime.clock.monotonic();
  }

  /** A pack of so many bytes is durable. */
  applied(bytes: number): void {
    this.packsSince++;
    this.bytesSince += bytes;
    this.lookAtOwner();
    const due = this.isCheckpointDue() || this.packsSince % packsBetweenLooks === 0;
    if (due && !this.stopped) this.running ??= this.tidyUp().finally(() => (this.running = undefined));
  }

  /** Gains room; false when there is nothing to gain. */
  async reclaim(): Promise<boolean> {
    const { state, compactor } = this.options;
    const before = state.totalBytes;
    await this.checkpoint();
    if (state.totalBytes < before) return true;
    if (!(await compactor.step(true))) return false;
    await this.checkpoint();
    return state.totalBytes < before;
  }

  /** Writes a checkpoint, then deletes the packs nothing counts of any more. */
  checkpoint(): Promise<void> {
    return this.checkpoints.run(async () => {
      const { store, state, superblock, turns, confirmed } = this.options;
      const pack = confirmed();
      const empty = [...state.packs.values()].filter(({ number, liveRows }) => liveRows === 0 && number <= pack);
      const [packs, bytes] = [this.packsSince, this.bytesSince];
      const number = Math.max(this.number, superblock.openings * checkpointsPerOpening) + 1;
      const at = { number, pack, salt: superblock.salt };
      const written = await writeCheckpoint(store, state, turns, at);
      this.number = number;
      this.checkpointBytes = written.bytes;
      this.packsSince -= packs;
      this.bytesSince -= bytes;
      await removeOlderCheckpoints(store, number);
      const requests = new Semaphore(limits.objectRequestsMax);
      await Promise.all(
        empty.map((each) =>
          requests.run(async () => {
            await store.delete(packName(each.number));
            state.removePack(each.number);
          }),
        ),
      );
    });
  }

  /** Waits for what runs; nothing is begun any more. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.running;
  }

  /** Whether a checkpoint would save anything at the next opening. */
  get isBehind(): boolean {
    return this.packsSince > 1;
  }

  private isCheckpointDue(): boolean {
    const packs = Math.max(limits.packCheckpointEvery, this.checkpointBytes / bytesPerTable);
    const bytes = Math.max(limits.packCheckpointEveryBytes, 2 * this.checkpointBytes);
    return this.packsSince >= packs || this.bytesSince >= bytes;
  }

  private async tidyUp(): Promise<void> {
    const { compactor, runtime, store } = this.options;
    try {
      while (!this.stopped && (await compactor.step(false))) {
        // Until nothing is worth it.
      }
      if (this.isCheckpointDue()) await this.checkpoint();
    } catch (error) {
      const { message } = asError(error);
      runtime.log.write('warn', 'silo', `housekeeping failed: ${message}`, { store: store.where });
    }
  }

  /** Where the store cannot refuse the packs of two writers, the superblock is looked at now and then. */
  private lookAtOwner(): void {
    const { store, superblock, runtime, lost } = this.options;
    const now = runtime.clock.monotonic();
    if (superblock.exclusive || now - this.lookedAt < limits.objectOwnerLookMs) return;
    this.lookedAt = now;
    readSuperblock(store).then(
      (found) => {
        if (found !== undefined && !equalBytes(found.writer, superblock.writer)) lost(takenOver(store));
      },
      (error: unknown) =>
        runtime.log.write('warn', 'silo', `looking at the owner failed: ${asError(error).message}`, {
          store: store.where,
        }),
    );
  }
}
