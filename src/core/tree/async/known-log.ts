// Keeps what is known of the network over a restart, in a log like that of the operations: each page as it is learned, all of it anew
// when most of the log is outdated. It is a copy of what the network has: one that is damaged or cannot be written is given up.

import type { Bytes } from '../../base/bytes.ts';
import { asError, type InfinitError, isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { KnownChange, KnownRecords } from './known.ts';
import { AsyncLog, type LogRecord } from './log.ts';

export interface KnownLogOptions {
  runtime: Pick<Runtime, 'files' | 'random' | 'log'>;
  folder: string;
  key: Bytes;
  /** Something is to be synced. */
  kept: () => void;
}

const begin = () => ({ next: 0, inode: 0, inodeEnd: 0, sent: 0 });

export class KnownLog {
  private readonly options: KnownLogOptions;
  private readonly known: KnownRecords;
  private readonly log: AsyncLog;
  private isTidying = false;
  private failed: InfinitError | undefined;

  private constructor(options: KnownLogOptions, known: KnownRecords, log: AsyncLog) {
    this.options = options;
    this.known = known;
    this.log = log;
  }

  /** Tells what was kept, and keeps what is learned from now on. */
  static async open(options: KnownLogOptions, known: KnownRecords): Promise<KnownLog> {
    const visit = (record: LogRecord) => {
      if (record.type === 'known' || record.type === 'unknown') known.recall(record);
    };
    const open = () => AsyncLog.open({ ...options, begin }, visit);
    const log = await open().catch(async (error: unknown) => {
      if (!isError(error, 'corrupt', 'unsupported')) throw error;
      known.forget();
      await options.runtime.files.remove(options.folder);
      return open();
    });
    const opened = new KnownLog(options, known, log);
    known.keep = (change) => opened.keep(change);
    return opened;
  }

  sync(): Promise<void> {
    return this.attempt(() => this.log.sync());
  }

  /** What could not be kept is not believed the next time. */
  async close(): Promise<void> {
    await this.attempt(() => this.log.close());
    if (this.failed !== undefined) await this.options.runtime.files.remove(this.options.folder);
  }

  private keep(change: KnownChange): Promise<void> {
    return this.attempt(async () => {
      await this.log.append(change);
      this.options.kept();
      if (this.log.bytes > 2 * this.known.bytes + limits.asyncSegmentBytes && !this.isTidying) await this.tidy();
    });
  }

  /** A page is read and appended in one go, so that what is learned meanwhile comes behind it. */
  private async tidy(): Promise<void> {
    this.isTidying = true;
    try {
      await this.log.renew();
      const first = this.log.newest;
      for (const page of this.known.pages()) await this.log.append(page);
      await this.log.drop(first);
    } finally {
      this.isTidying = false;
    }
  }

  private async attempt(task: () => Promise<void>): Promise<void> {
    if (this.failed !== undefined) return;
    try {
      await task();
    } catch (error) {
      this.failed ??= asError(error);
      const { kind, message } = this.failed;
      this.options.runtime.log.write('warn', 'journal', `what is known of the network is not kept: ${message}`, {
        kind,
      });
    }
  }
}
