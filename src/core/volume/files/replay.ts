// Operations that come late (decision 029): a client with a journal of its own has done them for itself, and has them done here, in
// order, each once. Where others have come before, nothing of theirs is lost and nothing of his: what is in the way of a name gets
// another, a file that others changed is not taken away, and data that would cover others' is not written before it was kept.

import type { Bytes } from '../../base/bytes.ts';
import { decode, encode, struct, u48 } from '../../base/codec.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { readSuper } from '../../tree/counters.ts';
import { spaceKey, spaceRange, superKey, superRecord } from '../../tree/keys.ts';
import type { MapReader, Transaction } from '../../tree/tree.ts';
import { type Entry, findEntry, numberOf } from './entries.ts';
import { type FileReason, type FileTime, fileReasons, rootInode } from './files.ts';
import {
  type FileOperation,
  type FileQuery,
  fileOperation,
  fileTime,
  journalIdBytes,
  type LateOperation,
  nothingReply,
  type ReplayReply,
  recordsReply,
  replayedReply,
  replayReply,
  reserveReply,
  type SeenFile,
} from './messages.ts';
import { type NameHash, nameBeside } from './names.ts';
import { isLater } from './times.ts';
import { findInode, tooMuch, type Work } from './work.ts';

type Asked<T extends FileOperation['type']> = FileOperation & { type: T };

/** Operations that may be done late (`replayOne`). */
export const lateTypes: ReadonlySet<FileOperation['type']> = new Set([
  ...(['make', 'link', 'unlink', 'removeDirectory', 'rename', 'write', 'append', 'change', 'allocate'] as const),
  ...(['setExtended', 'removeExtended', 'hold', 'release', 'nothing'] as const),
]);
const firstInode = 16;
const conflictTriesMax = 1000;
/** How far a journal has come, and when it was heard of. */
const journalRecord = struct({ through: u48, at: fileTime });

export interface LateView {
  names: NameHash;
  /** Does one operation; what it makes gets that number. */
  execute: (operation: FileOperation, made?: number) => Promise<Bytes>;
}

export async function replay(asked: Asked<'replay'>, transaction: Transaction, view: LateView): Promise<Bytes> {
  const key = journalKey(asked.journal);
  let through = await throughOf(transaction, key);
  if (through === undefined) await makeRoom(transaction);
  const reply: ReplayReply = { changed: [], notes: [] };
  const touched = new Set<number>();
  for (const late of asked.operations) {
    if (late.number <= (through ?? 0)) continue;
    const note = await replayOne(late, asked.label, transaction, view);
    if (note !== undefined) reply.notes.push({ number: late.number, text: note });
    for (const { inode } of late.seen) touched.add(inode);
    if (touched.size > limits.asyncSeenMax) throw tooMuch();
    through = late.number;
  }
  for (const inode of touched) {
    const found = await findInode(transaction, inode);
    if (found !== undefined) reply.changed.push({ inode, changed: found.changed });
  }
  transaction.put(key, encode(journalRecord, { through: through ?? 0, at: asked.now }));
  const answer = encode(replayReply, reply);
  if (answer.length > limits.replyBytesMax) throw tooMuch();
  return answer;
}

export async function reserve({ count }: Asked<'reserve'>, work: Work): Promise<Bytes> {
  if (count < 1 || count > limits.asyncInodesMax)
    throw new InfinitError('usage', `1 to ${limits.asyncInodesMax} inode numbers are reserved at once`);
  const record = await work.super();
  const first = record.nextInode;
  if (first + count > limits.domainInodesMax) throw new InfinitError('full', 'no inode numbers are left');
  work.put(superKey, encode(superRecord, { ...record, nextInode: first + count }));
  return encode(reserveReply, first);
}

export async function forgetJournal({ journal }: Asked<'forgetJournal'>, work: Work): Promise<Bytes> {
  const key = journalKey(journal);
  if ((await work.transaction.get(key)) !== undefined) work.delete(key);
  return encode(nothingReply, {});
}

export async function replayed({ journal }: FileQuery & { type: 'replayed' }, reader: MapReader): Promise<Bytes> {
  return encode(replayedReply, (await throughOf(reader, journalKey(journal))) ?? 0);
}

export async function records({ from, to }: FileQuery & { type: 'records' }, reader: MapReader): Promise<Bytes> {
  const entries: { key: Bytes; value: Bytes }[] = [];
  let bytes = 0;
  for await (const { key, value } of reader.scan(from, to)) {
    bytes += key.length + value.length;
    const isFull = entries.length === limits.recordsPerAnswerMax || bytes > limits.recordsBytesPerAnswerMax;
    if (entries.length > 0 && isFull) return encode(recordsReply, { entries, through: key });
    entries.push({ key, value });
  }
  return encode(recordsReply, { entries, through: to });
}

