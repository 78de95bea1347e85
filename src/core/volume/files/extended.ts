// Extended attributes of inodes, found by the hash of their name. The inode counts them, so that asking a file without any (the
// kernel does it before every write) costs nothing. A record is the name's length u8, the name, the value.

import { asBuffer, type Bytes, equalBytes } from '../../base/bytes.ts';
import { encode } from '../../base/codec.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { MapReader } from '../../tree/tree.ts';
import { fileError } from './files.ts';
import { attributesOf } from './inodes.ts';
import {
  attributesReply,
  type FileOperation,
  type FileQuery,
  getExtendedReply,
  listExtendedReply,
} from './messages.ts';
import { checkExtendedName, type NameHash } from './names.ts';
import { behindInode, namedKey } from './records.ts';
import { emptySlot, findSlot, type Slot } from './slots.ts';
import { needInode, type Work } from './work.ts';

const nameAt = 1;

export async function setExtended(
  asked: FileOperation & { type: 'setExtended' },
  work: Work,
  names: NameHash,
): Promise<Bytes> {
  const { name, value, only, now } = asked;
  const inode = await work.need(asked.inode);
  const slot = await find(work.transaction, names, inode.inode, name);
  if (slot.value !== undefined && only === 'create') throw new InfinitError('exists', 'the attribute exists');
  if (slot.value === undefined) {
    if (only === 'replace') throw noAttribute();
    if (inode.extended >= limits.extendedPerInodeMax)
      throw new InfinitError('full', `a file has at most ${limits.extendedPerInodeMax} extended attributes`);
    inode.extended++;
  }
  work.put(slot.key, Buffer.concat([Buffer.from([name.length]), name, value]));
  inode.changed = now;
  work.touch(inode);
  return encode(attributesReply, attributesOf(inode));
}

export async function removeExtended(
  asked: FileOperation & { type: 'removeExtended' },
  work: Work,
  names: NameHash,
): Promise<Bytes> {
  const inode = await work.need(asked.inode);
  const slot = await find(work.transaction, names, inode.inode, asked.name);
  if (slot.value === undefined) throw noAttribute();
  await emptySlot(work, slot);
  inode.extended--;
  inode.changed = asked.now;
  work.touch(inode);
  return encode(attributesReply, attributesOf(inode));
}

export async function getExtended(
  asked: FileQuery & { type: 'getExtended' },
  reader: MapReader,
  names: NameHash,
): Promise<Bytes> {
  const inode = await needInode(reader, asked.inode);
  const slot = inode.extended === 0 ? undefined : await find(reader, names, inode.inode, asked.name);
  if (slot?.value === undefined) throw noAttribute();
  return encode(getExtendedReply, decodeExtended(slot.value).value);
}

export async function listExtended(asked: FileQuery & { type: 'listExtended' }, reader: MapReader): Promise<Bytes> {
  const inode = await needInode(reader, asked.inode);
  const found: Bytes[] = [];
  if (inode.extended > 0)
    for await (const { value } of reader.scan(firstKey(inode.inode), behindInode('extended', inode.inode)))
      found.push(decodeExtended(value).name);
  return encode(listExtendedReply, found);
}

/** Of an inode that goes. */
export function dropExtended(work: Work, inode: number): Promise<void> {
  return work.deleteAll(firstKey(inode), behindInode('extended', inode));
}

function find(reader: Pick<MapReader, 'get'>, names: NameHash, inode: number, name: Bytes): Promise<Slot> {
  checkExtendedName(name);
  return findSlot(reader, { space: 'extended', inode, hash: names.of(name), name, matches });
}

function matches(record: Bytes, name: Bytes): boolean {
  return equalBytes(decodeExtended(record).name, name);
}

/** Throws `corrupt`. */
function decodeExtended(record: Bytes): { name: Bytes; value: Bytes } {
  const bytes = asBuffer(record);
  const valueAt = nameAt + (bytes[0] ?? 0);
  if (valueAt === nameAt || bytes.length < valueAt) throw new InfinitError('corrupt', 'an attribute is malformed');
  return { name: bytes.subarray(nameAt, valueAt), value: bytes.subarray(valueAt) };
}

function firstKey(inode: number): Buffer {
  return namedKey('extended', inode, Buffer.alloc(8), 0);
}

function noAttribute(): InfinitError {
  return fileError('no-attribute', 'no such attribute');
}
