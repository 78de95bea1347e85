// The files view on a tree in memory: operations run as the leader runs them, effects applied when they succeed. A commit moves
// waiting data into chunks as the committer does. And what must always hold of the records, checked over all of them.

import assert from 'node:assert/strict';
import { decode, encode } from '../../../../src/core/base/codec.ts';
import { type ErrorKind, InfinitError, isError } from '../../../../src/core/base/errors.ts';
import { limits } from '../../../../src/core/base/limits.ts';
import { hash } from '../../../../src/core/crypto/hash.ts';
import { BaseTree } from '../../../../src/core/tree/base/base-tree.ts';
import { LayeredReader } from '../../../../src/core/tree/base/layered-reader.ts';
import { NodeStore } from '../../../../src/core/tree/base/node-store.ts';
import type { TreeContext } from '../../../../src/core/tree/context.ts';
import { Counters } from '../../../../src/core/tree/counters.ts';
import { type ChunkRecord, chunkRecord, spaceRange, superRecord } from '../../../../src/core/tree/keys.ts';
import { Memtable } from '../../../../src/core/tree/memtable.ts';
import { packPending } from '../../../../src/core/tree/packing.ts';
import type { MapReader, WrittenChunk } from '../../../../src/core/tree/tree.ts';
import { decodeEntry } from '../../../../src/core/volume/files/entries.ts';
import { decodeExtent } from '../../../../src/core/volume/files/extents.ts';
import { createFileView, type FileViewOptions } from '../../../../src/core/volume/files/file-view.ts';
import { type Attributes, type FileReason, reasonOf } from '../../../../src/core/volume/files/files.ts';
import { decodeInode, type Inode } from '../../../../src/core/volume/files/inodes.ts';
import {
  allocateReply,
  attributesReply,
  type ExtentsReply,
  extentsReply,
  type FileOperation,
  type FileQuery,
  fileOperation,
  fileQuery,
  listReply,
  nothingReply,
  reapReply,
  renameReply,
  usageReply,
  writeReply,
} from '../../../../src/core/volume/files/messages.ts';
import { inodeOf } from '../../../../src/core/volume/files/records.ts';
import { MemoryBlocks, memoryRuntime } from '../../tree/memory-blocks.ts';

export const bytes = (text: string): Buffer => Buffer.from(text);
export const client = Buffer.alloc(16, 7);
export const time = (seconds: number, nanoseconds = 0) => ({ seconds, nanoseconds });

type Asked<T extends FileOperation['type']> = Omit<FileOperation & { type: T }, 'type'>;
export type Written = Asked<'write'>;

/** A chunk of cells with these bytes, as a client would have put it; its plain bytes are kept aside. */
const plainOf = new Map<string, Buffer[]>();
let chunksMade = 0;
export function chunkOf(cells: Buffer[]): WrittenChunk {
  const address = hash(Buffer.from(`chunk ${chunksMade++}`));
  plainOf.set(address.toString('hex'), cells);
  const key = Buffer.alloc(32, 1);
  return { address: address as never, key, stored: 100, cells: cells.map((cell) => cell.length), generation: 0 };
}

export class ViewTree {
  readonly view;
  private memtable = new Memtable();
  private readonly counters = new Counters();
  private base: BaseTree;
  private sequence = 0;
  private packs = 0;
  now = 1000;

  constructor(options: Partial<FileViewOptions> = {}) {
    this.view = createFileView({ nameKey: Buffer.alloc(32, 9), ...options });
    const blocks = new MemoryBlocks();
    const treeTag = Buffer.alloc(16);
    const putOptions = () => ({ generation: 0, quorum: 1 });
    this.base = new BaseTree(new NodeStore({ runtime: memoryRuntime(), blocks, treeTag, putOptions }));
  }

  static async begun(options: Partial<FileViewOptions> & { quota?: number; defaultMode?: number } = {}) {
    const { quota = 0, defaultMode = 0, ...rest } = options;
    const tree = new ViewTree(rest);
    await tree.do({ type: 'begin', mode: 0o755, uid: 1, gid: 2, defaultMode, quota, now: tree.tick() });
    return tree;
  }

