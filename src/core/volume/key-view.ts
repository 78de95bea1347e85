// What a tree of keys means: records under `k`, executed at the leader (docs/tree-schema.md 3). A value of up to 256 bytes
// stands in its record; one of up to a cell rides in the record through the journal, durable in one round trip, until a commit
// moves it into a pack; a larger one is in chunks written before the operation that names them.

import type { Bytes } from '../base/bytes.ts';
import {
  bool,
  bytes,
  type Codec,
  type CodecType,
  decode,
  encode,
  fixed,
  list,
  optional,
  struct,
  u16,
  u32,
  u64,
  union,
} from '../base/codec.ts';
import { asError, InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { address } from '../block/address.ts';
import { keyBytes } from '../crypto/cipher.ts';
import {
  cellRef,
  chunkKey,
  chunkRecord,
  prefixRange,
  spaceKey,
  spaceRange,
  spaces,
  userKeyOf,
  valueKey,
} from '../tree/keys.ts';
import { dropCells, encodeChunkRecord } from '../tree/packing.ts';
import type { CellRef, CellUse, MapReader, PendingData, Transaction, TreeView, WrittenChunk } from '../tree/tree.ts';

const key = bytes(limits.keyBytesMax);
const cellsMax = Math.ceil(limits.valueBytesMax / limits.cellBytesMax);

const writtenChunk: Codec<WrittenChunk> = struct({
  address,
  key: fixed(keyBytes),
  stored: u32,
  cells: list(u32, cellsMax),
  generation: u32,
});

/** A value on its way into the tree: small enough to ride, or in chunks that hold nothing else. */
const offered = union({
  bytes: struct({ bytes: bytes(limits.cellBytesMax) }),
  chunks: struct({ chunks: list(writtenChunk, limits.operationChunksMax) }),
});

/** Operations of the keys view. */
export const keyOperation = union({
  put: struct({ key, value: offered, ifAbsent: bool, ifVersion: optional(u64) }),
  delete: struct({ key, ifVersion: optional(u64) }),
});
export type KeyOperation = CodecType<typeof keyOperation>;

export const putReply = u64;
export const deleteReply = bool;

/** Queries of the keys view. */
export const keyQuery = union({
  get: struct({ key }),
  list: struct({ prefix: key, startAfter: optional(key), limit: u16 }),
});

/** Where the bytes of a value are: here, or in cells, each with what opens its chunk. */
export const getReply = struct({
  version: u64,
  value: union({
    bytes: struct({ bytes: bytes(limits.cellBytesMax) }),
    cells: struct({ cells: list(struct({ address, key: fixed(keyBytes), cell: u16, length: u32 }), cellsMax) }),
  }),
});
export const listReply = struct({
  entries: list(struct({ key, version: u64, size: u32 }), limits.listKeysMax),
  truncated: bool,
});

/** A record under `k`. Append only: the order of the cases is in the format. */
export const valueRecord = struct({
  version: u64,
  body: union({
    inline: struct({ bytes: bytes(limits.inlineBytesMax) }),
    cells: struct({ cells: list(cellRef, cellsMax) }),
    pending: struct({ bytes: bytes(limits.cellBytesMax) }),
  }),
});
type ValueRecord = CodecType<typeof valueRecord>;
/** Where the body's case, then the length of its bytes stand. */
const caseAt = 8;
const dataAt = caseAt + 1 + 4;
const pendingCase = 2;
const valueSpace = spaces.value.charCodeAt(0);

const pending: PendingData = {
  of: (recordKey, value) =>
    recordKey[0] === valueSpace && value[caseAt] === pendingCase ? value.subarray(dataAt) : undefined,
  moved: (value, cell) => {
    const { version } = decode(valueRecord, value);
    return encode(valueRecord, { version, body: { type: 'cells', cells: [cell] } });
  },
};

const cells: CellUse = {
  range: spaceRange('value'),
  of: (_, value) => cellsOf(decode(valueRecord, value)).map((cell) => ({ ...cell, skip: 0 })),
  moved: (key, value, runs) => {
    const { version, body } = decode(valueRecord, value);
    if (body.type !== 'cells') return [{ type: 'put', key, value }];
    const moved = body.cells.flatMap((cell, i) => runs[i] ?? [cell]);
    return [{ type: 'put', key, value: encode(valueRecord, { version, body: { type: 'cells', cells: moved } }) }];
  },
};

export const keyView: TreeView = {
  kind: 'keys',
  pending,
  cells,

  execute(operation: Bytes, transaction: Transaction): Promise<Bytes> {
    const asked = fromCaller(() => decode(keyOperation, operation));
    return asked.type === 'put' ? put(asked, transaction) : remove(asked, transaction);
  },

  query(query: Bytes, reader: MapReader): Promise<Bytes> {
    const asked = fromCaller(() => decode(keyQuery, query));
    return asked.type === 'get' ? get(asked.key, reader) : listKeys(asked, reader);
  },
};

type Put = KeyOperation & { type: 'put' };
type Delete = KeyOperation & { type: 'delete' };

async function put(asked: Put, transaction: Transaction): Promise<Bytes> {
  const at = valueKey(asked.key);
  const old = await read(transaction, at);
  if (asked.ifAbsent && old !== undefined) throw new InfinitError('exists', 'the key exists');
  checkVersion(asked.ifVersion, old);
  const body = await bodyOf(asked.value, transaction);
  if (old !== undefined) await dropCells(cellsOf(old), transaction);
  const version = transaction.sequence;
  transaction.put(at, encode(valueRecord, { version, body }));
  return encode(putReply, version);
}

async function remove(asked: Delete, transaction: Transaction): Promise<Bytes> {
  const at = valueKey(asked.key);
  const old = await read(transaction, at);
  checkVersion(asked.ifVersion, old);
  if (old === undefined) return encode(deleteReply, false);
  await dropCells(cellsOf(old), transaction);
  transaction.delete(at);
  return encode(deleteReply, true);
}

function checkVersion(wanted: number | undefined, old: ValueRecord | undefined): void {
  if (wanted === undefined || old?.version === wanted) return;
  const found = old === undefined ? 'does not exist' : `has version ${old.version}`;
  throw new InfinitError('conflict', `the key ${found}, not version ${wanted}`, {
    data: { version: old?.version ?? null },
  });
}

/** The body of a new record; chunks become part of the tree. */
async function bodyOf(value: Put['value'], transaction: Transaction): Promise<ValueRecord['body']> {
  if (value.type === 'bytes') {
    const inline = value.bytes.length <= limits.inlineBytesMax;
    return { type: inline ? 'inline' : 'pending', bytes: value.bytes };
  }
  const cells: CellRef[] = [];
  for (const chunk of value.chunks) {
    const number = await transaction.allocate('chunk');
    transaction.put(chunkKey(number), encodeChunkRecord(chunk));
    chunk.cells.forEach((length, cell) => {
      cells.push({ chunk: number, cell, length });
    });
  }
  if (cells.length > cellsMax) throw new InfinitError('full', `a value has at most ${limits.valueBytesMax} bytes`);
  return { type: 'cells', cells };
}

async function get(userKey: Bytes, reader: MapReader): Promise<Bytes> {
  const record = await read(reader, valueKey(userKey));
  if (record === undefined) throw new InfinitError('not-found', 'no such key');
  const { version, body } = record;
  if (body.type !== 'cells') return encode(getReply, { version, value: { type: 'bytes', bytes: body.bytes } });
  const chunks = new Map<number, CodecType<typeof chunkRecord>>();
  const cells = [];
  for (const { chunk, cell, length } of body.cells) {
    const found = chunks.get(chunk) ?? (await chunkOf(reader, chunk));
    chunks.set(chunk, found);
    cells.push({ address: found.address, key: found.key, cell, length });
  }
  return encode(getReply, { version, value: { type: 'cells', cells } });
}

async function chunkOf(reader: MapReader, chunk: number): Promise<CodecType<typeof chunkRecord>> {
  const record = await reader.get(chunkKey(chunk));
  if (record === undefined) throw new InfinitError('corrupt', `chunk ${chunk} is not in the chunk table`);
  return decode(chunkRecord, record);
}

async function listKeys(asked: CodecType<typeof keyQuery> & { type: 'list' }, reader: MapReader): Promise<Bytes> {
  const { from: start, to } = prefixRange(spaceKey('value', asked.prefix));
  const after = asked.startAfter && Buffer.concat([spaceKey('value', asked.startAfter), Buffer.from([0])]);
  const from = after !== undefined && Buffer.compare(after, start) > 0 ? after : start;
  const limit = Math.min(asked.limit, limits.listKeysMax);
  const entries = [];
  let truncated = false;
  for await (const entry of reader.scan(from, to)) {
    if (entries.length === limit) {
      truncated = true;
      break;
    }
    const record = decode(valueRecord, entry.value);
    entries.push({ key: userKeyOf(entry.key), version: record.version, size: sizeOf(record) });
  }
  return encode(listReply, { entries, truncated });
}

async function read(reader: Pick<MapReader, 'get'>, at: Bytes): Promise<ValueRecord | undefined> {
  const found = await reader.get(at);
  return found && decode(valueRecord, found);
}

function cellsOf(record: ValueRecord): CellRef[] {
  return record.body.type === 'cells' ? record.body.cells : [];
}

function sizeOf({ body }: ValueRecord): number {
  if (body.type !== 'cells') return body.bytes.length;
  return body.cells.reduce((sum, cell) => sum + cell.length, 0);
}

/** What a caller sent wrongly is his mistake, not a damage of the tree. */
function fromCaller<T>(task: () => T): T {
  try {
    return task();
  } catch (error) {
    throw new InfinitError('usage', `malformed request: ${asError(error).message}`, { cause: error });
  }
}
