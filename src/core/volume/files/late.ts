// The files view for a client's own journal (decision 029): what an operation on files relies on, which need not be sent, and how
// what others made of a file is kept beside it.

import { type Bytes, concatBytes, toHex } from '../../base/bytes.ts';
import { decode, encode } from '../../base/codec.ts';
import { InfinitError, isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Clock } from '../../runtime/runtime.ts';
import type { Late, LateView } from '../../tree/async/late-view.ts';
import type { LateEntry } from '../../tree/async/log.ts';
import { spaces } from '../../tree/keys.ts';
import type { MapReader, WrittenChunk } from '../../tree/tree.ts';
import { findEntry, numberOf } from './entries.ts';
import { type Expectation, expectation } from './expectation.ts';
import { type EntryPlace, type Files, type FileTime, reasonOf, rootInode } from './files.ts';
import { decodeInode } from './inodes.ts';
import {
  attributesReply,
  extentsReply,
  fileOperation,
  fileQuery,
  recordsReply,
  replayedReply,
  replayReply,
  reserveReply,
} from './messages.ts';
import { type NameHash, nameBeside } from './names.ts';
import { fileSpaces, inodeKey, inodeOf } from './records.ts';
import { lateTypes } from './replay.ts';
import { squashed } from './squash.ts';
import { FileTimes } from './times.ts';
import { findInode } from './work.ts';

const placesMax = 65_536;
const acceptedMax = 65_536;
const copyBytes = limits.packBytesMax;
const conflictTriesMax = 1000;
/** Answers that say where a file's data lies are asked for so often. */
const seeAsksMax = 256;
const lengthMax = 2 ** 40;
const chunkSpace = spaces.chunk.charCodeAt(0);

export interface LateFilesOptions {
  names: NameHash;
  clock: Clock;
  /** Part of the names of conflict copies. */
  label: string;
  /** Files of the network itself. Throws `unavailable`. */
  files: () => Files;
}

export function lateFiles(options: LateFilesOptions): LateView {
  return new LateFiles(options);
}

class LateFiles implements LateView {
  readonly queries: LateView['queries'] = {
    records: (from, to) => encode(fileQuery, { type: 'records', from, to }),
    recordsOf: (reply) => decode(recordsReply, reply),
    replayed: (journal) => encode(fileQuery, { type: 'replayed', journal }),
    replayedOf: (reply) => decode(replayedReply, reply),
  };
  readonly operations: LateView['operations'] = {
    reserve: (count) => encode(fileOperation, { type: 'reserve', count }),
    reservedOf: (reply) => decode(reserveReply, reply),
    replay: (journal, label, operations) => this.replay(journal, label, operations),
    forget: (journal) => encode(fileOperation, { type: 'forgetJournal', journal }),
  };
  private readonly options: LateFilesOptions;
  private readonly times: FileTimes;
  private readonly places = new Map<number, EntryPlace>();
  /** What this client takes a file's time of change to be, and what it came to be in the network. */
  private readonly accepted = new Map<number, { here: FileTime; there: FileTime }>();

  constructor(options: LateFilesOptions) {
    this.options = options;
    this.times = new FileTimes(options.clock);
  }

  async expected(operation: Bytes, reader: MapReader): Promise<Bytes> {
    const seen: Expectation = [];
    const asked = decode(fileOperation, operation);
    const see = async (inode: number | undefined, place?: EntryPlace): Promise<void> => {
      const found = inode === undefined ? undefined : await findInode(reader, inode);
      if (found === undefined || found.links === 0) return;
      seen.push({ inode: found.inode, changed: found.changed, place: place ?? this.places.get(found.inode) });
    };
    const at = async ({ directory, name }: EntryPlace) => {
      const { entry } = await findEntry(reader, this.options.names, directory, name);
      return entry && numberOf(entry);
    };
    if (asked.type === 'write') for (const { inode } of asked.files) await see(inode);
    else if (
      asked.type === 'append' ||
      asked.type === 'allocate' ||
      (asked.type === 'change' && asked.size !== undefined)
    )
      await see(asked.inode);
    else if (asked.type === 'unlink' || asked.type === 'removeDirectory') await see(await at(asked), placeOf(asked));
    else if (asked.type === 'rename') {
      await see(await at(asked.from), asked.from);
      await see(await at(asked.to), asked.to);
    }
    return encode(expectation, seen);
  }

  comesLate(operation: Bytes): boolean {
    return lateTypes.has(decode(fileOperation, operation).type);
  }

  async seeData(inode: number, ask: (query: Bytes) => Promise<Bytes>): Promise<void> {
    for (let offset = 0, asks = 0; asks < seeAsksMax; asks++) {
      const query = encode(fileQuery, { type: 'extents', inode, offset, length: lengthMax });
      const { size, pieces } = decode(extentsReply, await ask(query));
      for (const piece of pieces) offset += piece.type === 'bytes' ? piece.bytes.length : piece.length;
      if (pieces.length === 0 || offset >= size) return;
    }
  }

  ownerOf(from: Bytes, to: Bytes): number | undefined {
    if (from[0] === undefined || from[0] !== to[0] || !isFileSpace(from[0]) || from.length < 7 || to.length < 7)
      return undefined;
    const inode = inodeOf(from);
    const isBehind = to.length === 7 && inodeOf(to) === inode + 1;
    return isBehind || inodeOf(to) === inode ? inode : undefined;
  }

