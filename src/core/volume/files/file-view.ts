// What a tree of files means: operations on inodes, entries, extents, executed at the leader, and queries on its view
// (docs/tree-schema.md 3, 5). Here requests find who does them.

import type { Bytes } from '../../base/bytes.ts';
import { decode, encode } from '../../base/codec.ts';
import { asError, InfinitError } from '../../base/errors.ts';
import type { MapReader, Transaction, TreeView } from '../../tree/tree.ts';
import { allocate, append, change, write } from './data.ts';
import {
  addBorder,
  addDomain,
  domain,
  domains,
  dropBorder,
  dropDomain,
  leadAway,
  listChores,
  note,
} from './domains.ts';
import { borderAttributes, list, needEntry } from './entries.ts';
import { getExtended, listExtended, removeExtended, setExtended } from './extended.ts';
import { cells, pending } from './extents.ts';
import { fileError } from './files.ts';
import { attributesOf, type Inode } from './inodes.ts';
import { extents, seek } from './layout.ts';
import {
  attributesReply,
  type FileOperation,
  type FileQuery,
  fileOperation,
  fileQuery,
  nothingReply,
  readLinkReply,
  usageReply,
} from './messages.ts';
import { isDot, isDotDot, type NameHash, NameHashes } from './names.ts';
import { begin, link, make, removeDirectory, unlink } from './nodes.ts';
import { hold, orphans, reap, release } from './orphans.ts';
import { rename } from './rename.ts';
import { forgetJournal, records, replay, replayed, reserve } from './replay.ts';
import { needDirectory, needInode, readVolume, Work } from './work.ts';

export interface FileViewOptions {
  /** Of the tree's secret: what names are hashed with. */
  nameKey: Bytes;
  /** Instead of the hash of the format: tests make names collide. */
  names?: NameHash;
}

export function createFileView({ nameKey, names = new NameHashes(nameKey) }: FileViewOptions): TreeView {
  return {
    kind: 'files',
    pending,
    cells,

    async execute(operation: Bytes, transaction: Transaction): Promise<Bytes> {
      const asked = fromCaller(() => decode(fileOperation, operation));
      if (asked.type !== 'replay') return executed(asked, transaction, names);
      const late = { names, execute: (one: FileOperation, made?: number) => executed(one, transaction, names, made) };
      return replay(asked, transaction, late);
    },

    async query(query: Bytes, reader: MapReader): Promise<Bytes> {
      return answer(
        fromCaller(() => decode(fileQuery, query)),
        reader,
        names,
      );
    },
  };
}

async function executed(
  asked: FileOperation,
  transaction: Transaction,
  names: NameHash,
  made?: number,
): Promise<Bytes> {
  const work = new Work(transaction);
  const reply = await execute(asked, work, names, made);
  await work.finish();
  return reply;
}

function execute(asked: FileOperation, work: Work, names: NameHash, made?: number): Promise<Bytes> | Bytes {
  switch (asked.type) {
    case 'begin':
      return begin(asked, work);
    case 'make':
      return make(asked, work, names, made);
    case 'link':
      return link(asked, work, names);
    case 'unlink':
      return unlink(asked, work, names);
    case 'removeDirectory':
      return removeDirectory(asked, work, names);
    case 'rename':
      return rename(asked, work, names);
    case 'change':
      return change(asked, work);
    case 'write':
      return write(asked, work);
    case 'allocate':
      return allocate(asked, work);
    case 'setExtended':
      return setExtended(asked, work, names);
    case 'removeExtended':
      return removeExtended(asked, work, names);
    case 'hold':
      return hold(asked, work);
    case 'release':
      return release(asked, work);
    case 'reap':
      return reap(asked, work);
    case 'nothing':
      return encode(nothingReply, {});
    case 'append':
      return append(asked, work);
    case 'reserve':
      return reserve(asked, work);
    case 'forgetJournal':
      return forgetJournal(asked, work);
    case 'replay':
      throw new InfinitError('usage', 'a replay within a replay');
    case 'addDomain':
      return addDomain(asked, work);
    case 'dropDomain':
      return dropDomain(asked, work);
    case 'leadAway':
      return leadAway(asked, work, names);
    case 'addBorder':
      return addBorder(asked, work, names);
    case 'dropBorder':
      return dropBorder(asked, work, names);
    case 'note':
      return note(asked, work);
  }
}

function answer(asked: FileQuery, reader: MapReader, names: NameHash): Promise<Bytes> {
  switch (asked.type) {
    case 'lookup':
      return lookup(asked, reader, names);
    case 'attributes':
      return needInode(reader, asked.inode).then(encodeAttributes);
    case 'readLink':
      return readLink(asked.inode, reader);
    case 'list':
      return list(asked, reader);
    case 'extents':
      return extents(asked, reader);
    case 'seek':
      return seek(asked, reader);
    case 'getExtended':
      return getExtended(asked, reader, names);
    case 'listExtended':
      return listExtended(asked, reader);
    case 'usage':
      return usage(reader);
    case 'orphans':
      return orphans(asked, reader);
    case 'records':
      return records(asked, reader);
    case 'replayed':
      return replayed(asked, reader);
    case 'domains':
      return domains(reader);
    case 'domain':
      return domain(asked, reader);
    case 'chores':
      return listChores(asked, reader);
  }
}

async function lookup(
  { directory, name }: FileQuery & { type: 'lookup' },
  reader: MapReader,
  names: NameHash,
): Promise<Bytes> {
  const at = await needDirectory(reader, directory);
  if (isDot(name)) return encodeAttributes(at);
  if (isDotDot(name)) return encodeAttributes(await needInode(reader, at.parent));
  const { entry } = await needEntry(reader, names, directory, name);
  if (entry.domain !== 0) return encode(attributesReply, borderAttributes(entry));
  return encodeAttributes(await needInode(reader, entry.inode));
}

async function readLink(inode: number, reader: MapReader): Promise<Bytes> {
  const { target } = await needInode(reader, inode);
  if (target === undefined) throw fileError('invalid', `inode ${inode} is no symbolic link`);
  return encode(readLinkReply, target);
}

async function usage(reader: MapReader): Promise<Bytes> {
  const { bytesUsed, inodesUsed, quota } = await readVolume(reader);
  return encode(usageReply, { bytesUsed, inodesUsed, quota });
}

function encodeAttributes(inode: Inode): Bytes {
  return encode(attributesReply, attributesOf(inode));
}

/** What a caller sent wrongly is his mistake, not a damage of the tree. */
function fromCaller<T>(task: () => T): T {
  try {
    return task();
  } catch (error) {
    throw new InfinitError('usage', `malformed request: ${asError(error).message}`, { cause: error });
  }
}