  get reader(): MapReader {
    return new LayeredReader([this.memtable], this.base);
  }

  tick() {
    return time(this.now++);
  }

  /** The reply, or what the view threw: then nothing changed. */
  async do(operation: FileOperation): Promise<Uint8Array> {
    return this.doRaw(encode(fileOperation, operation));
  }

  async doRaw(operation: Uint8Array): Promise<Uint8Array> {
    const mark = this.counters.mark();
    const below = new LayeredReader([this.memtable], this.base);
    const transaction = this.counters.transaction(below, ++this.sequence);
    try {
      const reply = await this.view.execute(operation, transaction);
      assert.ok(reply.length <= limits.replyBytesMax, 'the reply fits');
      this.memtable.apply(transaction.effects());
      return reply;
    } catch (error) {
      this.counters.restore(mark);
      throw error;
    }
  }

  ask(query: FileQuery): Promise<Uint8Array> {
    return this.view.query(encode(fileQuery, query), this.reader);
  }

  async make(name: string | Buffer | undefined, node: Partial<Asked<'make'>['node']> = {}, directory = 1) {
    const full = { type: 'file', mode: 0o644, uid: 5, gid: 6, device: 0, target: Buffer.alloc(0), ...node } as const;
    const named = name === undefined ? undefined : Buffer.from(name);
    const reply = await this.do({ type: 'make', directory, name: named, node: full, now: this.tick(), client });
    return decode(attributesReply, reply);
  }

  async link(inode: number, name: string, directory = 1): Promise<Attributes> {
    return decode(
      attributesReply,
      await this.do({ type: 'link', inode, directory, name: bytes(name), now: this.tick() }),
    );
  }

  async unlink(name: string | Buffer, options: { directory?: number; free?: boolean; held?: boolean } = {}) {
    const { directory = 1, free = true, held = false } = options;
    const now = this.tick();
    return decode(
      attributesReply,
      await this.do({ type: 'unlink', directory, name: Buffer.from(name), now, free, client, held }),
    );
  }

  async removeDirectory(name: string, directory = 1): Promise<void> {
    decode(nothingReply, await this.do({ type: 'removeDirectory', directory, name: bytes(name), now: this.tick() }));
  }

  async rename(
    from: [number, string],
    to: [number, string],
    options: { mode?: 'replace' | 'no-replace' | 'exchange'; held?: number; free?: boolean } = {},
  ) {
    const { mode = 'replace', held, free = true } = options;
    const place = ([directory, name]: [number, string]) => ({ directory, name: bytes(name) });
    const reply = await this.do({
      type: 'rename',
      from: place(from),
      to: place(to),
      mode,
      now: this.tick(),
      free,
      client,
      held,
    });
    return decode(renameReply, reply);
  }

  async change(inode: number, change: Partial<Asked<'change'>>): Promise<Attributes> {
    const none = { mode: undefined, uid: undefined, gid: undefined, size: undefined };
    const times = { accessed: undefined, modified: undefined };
    return decode(
      attributesReply,
      await this.do({ type: 'change', ...none, ...times, inode, now: this.tick(), ...change }),
    );
  }

  /** As a client does: again until the size is there. */
  async resize(inode: number, size: number): Promise<Attributes> {
    for (let last = Number.POSITIVE_INFINITY; ; ) {
      const found = await this.change(inode, { size });
      if (found.size === size) return found;
      assert.ok(found.size > size && found.size < last, 'a step leaves a smaller file');
      last = found.size;
    }
  }

  async write(files: Written['files'], chunks: WrittenChunk[] = []): Promise<Attributes[]> {
    return decode(writeReply, await this.do({ type: 'write', files, chunks }));
  }

  async writeBytes(inode: number, offset: number, data: Buffer): Promise<Attributes[]> {
    return this.write([{ inode, modified: this.tick(), pieces: [{ type: 'bytes', offset, bytes: data }] }]);
  }

