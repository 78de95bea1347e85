// A client's own journal as it is on the disk, read beside whoever has it open: what waits, what was refused, and where files are as
// far as the journal knows.

import { join } from 'node:path';
import { type Bytes, toHex } from '../../base/bytes.ts';
import { decode } from '../../base/codec.ts';
import { type InfinitError, isError } from '../../base/errors.ts';
import type { KeyPair } from '../../crypto/keys.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { AsyncLog, type LateEntry, type LogRecord, type Place } from '../../tree/async/log.ts';
import { LateNames } from '../../volume/files/late-facts.ts';
import { fileOperation } from '../../volume/files/messages.ts';
import { damagedError, type JournalHead, readHead } from './journal-folder.ts';
import { type Refused, RefusedOperations } from './refused.ts';

type Parts = Pick<Runtime, 'clock' | 'files' | 'random' | 'log'>;

/** Files may come and go while they are read. */
const triesMax = 5;
const begin = () => ({ next: 0, inode: 0, inodeEnd: 0, sent: 0 });

export interface KeptOperation {
  entry: LateEntry;
  /** On the disk, with its data. */
  bytes: number;
}

export class JournalReading {
  readonly head: JournalHead;
  private readonly runtime: Parts;
  private readonly folder: string;

  private constructor(runtime: Parts, folder: string, head: JournalHead) {
    this.runtime = runtime;
    this.folder = folder;
    this.head = head;
  }

  /** Undefined when none has begun there. Throws `corrupt`. */
  static async open(runtime: Parts, folder: string, user: KeyPair): Promise<JournalReading | undefined> {
    const head = await readHead(runtime, folder, user);
    return head && new JournalReading(runtime, folder, head);
  }

  get refused(): RefusedOperations {
    return new RefusedOperations(this.runtime, this.folder, this.head.key);
  }

  /** In order. Throws `corrupt`. */
  async waiting(): Promise<KeptOperation[]> {
    return this.reading(this.folder, async (read) => {
      let sent = 0;
      const entries: { entry: LateEntry; length: number }[] = [];
      const lengths = new Map<string, number>();
      await read((record, { length }) => {
        if (record.type === 'begin') sent = Math.max(sent, record.sent);
        else if (record.type === 'chunk') lengths.set(toHex(record.address), length);
        else if (record.type === 'operation') entries.push({ entry: record, length });
        else if (record.type === 'sent') sent = Math.max(sent, record.through);
      });
      return entries
        .filter(({ entry }) => entry.number > sent)
        .map(({ entry, length }) => {
          const data = chunksOf(entry).map((address) => lengths.get(address) ?? 0);
          return { entry, bytes: data.reduce((sum, one) => sum + one, length) };
        });
    });
  }

  /** The data an operation that waits names, by the addresses of chunks in hex. */
  async dataOf(entry: LateEntry): Promise<Map<string, readonly Bytes[]>> {
    const wanted = new Set(chunksOf(entry));
    return this.reading(this.folder, async (read) => {
      const found = new Map<string, readonly Bytes[]>();
      await read((record) => {
        if (record.type !== 'chunk') return;
        const address = toHex(record.address);
        if (wanted.has(address)) found.set(address, record.cells);
      });
      return found;
    });
  }

  /** Where files are: as the network was last seen, and as what waits leaves them. */
  async names(waiting: readonly KeptOperation[], refused: readonly Refused[]): Promise<LateNames> {
    const known = new LateNames();
    await this.reading(join(this.folder, 'known'), (read) =>
      read((record) => {
        if (record.type === 'known') for (const { key, value } of record.entries) known.learn(key, value);
      }),
    ).catch((error: unknown) => {
      if (!isError(error, 'corrupt', 'unsupported')) throw error; // it is only a copy
    });
    for (const { entry } of [...refused, ...waiting]) known.learnFrom(entry);
    return known;
  }

  private async reading<T>(
    folder: string,
    task: (read: (visit: (record: LogRecord, place: Place) => void) => Promise<void>) => Promise<T>,
  ): Promise<T> {
    const read = async (visit: (record: LogRecord, place: Place) => void) => {
      const log = await AsyncLog.open(
        { runtime: this.runtime, folder, key: this.head.key, begin, readOnly: true },
        visit,
      );
      await log.close();
    };
    for (let triesLeft = triesMax; ; triesLeft--) {
      try {
        return await task(read);
      } catch (error) {
        if (isError(error, 'corrupt')) throw damagedError(this.folder, (error as InfinitError).message, error);
        if (!isError(error, 'not-found') || triesLeft === 0) throw error;
      }
    }
  }
}

function chunksOf({ operation }: LateEntry): string[] {
  const asked = decode(fileOperation, operation);
  return asked.type === 'write' || asked.type === 'append' ? asked.chunks.map(({ address }) => toHex(address)) : [];
}
