// An operation at work: the inodes it has loaded, and what it comes to in counters. `finish` records each changed inode, each
// chunk's live bytes and the super record once, however often the operation touched them.

import type { Bytes } from '../../base/bytes.ts';
import { decode, encode } from '../../base/codec.ts';
import { InfinitError, isError } from '../../base/errors.ts';
import { chunkKey, type SuperRecord, superKey, superRecord } from '../../tree/keys.ts';
import { dropCells, encodeChunkRecord } from '../../tree/packing.ts';
import type { MapReader, Transaction, WrittenChunk } from '../../tree/tree.ts';
import { type FileTime, fileError } from './files.ts';
import { decodeInode, encodeInode, type Inode } from './inodes.ts';
import { checkInode, inodeKey } from './records.ts';
import { isLater, nextTime } from './times.ts';

/** Up to so many keys are deleted one by one. */
const singleDeletesMax = 8;

type Getter = Pick<MapReader, 'get'>;

/** The inode, unless it does not exist (any more). */
export async function findInode(reader: Getter, inode: number): Promise<Inode | undefined> {
  checkInode(inode);
  const record = await reader.get(inodeKey(inode));
  if (record === undefined) return undefined;
  const found = decodeInode(inode, record);
  return found.dying ? undefined : found;
}

export async function needInode(reader: Getter, inode: number): Promise<Inode> {
  return existing(inode, await findInode(reader, inode));
}

export async function needDirectory(reader: Getter, inode: number): Promise<Inode> {
  return asDirectory(await needInode(reader, inode));
}

export function asDirectory(inode: Inode): Inode {
  if (inode.type !== 'directory') throw fileError('not-directory', `inode ${inode.inode} is no directory`);
  return inode;
}

export function asFile(inode: Inode): Inode {
  if (inode.type === 'directory') throw fileError('is-directory', `inode ${inode.inode} is a directory`);
  if (inode.type !== 'file') throw fileError('invalid', `inode ${inode.inode} is no file`);
  return inode;
}

function existing(inode: number, found: Inode | undefined): Inode {
  if (found === undefined) throw fileError('stale', `inode ${inode} does not exist`);
  return found;
}

export class Work {
  readonly transaction: Transaction;
  private readonly known = new Map<number, Inode>();
  private readonly changed = new Set<Inode>();
  /** When inodes had changed last before this operation. */
  private readonly changedBefore = new Map<Inode, FileTime>();
  private readonly named = new Map<number, { chunk: WrittenChunk; live: number }>();
  private readonly dead = new Map<number, number>();
  private loadedSuper: SuperRecord | undefined;
  private bytes = 0;
  private inodes = 0;

  constructor(transaction: Transaction) {
    this.transaction = transaction;
  }

  /** One object for an inode, however often it is asked for. */
  async find(inode: number): Promise<Inode | undefined> {
    const known = this.known.get(inode);
    if (known !== undefined) return known;
    const found = await findInode(this.transaction, inode);
    if (found !== undefined) {
      this.known.set(inode, found);
      this.changedBefore.set(found, found.changed);
    }
    return found;
  }
  async need(inode: number): Promise<Inode> {
    return existing(inode, await this.find(inode));
  }
  async directory(inode: number): Promise<Inode> {
    return asDirectory(await this.need(inode));
  }
  async file(inode: number): Promise<Inode> {
    return asFile(await this.need(inode));
  }

  /** The inode is recorded at the end. */
  touch(inode: Inode): void {
    this.changed.add(inode);
  }
  add(inode: Inode): void {
    this.known.set(inode.inode, inode);
    this.changed.add(inode);
    this.inodes++;
  }
  remove(inode: Inode): void {
    this.known.delete(inode.inode);
    this.changed.delete(inode);
    this.inodes--;
    this.transaction.delete(inodeKey(inode.inode));
  }

  allocate(counter: 'inode' | 'chunk'): Promise<number> {
    // Handing out numbers may change the super record.
    this.loadedSuper = undefined;
    return this.transaction.allocate(counter);
  }

