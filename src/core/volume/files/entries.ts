// Directory entries: found by the hash of their name, listed in the order of it.

import { asBuffer, type Bytes } from '../../base/bytes.ts';
import { type CodecType, encode } from '../../base/codec.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { MapReader } from '../../tree/tree.ts';
import { type Attributes, type Cookie, type FileType, fileTypes } from './files.ts';
import { attributesOf, type Inode } from './inodes.ts';
import { type FileQuery, listReply } from './messages.ts';
import type { NameHash } from './names.ts';
import { behindInode, hashOf, namedKey } from './records.ts';
import { findSlot, type Slot } from './slots.ts';
import { findInode, needDirectory } from './work.ts';

const nameAt = 9;
const inodeAt = 3;
const dotCookie = 1n;
const dotDotCookie = 2n;
const cookieMax = 2n ** 63n - 1n;

export interface Entry {
  /** Of the tree the inode is in, as this tree numbers it; 0: this one. */
  domain: number;
  inode: number;
  type: FileType;
  name: Bytes;
}

/** What an entry leads to, as one number: above all inodes of the tree when it is in another (`borderOf`). */
export function numberOf({ domain, inode }: Pick<Entry, 'domain' | 'inode'>): number {
  return domain * limits.domainInodesMax + inode;
}

/** What such a number stands for; undefined: an inode of the tree itself. */
export function borderOf(number: number): Pick<Entry, 'domain' | 'inode'> | undefined {
  if (number < limits.domainInodesMax) return undefined;
  const domain = Math.floor(number / limits.domainInodesMax);
  return { domain, inode: number - domain * limits.domainInodesMax };
}

/** All that a tree knows of what is in another: that it is there, and what it is. */
export function borderAttributes(entry: Entry): Attributes {
  const never = { seconds: 0, nanoseconds: 0 };
  return {
    inode: numberOf(entry),
    generation: 0,
    type: entry.type,
    mode: 0,
    uid: 0,
    gid: 0,
    links: 1,
    size: 0,
    allocatedBytes: 0,
    accessed: never,
    modified: never,
    changed: never,
    created: never,
    device: 0,
    hasExtended: false,
  };
}

export function encodeEntry(entry: Entry): Buffer {
  const out = Buffer.allocUnsafe(nameAt + entry.name.length);
  out[0] = fileTypes.indexOf(entry.type);
  out.writeUInt16BE(entry.domain, 1);
  out.writeUIntBE(entry.inode, inodeAt, 6);
  out.set(entry.name, nameAt);
  return out;
}

/** Throws `corrupt`. */
export function decodeEntry(record: Bytes): Entry {
  const bytes = asBuffer(record);
  const type = fileTypes[bytes[0] ?? fileTypes.length];
  if (type === undefined || bytes.length <= nameAt) throw new InfinitError('corrupt', 'an entry is malformed');
  const domain = bytes.readUInt16BE(1);
  if (domain > limits.domainsOfTreeMax) throw new InfinitError('corrupt', 'an entry leads to no tree there may be');
  return { domain, inode: bytes.readUIntBE(inodeAt, 6), type, name: bytes.subarray(nameAt) };
}

/** Where a name stands, or would. */
export interface Spot {
  slot: Slot;
  entry: Entry | undefined;
}

export async function findEntry(
  reader: Pick<MapReader, 'get'>,
  names: NameHash,
  directory: number,
  name: Bytes,
): Promise<Spot> {
  const slot = await findSlot(reader, { space: 'entry', inode: directory, hash: names.of(name), name, matches });
  return { slot, entry: slot.value && decodeEntry(slot.value) };
}

function matches(record: Bytes, name: Bytes): boolean {
  return record.length === nameAt + name.length && asBuffer(record).compare(name, 0, name.length, nameAt) === 0;
}

/** Throws `not-found`. */
export async function needEntry(
  reader: Pick<MapReader, 'get'>,
  names: NameHash,
  directory: number,
  name: Bytes,
): Promise<{ slot: Slot; entry: Entry }> {
  const { slot, entry } = await findEntry(reader, names, directory, name);
  if (entry === undefined) throw new InfinitError('not-found', 'no such entry');
  return { slot, entry };
}

export async function isEmpty(reader: MapReader, directory: number): Promise<boolean> {
  for await (const _ of reader.scan(firstKey(directory, 0n), behindInode('entry', directory))) return false;
  return true;
}

type ListReply = CodecType<typeof listReply>;
type Listed = ListReply['entries'][number];

export async function list(asked: FileQuery & { type: 'list' }, reader: MapReader): Promise<Bytes> {
  const directory = await needDirectory(reader, asked.directory);
  const limit = Math.min(Math.max(asked.limit, 1), limits.listEntriesMax - slotsOfHash);
  const entries: Listed[] = [];
  if (asked.after < dotCookie) entries.push(dotEntry('.', directory.inode, dotCookie));
  if (asked.after < dotDotCookie && entries.length < limit)
    entries.push(dotEntry('..', directory.parent, dotDotCookie));
  const full = entries.length >= limit;
  const end = !full && (await listNamed(reader, directory.inode, asked.after, { limit, entries }));
  if (asked.attributes) await addAttributes(reader, entries);
  return encode(listReply, { entries, end });
}

/** What one hash may add above the limit: its names are answered together. */
const slotsOfHash = 256;

/** Whether all was listed. */
async function listNamed(
  reader: MapReader,
  directory: number,
  after: Cookie,
  into: { limit: number; entries: Listed[] },
): Promise<boolean> {
  if (after >= cookieMax) return true;
  const { limit, entries } = into;
  let cookie = 0n;
  for await (const { key, value } of reader.scan(firstKey(directory, after + 1n), behindInode('entry', directory))) {
    const next = hashOf(key).readBigUInt64BE();
    if (next !== cookie && entries.length >= limit) return false;
    cookie = next;
    const entry = decodeEntry(value);
    const { name, type } = entry;
    entries.push({ name, inode: numberOf(entry), type, cookie, attributes: undefined });
  }
  return true;
}

function firstKey(directory: number, cookie: Cookie): Buffer {
  const hash = Buffer.allocUnsafe(8);
  hash.writeBigUInt64BE(cookie);
  return namedKey('entry', directory, hash, 0);
}

function dotEntry(name: string, inode: number, cookie: Cookie): Listed {
  return { name: Buffer.from(name), inode, type: 'directory', cookie, attributes: undefined };
}

/** In the order of inode numbers: what was made together stands together. */
async function addAttributes(reader: MapReader, entries: Listed[]): Promise<void> {
  const own = entries.flatMap(({ inode }) => (borderOf(inode) === undefined ? [inode] : []));
  const wanted = [...new Set(own)].sort((a, b) => a - b);
  const found = new Map<number, Attributes>();
  for (const number of wanted) {
    const inode: Inode | undefined = await findInode(reader, number);
    if (inode !== undefined) found.set(number, attributesOf(inode));
  }
  for (const entry of entries) entry.attributes = found.get(entry.inode);
}
