// Load on a volume while faults happen: random steps of two clients, one after another, against the model in memory. Each step
// is synced before the next, so that whatever happens to nodes, leaders and clients, the volume does what the model does. A step
// whose outcome a fault leaves open ends the comparison: that is counted, and is no violation.

import { isError } from '../../../src/core/base/errors.ts';
import type { Files } from '../../../src/core/volume/files/files.ts';
import { FilesExecutor, type Owner } from '../files-executor.ts';
import { StepGenerator } from '../files-generator.ts';
import { Comparison, Mismatch } from '../files-load.ts';
import type { Executor, Step } from '../files-steps.ts';
import type { Coverage } from '../watch/coverage.ts';
import type { Report } from '../watch/rules.ts';

/** Of the root directory. */
const owner: Owner = { uid: 0, gid: 0 };
const fileBytesMax = 120_000;

export interface MixedFileLoadOptions {
  seed: number;
  report: Report;
  coverage: Coverage;
  sleep: (timeMs: number) => Promise<void>;
  /** Mean pause between two steps. */
  pauseMs: number;
  /** Clocks may be so far off that what is read is old. */
  staleReads: boolean;
  /** Crashes the client's process and opens the volume again; its files. */
  reopen: (client: number) => Promise<Files>;
  below: (limit: number) => number;
}

/** Nobody can say whether a step was done. */
class Undetermined extends Error {}

export class MixedFileLoad {
  steps = 0;
  /** Whether subject and model can still be compared. */
  comparable = true;
  private readonly options: MixedFileLoadOptions;
  private readonly executor: FilesExecutor;
  private readonly comparison: Comparison;
  private readonly generator: StepGenerator;

  constructor(options: MixedFileLoadOptions, files: readonly Files[]) {
    this.options = options;
    this.executor = new FilesExecutor(files, owner);
    const subject: Executor = {
      perform: (step) => this.perform(step),
      errnoOf: (cause) => {
        if (cause instanceof Undetermined) throw cause;
        return this.executor.errnoOf(cause);
      },
      flush: (client) => this.certain(() => this.executor.flush(client)),
    };
    const clients = files.length;
    this.comparison = new Comparison(subject, { clients, owner });
    this.generator = new StepGenerator({ seed: options.seed, clients, fileBytesMax });
  }

  /** Steps until `goOn` says no. */
  async work(goOn: () => boolean): Promise<void> {
    const { below, sleep, pauseMs } = this.options;
    await this.guarded(async () => {
      while (goOn()) {
        await sleep(below(2 * pauseMs));
        if (!goOn()) return;
        if (below(60) === 0) await this.restart(below(2));
        const step = await this.generator.step(this.comparison.model);
        await this.comparison.step(step);
        await this.certain(() => this.executor.perform({ client: step.client, op: 'sync' }));
        this.steps++;
      }
    });
  }

  /** Every client sees all that the model has. */
  async walk(): Promise<void> {
    await this.guarded(async () => {
      await this.comparison.walk();
      this.options.coverage.reach('files/walk');
    });
  }

  /** Another process has opened the client's volume. */
  async reopened(client: number, files: Files): Promise<void> {
    for (const slot of this.executor.heldBy(client)) await this.comparison.model.perform({ client, op: 'close', slot });
    this.executor.reopened(client, files);
  }

  /** All it was answered is synced: its end loses nothing. */
  private async restart(client: number): Promise<void> {
    this.options.coverage.reach('fault/files client crash');
    await this.reopened(client, await this.options.reopen(client));
  }

  private perform(step: Step): Promise<unknown> {
    this.options.coverage.reach(`files/${step.op}`);
    return this.certain(() => this.executor.perform(step));
  }

  private async certain<T>(task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } catch (error) {
      const noRoom = isError(error, 'full') && error.data?.reason === undefined;
      if (noRoom || isError(error, 'unavailable', 'cancelled', 'lost'))
        throw new Undetermined(String(error), { cause: error });
      throw error;
    }
  }

  private async guarded(task: () => Promise<void>): Promise<void> {
    if (!this.comparable) return;
    try {
      await task();
    } catch (error) {
      this.comparable = false;
      if (error instanceof Mismatch && this.options.staleReads)
        this.options.coverage.reach('files/read old under wrong clocks');
      else if (error instanceof Mismatch) this.options.report('files', `step ${error.steps.length}: ${error.message}`);
      else if (error instanceof Undetermined)
        this.options.coverage.reach(`files/undetermined: ${error.message}`.slice(0, 60));
      else throw error;
    }
  }
}