/** What came out otherwise than the client saw it, in words. */
async function replayOne(
  late: LateOperation,
  label: string,
  transaction: Transaction,
  view: LateView,
): Promise<string | undefined> {
  const operation = decode(fileOperation, late.operation);
  const context = { late, label, transaction, view };
  switch (operation.type) {
    case 'make':
      return placed(operation, context, await checkMade(context));
    case 'link':
      if ((await findInode(transaction, operation.inode)) === undefined) throw conflictError('gone', [operation.inode]);
      return placed(operation, context);
    case 'unlink':
    case 'removeDirectory':
      return taken(operation, context);
    case 'rename':
      return renamed(operation, context);
    case 'write':
      return written(operation, context);
    case 'append':
      if (late.without.includes(operation.inode)) return undefined;
      if (await isGone(operation.inode, late, transaction)) throw conflictError('gone', [operation.inode]);
      break;
    case 'change':
    case 'allocate':
    case 'setExtended':
    case 'removeExtended':
      return changed(operation, context);
    case 'hold':
    case 'release':
    case 'nothing':
      break;
    default:
      throw new InfinitError('usage', `an operation "${operation.type}" does not come late`);
  }
  await view.execute(operation);
  return undefined;
}

interface Context {
  late: LateOperation;
  label: string;
  transaction: Transaction;
  view: LateView;
}

/** The number was reserved, and is nobody's. Throws `usage`. */
async function checkMade({ late: { made }, transaction }: Context): Promise<number> {
  const { nextInode } = await readSuper(transaction);
  if (made === undefined || made < firstInode || made >= nextInode || transaction.willAllocate(made))
    throw new InfinitError('usage', 'what is made late has a number that was reserved');
  if ((await findInode(transaction, made)) !== undefined) throw new InfinitError('exists', `inode ${made} exists`);
  return made;
}

/** Makes or links under the name, or one beside it; in the root when the directory is gone. */
async function placed(operation: Asked<'make' | 'link'>, context: Context, made?: number): Promise<string | undefined> {
  const { view } = context;
  const { name } = operation;
  const directory = await livingDirectory(operation.directory, context);
  if (name === undefined) {
    await view.execute({ ...operation, directory } as FileOperation, made);
    return undefined;
  }
  const isTaken = (await entryAt(directory, name, context)) !== undefined;
  const moved = isTaken || directory !== operation.directory;
  const free = moved ? await freeName(directory, name, context) : name;
  await view.execute({ ...operation, directory, name: free } as FileOperation, made);
  if (!moved) return undefined;
  return isTaken
    ? `${shown(name)} had been made by somebody else: it is ${shown(free)}`
    : `the folder of ${shown(name)} was gone: it is ${shown(free)} in the root`;
}

/** A name goes, unless others have changed what it stands for. */
async function taken(operation: Asked<'unlink' | 'removeDirectory'>, context: Context): Promise<string | undefined> {
  const { late, transaction, view } = context;
  const directory = await findInode(transaction, operation.directory);
  const entry = directory && (await entryAt(operation.directory, operation.name, context));
  if (entry === undefined) return undefined;
  const kept = `${shown(operation.name)} was changed by somebody else: it is kept`;
  const seen = late.seen[0];
  if (seen === undefined || numberOf(entry) !== seen.inode) return kept;
  if (operation.type === 'unlink') {
    if (entry.type === 'directory' || !(await isAsSeen(seen, transaction))) return kept;
  } else if (entry.type !== 'directory') return kept;
  try {
    await view.execute(operation);
  } catch (error) {
    // Nothing was done: emptiness is looked at first.
    if (error instanceof InfinitError && error.data?.reason === ('not-empty' satisfies FileReason)) return kept;
    throw error;
  }
  return undefined;
}

/** `seen`: what is moved, then what was replaced or exchanged, if anything. */
async function renamed(operation: Asked<'rename'>, context: Context): Promise<string | undefined> {
  const { late, transaction, view } = context;
  const { from, to, mode } = operation;
  const [moves, replaces] = late.seen;
  const source = (await findInode(transaction, from.directory)) && (await entryAt(from.directory, from.name, context));
  if (moves === undefined || source === undefined || numberOf(source) !== moves.inode)
    return `${shown(from.name)} was moved or deleted by somebody else: it is not renamed to ${shown(to.name)}`;
  const directory = await livingDirectory(to.directory, context);
  const target = await entryAt(directory, to.name, context);
  const target_ = { directory, name: to.name };
  if (target === undefined) {
    if (mode === 'exchange') return `${shown(to.name)} was deleted by somebody else: it is not exchanged`;
    await view.execute({ ...operation, to: target_, mode: 'replace' });
    return directory === to.directory ? undefined : `the folder of ${shown(to.name)} was gone: it is in the root`;
  }
  const expected = replaces !== undefined && numberOf(target) === replaces.inode;
  if (mode === 'exchange') {
    if (!expected) return `${shown(to.name)} was replaced by somebody else: it is not exchanged`;
    await view.execute({ ...operation, to: target_ });
    return undefined;
  }
  const intact = expected && (target.type === 'directory' || (await isAsSeen(replaces, transaction)));
  if (intact) {
    const emptied = await replacing({ ...operation, to: target_ }, view);
    if (emptied) return undefined;
  }
  const free = await freeName(directory, to.name, context);
  await view.execute({ ...operation, from: target_, to: { directory, name: free }, mode: 'no-replace' });
  await view.execute({ ...operation, to: target_, mode: 'replace' });
  return `${shown(to.name)} was changed by somebody else: theirs is ${shown(free)}`;
}

