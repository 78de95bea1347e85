// Where trees of other access lists begin (docs/tree-schema.md, domains): `t` records name the trees, entries lead to inodes of
// them. Such an inode is a root of its tree: an entry of that tree's inode 1, which nobody sees, named by its own number. What
// takes changes in two trees is noted in the first until the second is done, so that whoever finds the note can end it.

import { asBuffer, type Bytes, u16Bytes, u48Bytes } from '../../base/bytes.ts';
import { decode, encode } from '../../base/codec.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { spaceKey, spaceRange } from '../../tree/keys.ts';
import type { MapReader } from '../../tree/tree.ts';
import { type Entry, encodeEntry, needEntry } from './entries.ts';
import { fileError, rootInode } from './files.ts';
import {
  type Chore,
  chores,
  choresReply,
  domainNumberReply,
  domainRecord,
  domainsReply,
  type FileOperation,
  type FileQuery,
  fileTime,
  nothingReply,
} from './messages.ts';
import { checkName, type NameHash } from './names.ts';
import { changedNow, freeSpot } from './nodes.ts';
import { dropName } from './orphans.ts';
import { behindInode } from './records.ts';
import { emptySlot } from './slots.ts';
import type { Work } from './work.ts';

type Asked<T extends FileOperation['type']> = FileOperation & { type: T };

const recordKeyBytes = 3;

function domainKey(domain: number): Buffer {
  return spaceKey('domain', u16Bytes(domain));
}

function choreKey(domain: number, chore: (typeof chores)[number], inode: number): Buffer {
  return spaceKey('domain', u16Bytes(domain), Buffer.from([chores.indexOf(chore)]), u48Bytes(inode));
}

/** Names a tree, or says of one named before what is known of it now. Answers its number. Throws `full`. */
export async function addDomain({ record }: Asked<'addDomain'>, work: Work): Promise<Bytes> {
  const taken = new Set<number>();
  for await (const { key, value } of domainRecords(work.transaction)) {
    const number = numberOf(key);
    if (Buffer.compare(decode(domainRecord, value).treeId, record.treeId) === 0) {
      work.put(key, encode(domainRecord, record));
      return encode(domainNumberReply, number);
    }
    taken.add(number);
  }
  for (let number = 1; number <= limits.domainsOfTreeMax; number++) {
    if (taken.has(number)) continue;
    work.put(domainKey(number), encode(domainRecord, record));
    return encode(domainNumberReply, number);
  }
  throw new InfinitError('full', `a volume has at most ${limits.domainsOfTreeMax} access lists below one`);
}

/** The tree is gone, with all that was noted of it. */
export async function dropDomain({ domain }: Asked<'dropDomain'>, work: Work): Promise<Bytes> {
  await work.deleteAll(domainKey(domain), domainKey(domain + 1));
  return encode(nothingReply, {});
}

/**
 * The name leads to a copy in another tree from now on, and what it stood for here loses it: unless that changed after `changed`
 * (`busy`), because the copy is of that moment; or unless it goes to a third tree. Entries of a directory go with it: their like is in
 * the copy.
 */
export async function leadAway(asked: Asked<'leadAway'>, work: Work, names: NameHash): Promise<Bytes> {
  const { domain, target, now } = asked;
  const directory = await work.directory(asked.directory);
  const { slot, entry } = await needEntry(work.transaction, names, directory.inode, asked.name);
  if (entry.domain !== 0 || entry.inode !== asked.inode) throw fileError('busy', 'another file has the name now');
  if ((await work.transaction.get(domainKey(domain))) === undefined)
    throw new InfinitError('not-found', `there is no access list ${domain}`);
  const inode = await work.need(entry.inode);
  const { seconds, nanoseconds } = inode.changed;
  if (seconds !== asked.changed.seconds || nanoseconds !== asked.changed.nanoseconds)
    throw fileError('busy', 'the file changed meanwhile');
  await checkGoesThere(work, domain, inode.inode);
  work.put(slot.key, encodeEntry({ ...entry, domain, inode: target }));
  changedNow(work, directory, now);
  if (inode.type === 'directory') {
    work.transaction.deleteRange(inodeEntries(inode.inode), behindInode('entry', inode.inode));
    inode.links = 1;
  }
  await dropName(work, inode, asked);
  work.put(choreKey(domain, 'led', inode.inode), encode(fileTime, now));
  return encode(nothingReply, {});
}

/** `busy` for what is to go to another tree than that. */
async function checkGoesThere(work: Work, domain: number, inode: number): Promise<void> {
  for (const other of await numbersOf(work))
    if (other !== domain && (await isMoving(work, other, inode)))
      throw fileError('busy', 'it is to have another access list');
}

/** `stale` for what is gone; `busy` for a directory in one that goes: what is in it may be there already. */
async function checkMayGo(work: Work, inode: number): Promise<void> {
  let at = await work.need(inode);
  if (at.links === 0) throw fileError('stale', `inode ${inode} has no name any more`);
  const numbers = await numbersOf(work);
  for (let depth = 0; at.type === 'directory' && at.inode !== rootInode; depth++) {
    if (depth === limits.directoryDepthMax) throw new InfinitError('full', 'directories are nested too deep');
    at = await work.directory(at.parent);
    for (const domain of numbers)
      if (await isMoving(work, domain, at.inode))
        throw fileError('busy', 'the directory it is in is given another access list');
  }
}

