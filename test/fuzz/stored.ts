// What lies on disks of others: blocks, tree nodes, chunks, journal batches, records of registers and journals, whole silos.

import fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Bytes, u32Bytes, utf8 } from '../../src/core/base/bytes.ts';
import { decode } from '../../src/core/base/codec.ts';
import { blockAddress } from '../../src/core/block/address.ts';
import { checkImmutable, encodeImmutable } from '../../src/core/block/immutable.ts';
import { rootHeader } from '../../src/core/consensus/consensus.ts';
import { MemberJournal } from '../../src/core/consensus/journal/member.ts';
import { entriesOf, loadJournal, readBatches } from '../../src/core/consensus/journal/member-store.ts';
import { decodeRecord, encodeRecord } from '../../src/core/consensus/register/record.ts';
import { hash } from '../../src/core/crypto/hash.ts';
import { openFilesystemSilo } from '../../src/core/silo/filesystem/filesystem.ts';
import { openMemorySilo } from '../../src/core/silo/memory.ts';
import { buildFilter, type FilterBits, FuseFilter } from '../../src/core/store/fuse-filter.ts';
import { openSecret } from '../../src/core/tree/access.ts';
import { AsyncLog } from '../../src/core/tree/async/log.ts';
import { encodeNode, Node, nodeRefBytes } from '../../src/core/tree/base/node.ts';
import { chunkCellCount, decodeChunkTable, encodeChunk, openCell, sealCell } from '../../src/core/tree/chunk.ts';
import { decodeRecords, type JournalContext, openBatch, sealBatch } from '../../src/core/tree/effects.ts';
import { createTreeRoot, deriveTreeKeys, openRootBody } from '../../src/core/tree/root.ts';

import type { Effect } from '../../src/core/tree/tree.ts';
import { MemoryDisk } from '../fakes/memory-disk.ts';
import type { SeededRandom } from '../simulator/runtime/random.ts';
import { siloRuntime } from '../unit/silo/runtime.ts';
import { memoryRuntime } from '../unit/tree/memory-blocks.ts';
import { accepted, acceptedLater, damage, type Fuzzer, fuzzer, mustBe, mustEqual } from './fuzzer.ts';
import * as good from './subjects.ts';

const tag = Buffer.alloc(16, 4);
const block = encodeImmutable(tag, 'aes256gcm', [utf8('payload '.repeat(30))]);
const blocks = fuzzer('immutable blocks', {
  make: (random) => damage(random, block),
  check: (bytes) => {
    if (accepted(() => checkImmutable(blockAddress(block), bytes)))
      mustEqual(bytes, block, 'a block was taken for another');
    void accepted(() => checkImmutable(blockAddress(bytes), bytes));
  },
});

function someFilter(random: SeededRandom, bits: FilterBits): Buffer {
  const high = Uint32Array.from({ length: random.below(300) }, () => random.below(2 ** 32));
  return buildFilter({ high, low: high.map((word) => Math.imul(word, 77)) }, bits, random.bytes(8));
}
const filters = fuzzer('filters of sweeps', {
  make: (random) => {
    const width = ([8, 16, 32] as const)[random.below(3) as 0 | 1 | 2];
    return { bytes: damage(random, someFilter(random, width), someFilter(random, 8)), address: random.bytes(32) };
  },
  check: ({ bytes, address }) => {
    const filter = accepted(() => new FuseFilter(bytes))?.value;
    if (filter !== undefined) mustBe(typeof filter.has(address) === 'boolean', 'a filter does not answer');
  },
});