  /** Data in a chunk of its own, behind some other bytes of the first cell. */
  async writeCells(inode: number, offset: number, data: Buffer, skip = 0): Promise<Attributes[]> {
    const plain = Buffer.concat([Buffer.alloc(skip, 0xee), data]);
    const cells: Buffer[] = [];
    for (let at = 0; at < plain.length; at += 65_536) cells.push(plain.subarray(at, at + 65_536));
    const piece = { type: 'cells', offset, length: data.length, chunk: 0, cell: 0, skip } as const;
    return this.write([{ inode, modified: this.tick(), pieces: [piece] }], [chunkOf(cells)]);
  }

  /** As a client does: until the whole range is done. */
  async allocate(inode: number, offset: number, length: number, mode: Asked<'allocate'>['mode']) {
    for (let done = 0; ; ) {
      const reply = await this.do({
        type: 'allocate',
        inode,
        offset: offset + done,
        length: length - done,
        mode,
        now: this.tick(),
      });
      const { attributes, behind } = decode(allocateReply, reply);
      assert.ok(behind > 0, 'a step goes on');
      done += behind;
      if (done === length) return attributes;
    }
  }

  async setExtended(inode: number, name: string, value: Buffer, only?: 'create' | 'replace'): Promise<Attributes> {
    return decode(
      attributesReply,
      await this.do({ type: 'setExtended', inode, name: bytes(name), value, only, now: this.tick() }),
    );
  }

  async reap(inode: number, before = time(0)): Promise<number> {
    for (let steps = 1; ; steps++)
      if (decode(reapReply, await this.do({ type: 'reap', inode, before })).done) return steps;
  }

  async attributes(inode: number): Promise<Attributes> {
    return decode(attributesReply, await this.ask({ type: 'attributes', inode }));
  }

  async lookup(name: string | Buffer, directory = 1): Promise<Attributes> {
    return decode(attributesReply, await this.ask({ type: 'lookup', directory, name: Buffer.from(name) }));
  }

  async list(directory = 1, after = 0n, limit = 1000, attributes = false) {
    return decode(listReply, await this.ask({ type: 'list', directory, after, limit, attributes }));
  }

  async names(directory = 1): Promise<string[]> {
    const { entries, end } = await this.list(directory);
    assert.ok(end);
    return entries.map(({ name }) => Buffer.from(name).toString()).sort();
  }

  extents(inode: number, offset: number, length: number): Promise<ExtentsReply> {
    return this.ask({ type: 'extents', inode, offset, length }).then((reply) => decode(extentsReply, reply));
  }