async function isMoving({ transaction }: Work, domain: number, inode: number): Promise<boolean> {
  return (await transaction.get(choreKey(domain, 'moving', inode))) !== undefined;
}

async function numbersOf({ transaction }: Work): Promise<number[]> {
  const found: number[] = [];
  for await (const { key } of domainRecords(transaction)) found.push(numberOf(key));
  return found;
}

/** A name that leads to another tree. */
export async function addBorder(asked: Asked<'addBorder'>, work: Work, names: NameHash): Promise<Bytes> {
  const { name, of: type, domain, inode, now } = asked;
  const directory = await work.directory(asked.directory);
  if ((await work.transaction.get(domainKey(domain))) === undefined)
    throw new InfinitError('not-found', `there is no access list ${domain}`);
  const { slot } = await freeSpot(work, names, directory, name);
  work.put(slot.key, encodeEntry({ domain, inode, type, name }));
  if (type === 'directory') directory.links++;
  changedNow(work, directory, now);
  return encode(nothingReply, {});
}

/** The name that leads to the other tree goes; that the file there is to be removed is noted if it is so. */
export async function dropBorder(asked: Asked<'dropBorder'>, work: Work, names: NameHash): Promise<Bytes> {
  const directory = await work.directory(asked.directory);
  checkName(asked.name);
  const { slot, entry } = await needEntry(work.transaction, names, directory.inode, asked.name);
  if (entry.domain !== asked.domain || entry.inode !== asked.inode)
    throw fileError('busy', 'another file has the name now');
  await emptySlot(work, slot);
  if (asked.left) leave(work, entry, asked.now);
  if (entry.type === 'directory') directory.links--;
  changedNow(work, directory, asked.now);
  return encode(nothingReply, {});
}

/** Nothing here names the root of the other tree any more. */
export function leave(work: Work, { domain, inode }: Entry, now: Asked<'dropBorder'>['now']): void {
  work.put(choreKey(domain, 'left', inode), encode(fileTime, now));
}

/** Notes what is to be done, or that it is done. */
export async function note(asked: Asked<'note'>, work: Work): Promise<Bytes> {
  const key = choreKey(asked.domain, asked.chore, asked.inode);
  if (!asked.done) {
    if ((await work.transaction.get(domainKey(asked.domain))) === undefined)
      throw new InfinitError('not-found', `there is no access list ${asked.domain}`);
    if (asked.chore === 'moving') await checkMayGo(work, asked.inode);
    if (asked.alone && (await hasOtherChore(work, asked.domain, key)))
      throw fileError('busy', 'the access list is being changed');
    work.put(key, encode(fileTime, asked.now));
  } else if ((await work.transaction.get(key)) !== undefined) work.delete(key);
  return encode(nothingReply, {});
}

export async function domain(asked: FileQuery & { type: 'domain' }, reader: MapReader): Promise<Bytes> {
  const record = await reader.get(domainKey(asked.domain));
  if (record === undefined) throw fileError('stale', `there is no access list ${asked.domain}`);
  return record;
}

async function hasOtherChore(work: Work, domain: number, own: Bytes): Promise<boolean> {
  for await (const { key } of work.transaction.scan(domainKey(domain), domainKey(domain + 1)))
    if (key.length > recordKeyBytes && Buffer.compare(key, own) !== 0) return true;
  return false;
}

/** All trees named here. */
export async function domains(reader: MapReader): Promise<Bytes> {
  const found = [];
  for await (const { key, value } of domainRecords(reader))
    found.push({ domain: numberOf(key), record: decode(domainRecord, value) });
  return encode(domainsReply, found);
}

/** What is noted, as far as one answer goes. */
export async function listChores({ after }: FileQuery & { type: 'chores' }, reader: MapReader): Promise<Bytes> {
  const found: Chore[] = [];
  const { from, to } = spaceRange('domain');
  const begin = after && Buffer.concat([choreKey(after.domain, after.chore, after.inode), Buffer.from([0])]);
  for await (const { key, value } of reader.scan(begin ?? from, to)) {
    const bytes = asBuffer(key);
    const chore = bytes.length === recordKeyBytes ? undefined : chores[bytes[recordKeyBytes] ?? chores.length];
    if (chore === undefined) continue;
    const inode = bytes.readUIntBE(recordKeyBytes + 1, 6);
    found.push({ domain: numberOf(key), chore, inode, since: decode(fileTime, value) });
    if (found.length === limits.choresPerAnswerMax) break;
  }
  return encode(choresReply, found);
}

/** From one to the next, past all that is noted of each. */
async function* domainRecords(reader: Pick<MapReader, 'scan'>) {
  for (let number = 1; number <= limits.domainsOfTreeMax; number++) {
    for await (const entry of reader.scan(domainKey(number), spaceRange('domain').to)) {
      number = numberOf(entry.key);
      if (entry.key.length === recordKeyBytes) yield entry;
      break;
    }
  }
}

function numberOf(key: Bytes): number {
  return asBuffer(key).readUInt16BE(1);
}

/** First key of a directory's entries. */
function inodeEntries(inode: number): Buffer {
  return behindInode('entry', inode - 1);
}