function someNode(random: SeededRandom): Buffer {
  const level = random.below(3);
  const count = 1 + random.below(60);
  const keys = Array.from({ length: count }, (_, i) => utf8(`key/${String(i * 3).padStart(4, '0')}`));
  if (level > 0) keys[0] = Buffer.alloc(0);
  const values = keys.map(() => random.bytes(level > 0 ? nodeRefBytes : random.below(200)));
  return encodeNode(level, keys, values);
}
const nodes = fuzzer('tree nodes', {
  inputs: 500,
  make: (random) => ({
    bytes: damage(random, someNode(random), someNode(random)),
    key: random.chance(0.5) ? utf8(`key/${random.below(200)}`) : random.bytes(random.below(40)),
  }),
  check: ({ bytes, key }) => {
    const node = accepted(() => new Node(bytes))?.value;
    if (node === undefined) return;
    let previous: Buffer | undefined;
    for (let i = 0; i < node.count; i++) {
      const at = node.keyAt(i);
      mustBe(previous === undefined || Buffer.compare(previous, at) < 0, 'keys do not ascend');
      previous = at;
      mustBe(node.valueAt(i).length <= bytes.length, 'a value is longer than its node');
      if (node.level > 0) node.refAt(i);
      mustBe(node.search(at) === i, 'a key is not found where it stands');
    }
    const found = node.search(key);
    mustBe(found >= 0 && found <= node.count, 'search left the node');
    if (node.level > 0) mustBe(node.childFor(key) < node.count, 'no child for a key');
  },
});

const chunkKey = hash(utf8('chunk'));
const plainCells = [utf8('first cell'), utf8('second cell'.repeat(20)), utf8('3')];
const chunk = encodeChunk(
  tag,
  plainCells.map((plain, i) => sealCell(tag, chunkKey, i, 'none', plain)),
);
const chunks = fuzzer('chunks', {
  make: (random) => damage(random, chunk),
  check: (bytes) => {
    const table = accepted(() => {
      chunkCellCount(bytes);
      return decodeChunkTable(bytes);
    })?.value;
    for (const [i, { codec, offset, length }] of (table?.cells ?? []).entries()) {
      const sealed = bytes.subarray(offset, offset + length);
      const plain = accepted(() => openCell(tag, chunkKey, i, codec, sealed))?.value;
      if (plain) mustEqual(plain, plainCells[i] ?? Buffer.alloc(0), 'another cell opened');
    }
  },
});

const treeSecret = hash(utf8('secret'));
const journal: JournalContext = {
  runtime: memoryRuntime(),
  secret: () => treeSecret,
  treeId: Buffer.alloc(16, 2),
};
const effects: Effect[][] = [
  [
    { type: 'put', key: utf8('key one'), value: utf8('value '.repeat(400)) },
    { type: 'delete', key: utf8('key two') },
  ],
  [{ type: 'deleteRange', from: utf8('a'), to: utf8('b') }],
];
const batches = fuzzer('journal batches', {
  make: async (random) => {
    const batch = await sealBatch(journal, 3, 7, effects);
    const first = random.chance(0.9) ? 7 : random.below(20);
    return { first, last: random.chance(0.9) ? 8 : random.below(20), data: damage(random, batch.data) };
  },
  check: async (batch) => {
    const opened = (await acceptedLater(() => openBatch(journal, batch)))?.value;
    if (opened === undefined) return;
    mustBe(opened.epoch === 3 && batch.first === 7 && batch.last === 8, 'a batch opened in another place');
    mustBe(opened.records.length === 2, 'another number of records');
  },
});
const plainRecords = fuzzer('journal records', {
  inputs: 400,
  make: (random) => {
    const key = (text: string) => Buffer.concat([Buffer.of(0, text.length), utf8(text)]);
    const put = Buffer.concat([Buffer.of(0), key('one'), Buffer.of(3), utf8('abc')]);
    const whole = Buffer.concat([Buffer.of(2), put, Buffer.of(1, 1, 1), utf8('x'), Buffer.of(0)]);
    return { plain: damage(random, whole), count: random.chance(0.8) ? 2 : random.below(6000) };
  },
  check: ({ plain, count }) => {
    const records = accepted(() => decodeRecords(plain, count))?.value;
    mustBe(records === undefined || records.length === count, 'another number of records');
  },
});

