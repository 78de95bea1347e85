// Where a member keeps journals in its silo: space `journal`, keys `tree 16, segment 4, first 6, last 6`; the record of the
// tree itself has segment 0xffffffff. A batch is one record; a journal is found again by listing its keys.

import { type Bytes, compareBytes, concatBytes, equalBytes, toHex, u32Bytes, u48Bytes } from '../../base/bytes.ts';
import { type CodecType, decode, encode, fixed, list, struct, u32, u48, u64 } from '../../base/codec.ts';
import { InfinitError, isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { type Address, address } from '../../block/address.ts';
import { formatted } from '../../block/register.ts';
import { hashBytes, labelledHash } from '../../crypto/hash.ts';
import { publicKeyBytes, signatureBytes } from '../../crypto/keys.ts';
import type { Silo, SiloEntry, SiloKey } from '../../silo/silo.ts';
import { nextChain, verifyChain } from './chain.ts';
import { type HeldBatch, type JournalChange, type MemberJournal, type MemberSegment, tailOf } from './member.ts';
import type { SignedBatch } from './messages.ts';

const metaSegment = 0xffff_ffff;
const prefixBytes = 16;
const askedAtOnce = 512;

const metaFields = {
  tree: address,
  fence: u64,
  segments: list(
    struct({
      id: u32,
      epoch: u64,
      start: u64,
      author: fixed(publicKeyBytes),
      base: struct({ last: u48, chain: fixed(hashBytes) }),
    }),
    limits.journalSegmentsKeptMax,
  ),
};
const metaRecord = formatted(2, struct({ ...metaFields, access: u32 }));
/** Before access lists changed. */
const metaRecord1 = formatted(1, struct(metaFields));

function decodeMeta(bytes: Bytes): CodecType<typeof metaRecord> {
  return bytes[0] === 1 ? { ...decode(metaRecord1, bytes), access: 0 } : decode(metaRecord, bytes);
}

const batchHeader = formatted(
  1,
  struct({ epoch: u64, previous: fixed(hashBytes), chain: fixed(hashBytes), signature: fixed(signatureBytes) }),
);
const batchHeaderBytes = 1 + 8 + 2 * hashBytes + signatureBytes;

function prefixOf(tree: Address): Buffer {
  return labelledHash('journal-key', tree).subarray(0, prefixBytes);
}

function keyOf(tree: Address, segment: number, first: number, last: number): SiloKey {
  return concatBytes([prefixOf(tree), u32Bytes(segment), u48Bytes(first), u48Bytes(last)]);
}

/** Of the record of the tree itself. */
export function metaKey(tree: Address): SiloKey {
  return keyOf(tree, metaSegment, 0, 0);
}

function parseKey(key: SiloKey): { segment: number; first: number; last: number } {
  const view = Buffer.from(key);
  return { segment: view.readUInt32BE(16), first: view.readUIntBE(20, 6), last: view.readUIntBE(26, 6) };
}

/** The silo entries that make the changes durable, in batches to be written one after another. */
export function entriesOf(tree: Address, journal: MemberJournal, changes: readonly JournalChange[]): SiloEntry[][] {
  const entries: SiloEntry[] = [];
  for (const change of changes) {
    if (change.type === 'meta') entries.push(metaEntry(tree, journal));
    else if (change.type === 'append') entries.push(batchEntry(tree, change));
    else
      for (const { first, last } of change.batches)
        entries.push({ space: 'journal', key: keyOf(tree, change.segment, first, last), value: undefined });
  }
  const batches: SiloEntry[][] = [];
  while (entries.length > 0) batches.push(entries.splice(0, limits.siloBatchRecordsMax));
  return batches;
}

function metaEntry(tree: Address, { fence, segments, access }: MemberJournal): SiloEntry {
  const listed = [...segments.values()].map(({ id, epoch, start, author, base }) => ({
    id,
    epoch,
    start,
    author,
    base,
  }));
  const value = encode(metaRecord, { tree, fence, segments: listed, access });
  return { space: 'journal', key: metaKey(tree), value };
}

function batchEntry(tree: Address, { segment, batch, chain }: JournalChange & { type: 'append' }): SiloEntry {
  const header = encode(batchHeader, {
    epoch: segment.epoch,
    previous: batch.previous,
    chain,
    signature: batch.signature,
  });
  const key = keyOf(tree, segment.id, batch.first, batch.last);
  return { space: 'journal', key, value: concatBytes([header, batch.data]) };
}

export interface StoredJournal {
  fence: number;
  access: number;
  segments: MemberSegment[];
}

/**
 * What a silo holds of a journal. Batches behind a hole were never acknowledged (answers wait for all before): they are
 * removed here, before anything is built on their place. A hole, or an end, that is only a batch whose name has rotted is no such:
 * what was acknowledged stands there and behind it. Throws `corrupt` then, and when what is left does not chain. `turn` lets the
 * event loop go.
 */
export async function loadJournal(
  silo: Silo,
  tree: Address,
  turn: () => Promise<void> = async () => {},
): Promise<StoredJournal | undefined> {
  const meta = await read(silo, metaKey(tree));
  if (!meta) return undefined;
  const record = decodeMeta(meta);
  if (!equalBytes(record.tree, tree)) throw new InfinitError('corrupt', 'a journal record is of another tree');
  const segments = new Map<number, MemberSegment>(record.segments.map((s) => [s.id, { ...s, batches: [] }]));
  const stray: SiloEntry[] = [];
  for await (const key of silo.list('journal', keyBefore(tree))) {
    if (compareBytes(key.subarray(0, prefixBytes), prefixOf(tree)) !== 0) break;
    const { segment: id, first, last } = parseKey(key);
    if (id === metaSegment) break;
    const segment = segments.get(id);
    if (!segment || first !== tailOf(segment).last + 1) stray.push({ space: 'journal', key, value: undefined });
    else segment.batches.push(await heldBatch(silo, key, segment, { first, last }));
  }
  for (const segment of segments.values()) await checkEnd(silo, tree, segment, turn);
  while (stray.length > 0) await silo.batch(stray.splice(0, limits.siloBatchRecordsMax));
  return { fence: record.fence, access: record.access, segments: [...segments.values()] };
}

/**
 * A record whose header has rotted is in no list, yet a silo knows of it by its key: every batch that may follow the last one
 * listed is asked for. Without that a member would report a shorter tail than it has acknowledged (L1).
 */
async function checkEnd(silo: Silo, tree: Address, segment: MemberSegment, turn: () => Promise<void>): Promise<void> {
  const first = tailOf(segment).last + 1;
  for (let at = 0; at < limits.journalBatchOperationsMax; at += askedAtOnce) {
    const keys = Array.from({ length: askedAtOnce }, (_, i) => keyOf(tree, segment.id, first, first + at + i));
    const sizes = await Promise.all(keys.map((key) => silo.size('journal', key)));
    if (sizes.some((size) => size !== undefined))
      throw new InfinitError('corrupt', `a batch of a journal is stored and cannot be read: ${first}`);
    await turn();
  }
}

/**
 * The trees of which there is a journal, as their records say; what cannot be read is left out. `known`: those read before, by key,
 * so that each record is read once.
 */
export async function* storedTrees(silo: Silo, known: Map<string, Address>): AsyncIterable<Address> {
  for await (const key of silo.list('journal')) {
    if (parseKey(key).segment !== metaSegment) continue;
    const tree = known.get(toHex(key)) ?? (await treeOf(silo, key));
    if (tree === undefined) continue;
    known.set(toHex(key), tree);
    yield tree;
  }
}

async function treeOf(silo: Silo, key: SiloKey): Promise<Address | undefined> {
  const meta = await read(silo, key).catch(() => undefined);
  try {
    return meta && decodeMeta(meta).tree;
  } catch (error) {
    if (!isError(error, 'corrupt', 'unsupported')) throw error;
    return undefined;
  }
}

/** Removes a journal whole, its record last: only of a tree that is deleted for good. */
export async function removeJournal(silo: Silo, tree: Address): Promise<void> {
  const entries: SiloEntry[] = [];
  for await (const key of silo.list('journal', keyBefore(tree))) {
    if (compareBytes(key.subarray(0, prefixBytes), prefixOf(tree)) !== 0) break;
    entries.push({ space: 'journal', key, value: undefined });
  }
  while (entries.length > 0) await silo.batch(entries.splice(0, limits.siloBatchRecordsMax));
}

/** Of a batch, by its key. */
export interface BatchPlace {
  readonly segment: number;
  readonly first: number;
  readonly last: number;
}

/** Undefined when the key is not of that tree's journal. */
export function placeIn(tree: Address, key: SiloKey): BatchPlace | 'meta' | undefined {
  if (!equalBytes(key.subarray(0, prefixBytes), prefixOf(tree))) return undefined;
  const place = parseKey(key);
  return place.segment === metaSegment ? 'meta' : place;
}

/** One batch as it is stored; throws `not-found`, `corrupt`. */
export async function readBatch(silo: Silo, tree: Address, { segment, first, last }: BatchPlace): Promise<SignedBatch> {
  const stored = await silo.get('journal', keyOf(tree, segment, first, last));
  const { previous, signature } = decode(batchHeader, stored.subarray(0, batchHeaderBytes));
  return { first, last, previous, signature, data: stored.subarray(batchHeaderBytes) };
}

/**
 * Puts what `fetch` brings in the place of a batch that has rotted, when it is what its writer signed behind all that is stored before
 * it. A batch of a segment for which `isOver` holds is not needed, and goes. Returns whether something was done.
 */
export async function mendBatch(
  silo: Silo,
  tree: Address,
  place: BatchPlace,
  { fetch, isOver }: { fetch: () => Promise<SignedBatch | undefined>; isOver: (epoch: number) => boolean },
): Promise<boolean> {
  const key = keyOf(tree, place.segment, place.first, place.last);
  const listed = decodeMeta(await silo.get('journal', metaKey(tree))).segments.find(({ id }) => id === place.segment);
  if (listed === undefined || isOver(listed.epoch)) {
    await silo.delete('journal', key);
    return true;
  }
  const segment: MemberSegment = { ...listed, batches: [] };
  for await (const before of silo.list('journal', keyBefore(tree))) {
    const { segment: id, first, last } = parseKey(before);
    if (compareBytes(before, key) >= 0) break;
    if (id === segment.id && first === tailOf(segment).last + 1)
      segment.batches.push(await heldBatch(silo, before, segment, { first, last }));
  }
  const { last, chain: previous } = tailOf(segment);
  const batch = last + 1 === place.first ? await fetch() : undefined;
  if (batch === undefined || batch.first !== place.first || batch.last !== place.last) return false;
  const chain = nextChain(previous, batch);
  if (!equalBytes(batch.previous, previous) || !verifyChain(segment.author, chain, batch.signature)) return false;
  await silo.batch([batchEntry(tree, { type: 'append', segment, batch, chain })]);
  return true;
}

/** Without reading it. */
export async function hasJournal(silo: Silo, tree: Address): Promise<boolean> {
  return (await silo.size('journal', metaKey(tree))) !== undefined;
}

/** The key just before the journal's first possible one. */
function keyBefore(tree: Address): SiloKey {
  return concatBytes([prefixOf(tree), Buffer.alloc(16)]);
}

async function heldBatch(
  silo: Silo,
  key: SiloKey,
  segment: MemberSegment,
  { first, last }: { first: number; last: number },
): Promise<HeldBatch> {
  const header = decode(batchHeader, await silo.getRange('journal', key, 0, batchHeaderBytes));
  if (header.epoch !== segment.epoch || !equalBytes(header.previous, tailOf(segment).chain))
    throw new InfinitError('corrupt', 'stored journal batches do not chain');
  return { first, last, chain: Buffer.from(header.chain) };
}

/** Batches of a segment from the one that holds `from`, up to the limit of an answer, at least one. */
export async function readBatches(
  silo: Silo,
  tree: Address,
  segment: MemberSegment,
  from: number,
): Promise<SignedBatch[]> {
  const out: SignedBatch[] = [];
  let bytes = 0;
  for (const { first, last } of [...segment.batches]) {
    if (last < from) continue;
    const batch = await readBatch(silo, tree, { segment: segment.id, first, last });
    if (out.length > 0 && bytes + batch.data.length > limits.journalReadBytesMax) break;
    out.push(batch);
    bytes += batch.data.length;
    if (out.length >= 4096) break;
  }
  return out;
}

async function read(silo: Silo, key: SiloKey): Promise<Bytes | undefined> {
  try {
    return await silo.get('journal', key);
  } catch (error) {
    if (isError(error, 'not-found')) return undefined;
    throw error;
  }
}
