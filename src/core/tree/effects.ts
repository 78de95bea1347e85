// Journal batches: the effects of consecutive operations under one AEAD (docs/tree-schema.md 4, docs/protocols.md 4.3).
// Layout: format u8 = 1, epoch u64, nonce 12, codec u8, sealed body. Authenticated with it: tree id, first, last and all before
// the body. Body: per operation the number of effects, each {type u8, key, value | end}; a key is {bytes shared with the key
// before it, suffix length, suffix}; lengths and counts are LEB128 varints.

import { asBuffer, type Bytes, u64Bytes } from '../base/bytes.ts';
import { Reader, Writer } from '../base/codec.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { JournalBatch } from '../consensus/consensus.ts';
import { nonceBytes, open, seal, tagBytes } from '../crypto/cipher.ts';
import { deriveKey } from '../crypto/hash.ts';
import { type CodecName, codecIds, type Runtime } from '../runtime/runtime.ts';
import { commonPrefix, compareKeys } from './base/key-order.ts';
import type { Change } from './messages.ts';
import type { Effect } from './tree.ts';

/** What identifies and opens a tree's journal. */
export interface JournalContext {
  runtime: Pick<Runtime, 'random' | 'offload'>;
  /** Changes with the tree's secret. */
  secret: () => Bytes;
  treeId: Bytes;
}

/** The effects of each operation, in sequence. */
export type JournalRecords = readonly (readonly Effect[])[];

const format = 1;
const headerBytes = 1 + 8 + nonceBytes + 1;
/** Smaller ones wait longer for a thread that compresses than they would for the disk and the network. */
const compressFrom = 16 * 1024;
const codecNames = Object.keys(codecIds) as CodecName[];
const types = ['put', 'delete', 'deleteRange'] as const;

/** A plain batch, so that it fits `limits.journalBatchBytesMax` even when it does not compress. */
const journalPlainBytesMax = limits.journalBatchBytesMax - headerBytes - tagBytes;

/** The sealed bytes of changes that follow each other. */
export async function sealChanges(context: JournalContext, epoch: number, changes: readonly Change[]): Promise<Bytes> {
  const records = changes.map((change) => change.effects);
  return (await sealBatch(context, epoch, changes[0]?.sequence ?? 0, records)).data;
}

/** The batch of operations first, first + 1, ... Throws `full` when they are too large for one. */
export async function sealBatch(
  context: JournalContext,
  epoch: number,
  first: number,
  records: JournalRecords,
): Promise<JournalBatch> {
  const { random, offload } = context.runtime;
  const plain = encodeRecords(records);
  if (plain.length > journalPlainBytesMax || records.length > limits.journalBatchOperationsMax)
    throw new InfinitError('full', `a journal batch of ${plain.length} bytes is above the limit`);
  const codec = offload.preferredCodec;
  const packed = plain.length > compressFrom ? await offload.compress(plain, codec) : undefined;
  const header = Buffer.concat([
    Buffer.from([format]),
    u64Bytes(epoch),
    random.bytes(nonceBytes),
    Buffer.from([codecIds[packed === undefined ? 'none' : codec]]),
  ]);
  const last = first + records.length - 1;
  const sealed = seal(
    batchKey(context, epoch),
    nonceOf(header),
    packed ?? plain,
    associated(context, first, last, header),
  );
  return { first, last, data: Buffer.concat([header, sealed]) };
}

/** What `sealBatch` sealed, with the epoch it was written in. Throws `corrupt`. */
export async function openBatch(
  context: JournalContext,
  batch: JournalBatch,
): Promise<{ epoch: number; records: Effect[][] }> {
  const data = asBuffer(batch.data);
  if (data.length < headerBytes || data.length > limits.journalBatchBytesMax || data[0] !== format)
    throw new InfinitError('corrupt', 'journal batch is malformed');
  const header = data.subarray(0, headerBytes);
  const epoch = new Reader(header.subarray(1)).u64();
  const codec = codecNames[header[headerBytes - 1] as number];
  if (codec === undefined) throw new InfinitError('corrupt', 'journal batch has an unknown codec');
  const key = batchKey(context, epoch);
  const packed = open(
    key,
    nonceOf(header),
    data.subarray(headerBytes),
    associated(context, batch.first, batch.last, header),
  );
  const { offload } = context.runtime;
  const plain = codec === 'none' ? packed : await offload.decompress(packed, codec, journalPlainBytesMax);
  return { epoch, records: decodeRecords(plain, batch.last - batch.first + 1) };
}