  isSame(key: Bytes): boolean {
    return key[0] !== fileSpaces.extent && key[0] !== chunkSpace;
  }

  chunksOf(operation: Bytes): readonly WrittenChunk[] {
    const asked = decode(fileOperation, operation);
    return asked.type === 'write' || asked.type === 'append' ? asked.chunks : [];
  }

  withChunks(operation: Bytes, chunks: readonly WrittenChunk[]): Bytes {
    const asked = decode(fileOperation, operation);
    if (asked.type !== 'write' && asked.type !== 'append') return operation;
    return encode(fileOperation, { ...asked, chunks: [...chunks] });
  }

  squashed<E extends LateEntry>(entries: readonly E[]): E[] {
    return squashed(entries);
  }

  looked(query: Bytes, reply: Bytes): void {
    const asked = decode(fileQuery, query);
    if (asked.type !== 'lookup') return;
    const { inode } = decode(attributesReply, reply);
    remember(this.places, inode, placeOf(asked), placesMax);
  }

  replayedTo(operations: readonly Late[], reply: Bytes): string[] {
    const { changed, notes } = decode(replayReply, reply);
    for (const { inode, changed: there } of changed) {
      const here = lastChange(operations, inode);
      if (here !== undefined) remember(this.accepted, inode, { here, there }, acceptedMax);
    }
    return notes.map(({ text }) => text);
  }

  conflictOf(error: unknown): ReturnType<LateView['conflictOf']> {
    if (!isError(error)) return undefined;
    const reason = reasonOf(error);
    if (reason !== 'changed' && reason !== 'gone') return undefined;
    const inodes = error.data?.inodes;
    if (!Array.isArray(inodes) || !inodes.every((inode) => Number.isSafeInteger(inode))) return undefined;
    return { reason, inodes: inodes as number[] };
  }

  async keepTheirs(inode: number, { expected }: LateEntry): Promise<string> {
    const files = this.options.files();
    const seen = decode(expectation, expected).find((one) => one.inode === inode);
    const { changed: there, mode, uid, gid, size, modified } = await files.attributes(inode);
    const place = seen?.place ?? { directory: rootInode, name: Buffer.from(`inode-${inode}`) };
    const node = { type: 'file', mode, uid, gid } as const;
    const { copy, name: free } = await this.makeBeside(place, (at) => files.make(at.directory, at.name, node));
    for (let offset = 0; offset < size; offset += copyBytes) {
      const parts = await files.read(inode, offset, Math.min(copyBytes, size - offset));
      if (parts.length > 0) await files.write(copy, offset, concatBytes(parts));
    }
    await files.change(copy, { modified });
    await files.sync(copy);
    if (seen !== undefined) remember(this.accepted, inode, { here: seen.changed, there }, acceptedMax);
    const [theirs, ours] = [free, place.name].map((one) => JSON.stringify(Buffer.from(one).toString('utf8')));
    return `${ours} was changed by somebody else: theirs is kept as ${theirs}`;
  }

  private async makeBeside(place: EntryPlace, make: (at: EntryPlace) => Promise<{ inode: number }>) {
    let { directory } = place;
    for (let count = 1; count <= conflictTriesMax; count++) {
      const beside = nameBeside(place.name, this.options.label, count);
      try {
        return { copy: (await make({ directory, name: beside })).inode, name: beside };
      } catch (error) {
        // The folder may be gone, too.
        if (isError(error) && reasonOf(error) === 'stale' && directory !== rootInode) directory = rootInode;
        else if (!isError(error, 'exists')) throw error;
      }
    }
    throw new InfinitError('full', 'no name beside a changed file is free');
  }

  private replay(journal: Bytes, label: string, operations: readonly Late[]): Bytes {
    const late = operations.map(({ number, made, expected, without, operation }) => ({
      ...{ number, made, operation, without: [...without] },
      seen: decode(expectation, expected).map(({ inode, changed }) => ({ inode, changed: this.there(inode, changed) })),
    }));
    return encode(fileOperation, { type: 'replay', journal, label, now: this.times.now(), operations: late });
  }

  private there(inode: number, changed: FileTime): FileTime {
    const known = this.accepted.get(inode);
    return known !== undefined && isSame(known.here, changed) ? known.there : changed;
  }
}

function isFileSpace(space: number): boolean {
  return Object.values(fileSpaces).includes(space);
}

function placeOf({ directory, name }: EntryPlace): EntryPlace {
  return { directory, name };
}

/** What the operations leave as the file's time of change here. */
function lastChange(operations: readonly LateEntry[], inode: number): FileTime | undefined {
  const key = toHex(inodeKey(inode));
  for (const { effects } of [...operations].reverse())
    for (const effect of effects)
      if (effect.type === 'put' && effect.key.length === key.length / 2 && toHex(effect.key) === key)
        return decodeInode(inode, effect.value).changed;
  return undefined;
}

function isSame(a: FileTime, b: FileTime): boolean {
  return a.seconds === b.seconds && a.nanoseconds === b.nanoseconds;
}

function remember<V>(map: Map<number, V>, key: number, value: V, max: number): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > max && oldest !== undefined) map.delete(oldest);
}