/** Whether it was done: not onto a directory that others have filled. */
async function replacing(operation: Asked<'rename'>, view: LateView): Promise<boolean> {
  try {
    await view.execute(operation);
    return true;
  } catch (error) {
    if (error instanceof InfinitError && error.data?.reason === ('not-empty' satisfies FileReason)) return false;
    throw error;
  }
}

async function written(operation: Asked<'write'>, context: Context): Promise<string | undefined> {
  const { late, transaction, view } = context;
  const files = operation.files.filter(({ inode }) => !late.without.includes(inode));
  const missing: number[] = [];
  for (const { inode } of files) if (await isGone(inode, late, transaction)) missing.push(inode);
  if (missing.length > 0) throw conflictError('gone', missing);
  await checkSeen(
    late.seen.filter(({ inode }) => !late.without.includes(inode)),
    transaction,
  );
  if (files.length > 0) await view.execute({ ...operation, files });
  return undefined;
}

async function changed(
  operation: Asked<'change' | 'allocate' | 'setExtended' | 'removeExtended'>,
  { late, transaction, view }: Context,
): Promise<string | undefined> {
  if (await isGone(operation.inode, late, transaction))
    return 'a file whose attributes were changed was deleted by somebody else';
  await checkSeen(late.seen, transaction);
  await view.execute(operation);
  return undefined;
}

/** One that lost its last name is gone unless it had none when this client changed it: then nobody else sees it. */
async function isGone(inode: number, { seen }: LateOperation, reader: MapReader): Promise<boolean> {
  const found = await findInode(reader, inode);
  return found === undefined || (found.links === 0 && seen.some((one) => one.inode === inode));
}

/** Throws `changed` with those that others have changed since. */
async function checkSeen(seen: readonly SeenFile[], reader: MapReader): Promise<void> {
  const others: number[] = [];
  for (const file of seen) if (!(await isAsSeen(file, reader))) others.push(file.inode);
  if (others.length > 0) throw conflictError('changed', others);
}

/** One that is gone was not changed. */
async function isAsSeen({ inode, changed: at }: SeenFile, reader: MapReader): Promise<boolean> {
  const now = (await findInode(reader, inode))?.changed;
  return now === undefined || isSameTime(now, at);
}

function isSameTime(a: FileTime, b: FileTime): boolean {
  return a.seconds === b.seconds && a.nanoseconds === b.nanoseconds;
}

function conflictError(reason: 'changed' | 'gone', inodes: readonly number[]): InfinitError {
  const message = `others have ${reason === 'gone' ? 'deleted' : 'changed'} what this changes`;
  return new InfinitError(fileReasons[reason], message, { data: { reason, inodes } });
}

async function livingDirectory(inode: number, { transaction }: Context): Promise<number> {
  const found = await findInode(transaction, inode);
  return found?.type === 'directory' && found.links > 0 ? inode : rootInode;
}

async function entryAt(directory: number, name: Bytes, { transaction, view }: Context): Promise<Entry | undefined> {
  return (await findEntry(transaction, view.names, directory, name)).entry;
}

/** The same on every replay. Throws `full`. */
async function freeName(directory: number, name: Bytes, context: Context): Promise<Bytes> {
  for (let count = 1; count <= conflictTriesMax; count++) {
    const candidate = nameBeside(name, context.label, count);
    if ((await entryAt(directory, candidate, context)) === undefined) return candidate;
  }
  throw new InfinitError('full', `no name beside ${shown(name)} is free`);
}

function shown(name: Bytes): string {
  return JSON.stringify(Buffer.from(name).toString('utf8'));
}

function journalKey(journal: Bytes): Buffer {
  return spaceKey('journal', journal);
}

async function throughOf(reader: Pick<MapReader, 'get'>, key: Bytes): Promise<number | undefined> {
  const record = await reader.get(key);
  return record && decode(journalRecord, record).through;
}

/** Of the most journals a tree remembers, the one not heard of for the longest time goes. */
async function makeRoom(transaction: Transaction): Promise<void> {
  const { from, to } = spaceRange('journal');
  let oldest: { key: Bytes; at: FileTime } | undefined;
  let count = 0;
  for await (const { key, value } of transaction.scan(from, to)) {
    count++;
    const { at } = decode(journalRecord, value);
    if (key.length === 1 + journalIdBytes && (oldest === undefined || isLater(oldest.at, at))) oldest = { key, at };
  }
  if (count >= limits.asyncJournalsMax && oldest !== undefined) transaction.delete(oldest.key);
}