const made = createTreeRoot({ owner: good.owner, treeId: journal.treeId }, memoryRuntime().random);
const roots = fuzzer('tree roots', {
  make: (random) => ({
    payload: damage(random, made.payload),
    sealed: damage(random, made.access.readers[0]?.sealed ?? Buffer.alloc(0)),
  }),
  check: ({ payload, sealed }) => {
    const keys = deriveTreeKeys(made.secret);
    void accepted(() => openRootBody(keys, decode(rootHeader, payload)));
    const readers = [{ key: good.owner.publicKey, sealed }];
    const secret = accepted(() => openSecret({ ...made.access, readers }, good.owner))?.value;
    if (secret) mustEqual(secret, made.secret, 'another secret came out of a seal');
  },
});

const ballot = { round: 9, proposer: Buffer.alloc(8, 1) };
const image = good.imageOfState(good.registerStateOf(Buffer.alloc(32, 1), 2));
const record = encodeRecord({
  promised: ballot,
  accepted: { ballot, image, from: image.state.config },
  committed: { ballot, version: 2, aclVersion: 2, deleted: false },
});
const moved = { generation: 4, current: [{ node: Buffer.alloc(32, 2), store: Buffer.alloc(8, 3) }], since: 5 };
const stub = encodeRecord({ promised: ballot, accepted: undefined, committed: undefined, stub: moved });
const acceptorRecords = fuzzer('acceptor records', {
  make: (random) => (random.chance(0.5) ? damage(random, record) : damage(random, stub, record)),
  check: (bytes) => {
    const read = accepted(() => decodeRecord(good.networkId, bytes))?.value;
    if (read?.stub) mustEqual(encodeRecord(read), bytes, 'a stub is written as it was read');
  },
});

const storedJournals = fuzzer('stored journals', {
  inputs: 100,
  make: async (random) => {
    const tree = hash(utf8('tree'));
    const entries = journalEntries(tree).map((entry) => ({
      ...entry,
      value: entry.value && random.chance(0.4) ? damage(random, entry.value) : entry.value,
    }));
    return { tree, entries: entries.filter(() => !random.chance(0.05)) };
  },
  check: async ({ tree, entries }) => {
    const silo = openMemorySilo({ type: 'memory' }, siloRuntime());
    await silo.batch(entries);
    const loaded = (await acceptedLater(() => loadJournal(silo, tree)))?.value;
    for (const segment of loaded?.segments ?? []) await acceptedLater(() => readBatches(silo, tree, segment, 0));
  },
});

function journalEntries(tree: Bytes) {
  const base = { last: 0, chain: Buffer.alloc(32, 3) };
  const one = { first: 1, last: 4, chain: Buffer.alloc(32, 5) };
  const segment = { id: 1, epoch: 2, start: 1, author: good.member.publicKey, base, batches: [one] };
  const held = new MemberJournal(() => base, 2, [segment]);
  const batch = { first: 1, last: 4, previous: base.chain, signature: Buffer.alloc(64), data: Buffer.alloc(100, 1) };
  return entriesOf(tree, held, [{ type: 'meta' }, { type: 'append', segment, batch, chain: one.chain }]).flat();
}

const siloKeys = Array.from({ length: 12 }, (_, i) => hash(u32Bytes(i)));
const siloValue = (i: number) => Buffer.alloc(50 + ((i * 977) % 6000), `value ${i};`);
let pristine: Promise<{ name: string; content: Buffer }[]> | undefined;

/** Files of a silo as a crash leaves it. */
async function siloFiles(): Promise<{ name: string; content: Buffer }[]> {
  const path = await fs.mkdtemp(join(tmpdir(), 'infinit-fuzz-'));
  try {
    for (const half of [0, 6]) {
      const silo = await openFilesystemSilo({ type: 'filesystem', path, capacity: 4 << 20 }, siloRuntime());
      for (let i = half; i < half + 6; i++) await silo.put('block', siloKeys[i] as Bytes, siloValue(i));
      await silo.close();
    }
    const names = (await fs.readdir(path)).filter((name) => !name.startsWith('lock'));
    return await Promise.all(names.map(async (name) => ({ name, content: await fs.readFile(join(path, name)) })));
  } finally {
    await fs.rm(path, { recursive: true, force: true });
  }
}