  /** The bytes a reader would get. */
  async read(inode: number, offset: number, length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let at = offset; at < offset + length; ) {
      const { pieces, size } = await this.extents(inode, at, offset + length - at);
      if (pieces.length === 0) {
        assert.ok(at >= size);
        break;
      }
      for (const piece of pieces) {
        const part = plain(piece);
        at += part.length;
        parts.push(part);
      }
    }
    return Buffer.concat(parts);
  }

  async usage() {
    return decode(usageReply, await this.ask({ type: 'usage' }));
  }

  async refused(promise: Promise<unknown>, kind: ErrorKind, reason?: FileReason): Promise<void> {
    await assert.rejects(promise, (error) => {
      assert.ok(error instanceof InfinitError && isError(error, kind), `${kind}, not ${error}`);
      assert.equal(reasonOf(error), reason);
      return true;
    });
  }

  /** Data that waits moves into chunks, and everything into the base below. */
  async commit(): Promise<void> {
    const chunks = { write: async (cells: Buffer[]) => [chunkOf(cells.map((cell) => Buffer.from(cell)))] };
    const context = { view: this.view, runtime: memoryRuntime(), chunks } as unknown as TreeContext;
    const packed = await packPending(context, this.memtable.freeze(), this.packs);
    this.packs += packed.packs;
    this.base = new BaseTree(this.base.store, await this.base.merge(packed.effects));
    this.memtable = new Memtable();
  }

  async records(space: Parameters<typeof spaceRange>[0]) {
    const found = [];
    const { from, to } = spaceRange(space);
    for await (const entry of this.reader.scan(from, to)) found.push(entry);
    return found;
  }

  async inodes(): Promise<Map<number, Inode>> {
    const records = await this.records('inode');
    return new Map(records.map(({ key, value }) => [inodeOf(key), decodeInode(inodeOf(key), value)]));
  }

  async chunks(): Promise<Map<number, ChunkRecord>> {
    const records = await this.records('chunk');
    return new Map(records.map(({ key, value }) => [inodeOf(key), decode(chunkRecord, value)]));
  }

  /** What must hold of all records whatever was done. */
  async check(): Promise<void> {
    const inodes = await this.inodes();
    const live = new Map<number, number>();
    const allocated = new Map<number, number>();
    let end = { inode: 0, at: 0 };
    for (const { key, value } of await this.records('extent')) {
      const inode = inodeOf(key);
      const { start, length, body } = decodeExtent(key, value);
      if (end.inode !== inode) end = { inode, at: 0 };
      assert.ok(start >= end.at, 'extents do not overlap');
      end.at = start + length;
      const size = inodes.get(inode)?.size ?? 0;
      assert.ok(body.type === 'reserved' || end.at <= size || inodes.get(inode)?.dying, 'data ends with the file');
      allocated.set(inode, (allocated.get(inode) ?? 0) + length);
      if (body.type === 'cells') live.set(body.chunk, (live.get(body.chunk) ?? 0) + length);
    }
    for (const [number, chunk] of await this.chunks())
      assert.equal(chunk.live, live.get(number) ?? 0, `live bytes of chunk ${number}`);
    for (const [number, inode] of inodes)
      assert.equal(inode.allocated, allocated.get(number) ?? 0, `allocated bytes of inode ${number}`);
    for (const number of allocated.keys()) assert.ok(inodes.has(number), `inode ${number} has extents`);
    await this.checkLinks(inodes);
    const [record] = await this.records('super');
    const { bytesUsed, inodesUsed } = decode(superRecord, record?.value ?? Buffer.alloc(0));
    assert.equal(
      bytesUsed,
      [...allocated.values()].reduce((sum, one) => sum + one, 0),
    );
    assert.equal(inodesUsed, inodes.size);
  }

  private async checkLinks(inodes: Map<number, Inode>): Promise<void> {
    const links = new Map<number, number>([[1, 2]]);
    const add = (inode: number) => links.set(inode, (links.get(inode) ?? 0) + 1);
    for (const { key, value } of await this.records('entry')) {
      const { inode, type } = decodeEntry(value);
      add(inode);
      assert.equal(inodes.get(inode)?.type, type);
      if (type !== 'directory') continue;
      add(inode);
      add(inodeOf(key));
      assert.equal(inodes.get(inode)?.parent, inodeOf(key));
    }
    const orphans = new Set((await this.records('orphan')).map(({ key }) => inodeOf(key)));
    for (const [number, inode] of inodes) {
      assert.equal(inode.links, links.get(number) ?? 0, `links of inode ${number}`);
      assert.equal(orphans.has(number), inode.links === 0, `inode ${number} is an orphan`);
      orphans.delete(number);
    }
    assert.equal(orphans.size, 0);
  }
}

function plain(piece: ExtentsReply['pieces'][number]): Buffer {
  if (piece.type === 'zeros') return Buffer.alloc(piece.length);
  if (piece.type === 'bytes') return Buffer.from(piece.bytes);
  const cells = plainOf.get(Buffer.from(piece.address).toString('hex'));
  assert.ok(cells, 'the chunk was written');
  const run = Buffer.concat(cells.slice(piece.cell)).subarray(piece.skip, piece.skip + piece.length);
  assert.equal(run.length, piece.length);
  return run;
}