  /** A chunk of the operation becomes part of the tree, as far as bytes of it are named. */
  async addChunk(chunk: WrittenChunk): Promise<number> {
    const number = await this.allocate('chunk');
    this.named.set(number, { chunk, live: 0 });
    return number;
  }

  /** So many more bytes of a new chunk are named, or so many less of any. */
  live(chunk: number, bytes: number): void {
    const own = this.named.get(chunk);
    if (own !== undefined) own.live += bytes;
    else this.dead.set(chunk, (this.dead.get(chunk) ?? 0) - bytes);
  }

  /** The inode's extents have so many bytes more (or less). */
  allocated(inode: Inode, bytes: number): void {
    inode.allocated += bytes;
    this.bytes += bytes;
  }

  /** Throws `full` with `split` when the operation changes more than fits in one. */
  put(key: Bytes, value: Bytes): void {
    try {
      this.transaction.put(key, value);
    } catch (error) {
      throw isError(error, 'full') ? tooMuch(error) : error;
    }
  }

  delete(key: Bytes): void {
    this.transaction.delete(key);
  }

  /** Deletes keys that follow each other with none to be kept between them. */
  deleteRun(keys: readonly Bytes[]): void {
    const [first] = keys;
    const last = keys.at(-1);
    if (first === undefined || last === undefined) return;
    if (keys.length <= singleDeletesMax) for (const key of keys) this.delete(key);
    else this.transaction.deleteRange(first, Buffer.concat([last, Buffer.from([0])]));
  }

  /** Deletes what there is in a range of keys. */
  async deleteAll(from: Bytes, to: Bytes): Promise<void> {
    const keys: Bytes[] = [];
    for await (const { key } of this.transaction.scan(from, to))
      if (keys.push(key) > singleDeletesMax) {
        this.transaction.deleteRange(from, to);
        return;
      }
    this.deleteRun(keys);
  }

  async super(): Promise<SuperRecord> {
    this.loadedSuper ??= await readVolume(this.transaction);
    return this.loadedSuper;
  }

  async finish(): Promise<void> {
    for (const inode of this.changed) this.changeLater(inode);
    for (const inode of this.changed) this.put(inodeKey(inode.inode), encodeInode(inode));
    for (const [number, { chunk, live }] of this.named) {
      if (live <= 0) continue;
      this.put(chunkKey(number), encodeChunkRecord(chunk, live));
    }
    if (this.dead.size > 0) {
      const cells = Array.from(this.dead, ([chunk, length]) => ({ chunk, cell: 0, length }));
      await dropCells(cells, { get: (key) => this.transaction.get(key), put: (key, value) => this.put(key, value) });
    }
    if (this.bytes !== 0 || this.inodes !== 0) await this.count();
  }

  /** Clients' clocks differ, yet no two states of an inode have one time of change: who copies it relies on that. */
  private changeLater(inode: Inode): void {
    const before = this.changedBefore.get(inode);
    if (before !== undefined && !isLater(inode.changed, before)) inode.changed = nextTime(before);
  }

  private async count(): Promise<void> {
    const record = await this.super();
    const bytesUsed = Math.max(0, record.bytesUsed + this.bytes);
    const inodesUsed = Math.max(0, record.inodesUsed + this.inodes);
    const most = record.quota === 0 ? Number.MAX_SAFE_INTEGER : record.quota;
    if (this.bytes > 0 && bytesUsed > most) throw new InfinitError('full', 'the volume has reached its quota');
    this.put(superKey, encode(superRecord, { ...record, bytesUsed, inodesUsed }));
  }
}

/** The operation is to be asked again in parts. */
export function tooMuch(cause?: unknown): InfinitError {
  return new InfinitError('full', 'too much for one operation', { data: { split: true }, cause });
}

/** The super record of a tree that was begun. */
export async function readVolume(reader: Getter): Promise<SuperRecord> {
  const record = await reader.get(superKey);
  if (record === undefined) throw fileError('stale', 'the volume has no root directory yet');
  return decode(superRecord, record);
}