const silos = fuzzer('silos', {
  inputs: 10,
  make: async (random) => {
    pristine ??= siloFiles();
    const files = await pristine;
    return files.map(({ name, content }) => {
      if (!random.chance(0.5)) return { name, content };
      // Most of a segment is zeros ahead of need: the beginning is worth more.
      const end = Math.min(content.length, 40_000);
      return { name, content: Buffer.concat([damage(random, content.subarray(0, end)), content.subarray(end)]) };
    });
  },
  check: async (files) => {
    const path = await fs.mkdtemp(join(tmpdir(), 'infinit-fuzz-'));
    try {
      for (const { name, content } of files) await fs.writeFile(join(path, name), content);
      const config = { type: 'filesystem', path, capacity: 4 << 20 };
      const silo = (await acceptedLater(() => openFilesystemSilo(config, siloRuntime()), 'unavailable'))?.value;
      if (silo === undefined) return;
      for (const [i, key] of siloKeys.entries()) {
        const value = (await acceptedLater(() => silo.get('block', key)))?.value;
        if (value) mustEqual(value, siloValue(i), 'a silo gave other bytes');
      }
      await silo.close();
    } finally {
      await fs.rm(path, { recursive: true, force: true });
    }
  },
});

const ownKey = Buffer.alloc(32, 6);
const ownPath = '/journal/000000000001.log';
const ownNumbers = [1, 2, 3, 4, 5];
async function ownLog(disk: MemoryDisk): Promise<{ numbers: number[]; torn: number }> {
  const numbers: number[] = [];
  let torn = 0;
  const random = { bytes: (count: number) => Buffer.alloc(count, 5) };
  const begin = () => ({ next: 1, inode: 0, inodeEnd: 0, sent: 0 });
  const runtime = { files: disk.files, random } as never;
  const options = {
    runtime,
    folder: '/journal',
    key: ownKey,
    begin,
    torn: (_: string, bytes: number) => (torn += bytes),
  };
  const log = await AsyncLog.open(options, (record) => {
    if (record.type === 'sent') numbers.push(record.through);
  });
  if (disk.kept.size === 0) for (const through of ownNumbers) await log.append({ type: 'sent', through });
  await log.close();
  return { numbers, torn };
}
/** What is read are the first of the records, and what follows them is set aside; else it is refused. */
const ownJournals = fuzzer('logs of a client’s own journal', {
  make: async (random) => {
    const disk = new MemoryDisk();
    await ownLog(disk);
    const whole = disk.kept.get(ownPath)?.now ?? Buffer.alloc(0);
    return damage(random, whole);
  },
  check: async (bytes) => {
    const disk = new MemoryDisk();
    disk.kept.set(ownPath, { now: Buffer.from(bytes), synced: Buffer.from(bytes) });
    const read = (await acceptedLater(() => ownLog(disk)))?.value;
    if (read === undefined) return;
    mustEqual(Buffer.from(read.numbers), Buffer.from(ownNumbers.slice(0, read.numbers.length)), 'other operations');
    const aside = [...disk.kept].filter(([name]) => name.endsWith('.torn')).map(([, { now }]) => now);
    const kept = Buffer.concat([disk.kept.get(ownPath)?.now ?? Buffer.alloc(0), ...aside]);
    if (read.torn > 0) mustEqual(kept, bytes, 'bytes of a torn log are lost');
  },
});

export const storedFuzzers: readonly Fuzzer[] = [
  blocks,
  filters,
  nodes,
  chunks,
  batches,
  plainRecords,
  roots,
  acceptorRecords,
  storedJournals,
  ownJournals,
  silos,
];
