// What others made impossible of a journal: each operation with its data in a small log of its own below the journal, until a person
// has seen to it (`infinit journal export --remove`).

import { join } from 'node:path';
import type { Bytes } from '../../base/bytes.ts';
import { InfinitError, isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { AsyncLog, type LateEntry, type LogRecord } from '../../tree/async/log.ts';

type Parts = Pick<Runtime, 'clock' | 'files' | 'random' | 'log'>;
const begin = () => ({ next: 0, inode: 0, inodeEnd: 0, sent: 0 });

/** An operation that is kept, and why. */
export interface Refused {
  entry: LateEntry;
  reason: string;
  /** Milliseconds since 1970. */
  at: number;
  /** Bytes on the disk. */
  bytes: number;
  /** By address in hex: see `volume/files/late-facts.ts`. */
  data: LogRecord[];
}

export class RefusedOperations {
  private readonly runtime: Parts;
  private readonly folder: string;
  private readonly key: Bytes;

  constructor(runtime: Parts, journal: string, key: Bytes) {
    this.runtime = runtime;
    this.folder = join(journal, 'refused');
    this.key = key;
  }

  /** On the disk when it resolves. Throws `full` when too many are kept. */
  async keep(entry: LateEntry, data: readonly (LogRecord & { type: 'chunk' })[], reason: string): Promise<void> {
    const { files, clock } = this.runtime;
    const name = nameOf(entry.number);
    const kept = await files.list(this.folder);
    if (kept.length >= limits.asyncRefusedMax && !kept.includes(name))
      throw new InfinitError('full', `${kept.length} refused operations are kept already: infinit journal describe`);
    const folder = join(this.folder, name);
    // Begun before, when the process ended.
    await files.remove(folder);
    const log = await AsyncLog.open({ runtime: this.runtime, folder, key: this.key, begin }, () => {});
    try {
      for (const chunk of data) await log.append(chunk);
      const { number, made, expected, operation, effects } = entry;
      await log.append({ type: 'operation', number, made, expected, operation, effects: [...effects] });
      await log.append({ type: 'refused', reason: reason.slice(0, 1024), at: clock.now() });
    } finally {
      await log.close();
    }
    await files.syncDirectory(this.folder);
  }

  /** In order; one that is damaged is told by `damaged`. */
  async *all(damaged: (error: InfinitError) => void): AsyncGenerator<Refused, void, void> {
    const { runtime, key } = this;
    for (const name of await runtime.files.list(this.folder)) {
      const records: LogRecord[] = [];
      let bytes = 0;
      try {
        const folder = join(this.folder, name);
        const log = await AsyncLog.open({ runtime, folder, key, begin, readOnly: true }, (record, { length }) => {
          records.push(record);
          bytes += length;
        });
        await log.close();
      } catch (error) {
        if (!isError(error, 'corrupt', 'unsupported', 'not-found')) throw error;
        damaged(error);
        continue;
      }
      const entry = records.find((record) => record.type === 'operation');
      const said = records.find((record) => record.type === 'refused');
      // Being kept just now.
      if (entry === undefined || said === undefined) continue;
      const data = records.filter((record) => record.type === 'chunk');
      yield { entry, data, bytes, reason: said.reason, at: said.at };
    }
  }

  async remove(number: number): Promise<void> {
    await this.runtime.files.remove(join(this.folder, nameOf(number)));
  }
}

/** In the order of numbers. */
function nameOf(number: number): string {
  return String(number).padStart(15, '0');
}