const lastKeys = new WeakMap<JournalContext, { epoch: number; secret: Bytes; key: Buffer }>();

/** One key an epoch and secret: nonces are random, and batches under one key stay few. */
function batchKey(context: JournalContext, epoch: number): Buffer {
  const last = lastKeys.get(context);
  const secret = context.secret();
  if (last?.epoch === epoch && last.secret === secret) return last.key;
  const key = deriveKey(secret, `journal/${asBuffer(context.treeId).toString('hex')}/${epoch}`);
  lastKeys.set(context, { epoch, secret, key });
  return key;
}

function nonceOf(header: Buffer): Buffer {
  return header.subarray(9, 9 + nonceBytes);
}

function associated(context: JournalContext, first: number, last: number, header: Buffer): Buffer {
  return Buffer.concat([context.treeId, u64Bytes(first), u64Bytes(last), header]);
}

function encodeRecords(records: JournalRecords): Buffer {
  const writer = new Writer(4096);
  let previous: Bytes = Buffer.alloc(0);
  const writeKey = (key: Bytes): void => {
    const shared = commonPrefix(previous, key);
    writeVarint(writer, shared);
    writeVarint(writer, key.length - shared);
    writer.raw(key.subarray(shared));
    previous = key;
  };
  for (const effects of records) {
    writeVarint(writer, effects.length);
    for (const effect of effects) {
      writer.u8(types.indexOf(effect.type));
      if (effect.type === 'deleteRange') {
        writeKey(effect.from);
        writeKey(effect.to);
        continue;
      }
      writeKey(effect.key);
      if (effect.type === 'delete') continue;
      writeVarint(writer, effect.value.length);
      writer.raw(effect.value);
    }
  }
  return writer.finish();
}

/** `count` records that fill the bytes exactly. Throws `corrupt`. Values share the memory. */
export function decodeRecords(plain: Bytes, count: number): Effect[][] {
  const reader = new Reader(plain);
  if (count < 1 || count > limits.journalBatchOperationsMax) throw malformed('number of records');
  let previous: Buffer = Buffer.alloc(0);
  const readKey = (): Buffer => {
    const shared = readVarint(reader);
    const suffix = readVarint(reader);
    const length = shared + suffix;
    if (shared > previous.length || length === 0 || length > limits.treeKeyBytesMax) throw malformed('key');
    previous = shared === 0 ? reader.raw(suffix) : Buffer.concat([previous.subarray(0, shared), reader.raw(suffix)]);
    return previous;
  };
  const readEffect = (): Effect => {
    const type = types[reader.u8()];
    if (type === undefined) throw malformed('effect');
    const key = readKey();
    if (type === 'put') return { type, key, value: reader.raw(readVarint(reader)) };
    if (type === 'delete') return { type, key };
    const to = readKey();
    if (compareKeys(key, to) >= 0) throw malformed('range');
    return { type, from: key, to };
  };
  const records: Effect[][] = [];
  for (let i = 0; i < count; i++) {
    const effects: Effect[] = [];
    for (let left = readVarint(reader); left > 0; left--) effects.push(readEffect());
    records.push(effects);
  }
  reader.end();
  return records;
}

function writeVarint(writer: Writer, value: number): void {
  let rest = value;
  for (; rest > 127; rest >>>= 7) writer.u8((rest & 127) | 128);
  writer.u8(rest);
}

/** Up to 28 bits. */
function readVarint(reader: Reader): number {
  let value = 0;
  for (let shift = 0; shift < 28; shift += 7) {
    const byte = reader.u8();
    value |= (byte & 127) << shift;
    if (byte < 128) return value;
  }
  throw malformed('length');
}

function malformed(what: string): InfinitError {
  return new InfinitError('corrupt', `journal batch is malformed: ${what}`);
}
