import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { encode } from '../../../../src/core/base/codec.ts';
import { InfinitError, isError } from '../../../../src/core/base/errors.ts';
import { limits } from '../../../../src/core/base/limits.ts';
import { decodeEntry, encodeEntry } from '../../../../src/core/volume/files/entries.ts';
import { decodeExtent, encodeExtent, part, pending } from '../../../../src/core/volume/files/extents.ts';
import { fileTypes } from '../../../../src/core/volume/files/files.ts';
import { decodeInode, encodeInode, type Inode } from '../../../../src/core/volume/files/inodes.ts';
import { fileOperation, fileQuery } from '../../../../src/core/volume/files/messages.ts';
import { NameHashes } from '../../../../src/core/volume/files/names.ts';
import {
  behindInode,
  clientOf,
  extentKey,
  hashOf,
  holderKey,
  inodeKey,
  inodeOf,
  lastOf,
  namedKey,
  orphanKey,
} from '../../../../src/core/volume/files/records.ts';
import { bytes, chunkOf, client, time, ViewTree } from './view-tree.ts';

/** Plain objects, as decoders make them. */
const record = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(fields, { noNullPrototype: true });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u48 = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const fileTime = record({
  seconds: fc.integer({ min: -(2 ** 39), max: 2 ** 39 - 1 }),
  nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
});
const raw = (min: number, max: number) =>
  fc.uint8Array({ minLength: min, maxLength: max }).map((one) => Buffer.from(one));

const inode: fc.Arbitrary<Inode> = record({
  inode: fc.integer({ min: 1, max: limits.inodesMax - 1 }),
  type: fc.constantFrom(...fileTypes),
  mode: fc.integer({ min: 0, max: 0xfff }),
  uid: u32,
  gid: u32,
  links: u32,
  size: u48,
  allocated: u48,
  accessed: fileTime,
  modified: fileTime,
  changed: fileTime,
  created: fileTime,
  generation: u32,
  device: u32,
  beyond: fc.boolean(),
  dying: fc.boolean(),
  extended: u16,
  parent: u48,
  target: raw(1, 300),
}).map((one) => ({
  ...one,
  parent: one.type === 'directory' ? one.parent : 0,
  target: one.type === 'symlink' ? one.target : undefined,
}));

const extent = record({
  start: fc.nat(2 ** 31 - 1),
  length: fc.integer({ min: 1, max: 100_000 }),
  body: fc.oneof(
    record({
      type: fc.constant('cells' as const),
      chunk: u48,
      cell: fc.nat(4000),
      skip: fc.nat(limits.cellBytesMax - 1),
    }),
    record({ type: fc.constant('bytes' as const), bytes: raw(1, 1000) }),
    record({ type: fc.constant('reserved' as const) }),
  ),
}).map((one) => ({ ...one, length: one.body.type === 'bytes' ? one.body.bytes.length : one.length }));

const keyOf = ({ start, length }: { start: number; length: number }) => extentKey(5, start + length - 1);

describe('records of the files view', () => {
  test('come back as they were', () => {
    fc.assert(fc.property(inode, (one) => assert.deepEqual(decodeInode(one.inode, encodeInode(one)), one)));
    fc.assert(
      fc.property(extent, (one) => assert.deepEqual(decodeExtent(keyOf(one), encodeExtent(one.length, one.body)), one)),
    );
    const entry = record({ domain: fc.nat(1023), inode: u48, type: fc.constantFrom(...fileTypes), name: raw(1, 255) });
    fc.assert(fc.property(entry, (one) => assert.deepEqual(decodeEntry(encodeEntry(one)), one)));
  });

  test('have the bytes of the format', () => {
    const directory: Inode = {
      inode: 1,
      type: 'directory',
      mode: 0o2755,
      uid: 0x01020304,
      gid: 0x05060708,
      links: 3,
      size: 0x0a0b0c0d0e0f,
      allocated: 0x101112131415,
      accessed: time(0, 1),
      modified: time(1, 2),
      changed: time(-1, 3),
      created: time(2 ** 32, 4),
      generation: 5,
      device: 6,
      beyond: true,
      dying: false,
      extended: 7,
      parent: 0x16,
      target: undefined,
    };
    assert.equal(
      encodeInode(directory).toString('hex'),
      '15ed010203040506070800000003' + // type, mode, owners, links
        '0a0b0c0d0e0f101112131415' + // size, bytes of extents
        '800000000000000001800000000100000002' + // accessed, modified
        '7fffffffff00000003810000000000000004' + // changed, created
        '0000000500000006010007000000000016', // generation, device, flags, extended attributes, parent
    );
    assert.equal(
      encodeEntry({ domain: 0x0102, inode: 0x10, type: 'symlink', name: bytes('ab') }).toString('hex'),
      '0201020000000000106162',
    );
    const hex = (...extent: Parameters<typeof encodeExtent>) => encodeExtent(...extent).toString('hex');
    assert.equal(hex(9, { type: 'cells', chunk: 1, cell: 2, skip: 3 }), '0000000900000000000001000200000003');
    assert.equal(hex(2, { type: 'bytes', bytes: bytes('ab') }), '00000002016162');
    assert.equal(hex(2 ** 31, { type: 'reserved' }), '8000000002');
    assert.equal(extentKey(1, 0x0102).toString('hex'), '64000000000001000000000102');
    assert.equal(new NameHashes(Buffer.alloc(32, 1)).of(bytes('a')).toString('hex'), '47f6a2a7257971c6');
  });

  test('damaged ones are corrupt, never a crash', () => {
    const safe = (task: () => unknown) => {
      try {
        task();
      } catch (error) {
        assert.ok(isError(error, 'corrupt'), `${error}`);
      }
    };
    fc.assert(
      fc.property(raw(0, 120), u48, (record, number) => {
        safe(() => decodeInode(1, record));
        safe(() => decodeEntry(record));
        safe(() => decodeExtent(extentKey(1, number), record));
      }),
      { numRuns: 1000 },
    );
    const cut = (record: Buffer, decoder: (record: Buffer) => unknown) => {
      for (let i = 0; i < record.length; i++)
        assert.throws(
          () => decoder(record.subarray(0, i)),
          (error) => isError(error, 'corrupt'),
        );
    };
    const [file] = fc.sample(
      inode.filter(({ type }) => type === 'directory'),
      { numRuns: 1, seed: 1 },
    );
    cut(encodeInode(file as Inode), (record) => decodeInode(1, record));
    cut(encodeExtent(4, { type: 'bytes', bytes: bytes('abcd') }), (record) => decodeExtent(extentKey(1, 50), record));
    cut(encodeExtent(4, { type: 'cells', chunk: 1, cell: 2, skip: 3 }), (record) =>
      decodeExtent(extentKey(1, 50), record),
    );
    assert.throws(() => decodeExtent(extentKey(1, 2), encodeExtent(4, { type: 'reserved' })));
    assert.throws(() => decodeExtent(extentKey(1, 2), encodeExtent(0, { type: 'reserved' })));
  });

  test('a part of an extent is where the whole had it', () => {
    fc.assert(
      fc.property(extent, fc.nat(), fc.nat(), (whole, a, b) => {
        const from = whole.start + (a % whole.length);
        const to = from + 1 + (b % (whole.start + whole.length - from));
        const { start, length, body } = part(whole, from, to);
        assert.deepEqual([start, length, body.type], [from, to - from, whole.body.type]);
        if (body.type === 'bytes' && whole.body.type === 'bytes')
          assert.deepEqual(body.bytes, whole.body.bytes.subarray(from - whole.start, to - whole.start));
        if (body.type !== 'cells' || whole.body.type !== 'cells') return;
        const place = ({ cell, skip }: { cell: number; skip: number }) => cell * limits.cellBytesMax + skip;
        assert.equal(place(body) - place(whole.body), from - whole.start);
        assert.ok(body.skip < limits.cellBytesMax);
        assert.equal(body.chunk, whole.body.chunk);
      }),
    );
  });

  test('data rides until a commit, unless it is as small as the record of where it would be', () => {
    const key = extentKey(1, 1000);
    const record = (length: number) => encodeExtent(length, { type: 'bytes', bytes: Buffer.alloc(length, 7) });
    assert.equal(pending.of(key, record(limits.inlineBytesMax)), undefined);
    assert.deepEqual(pending.of(key, record(257)), Buffer.alloc(257, 7));
    assert.equal(pending.of(inodeKey(1), record(257)), undefined);
    assert.equal(pending.of(key, encodeExtent(9, { type: 'reserved' })), undefined);
    assert.equal(pending.of(key, encodeExtent(9, { type: 'cells', chunk: 1, cell: 1, skip: 1 })), undefined);
    const moved = pending.moved(record(300), { chunk: 77, cell: 3, length: 300 });
    assert.deepEqual(decodeExtent(key, moved), {
      start: 701,
      length: 300,
      body: { type: 'cells', chunk: 77, cell: 3, skip: 0 },
    });
  });

  test('keys are ordered as what they name, and tell it', () => {
    const hash = Buffer.from('0123456789abcdef', 'hex');
    for (const key of [inodeKey(300), namedKey('entry', 300, hash, 5), extentKey(300, 9), holderKey(300, client)])
      assert.equal(inodeOf(key), 300);
    assert.deepEqual(hashOf(namedKey('extended', 300, hash, 5)), hash);
    assert.equal(lastOf(extentKey(300, 2 ** 48 - 2)), 2 ** 48 - 2);
    assert.deepEqual(clientOf(holderKey(300, client)), client);
    assert.equal(clientOf(orphanKey(300)).length, 0);
    const ordered = [
      extentKey(1, 0),
      extentKey(1, 255),
      extentKey(1, 2 ** 48 - 2),
      behindInode('extent', 1),
      extentKey(2, 0),
      extentKey(limits.inodesMax - 1, 0),
      behindInode('extent', limits.inodesMax - 1),
    ];
    for (const [i, key] of ordered.entries()) assert.ok(i === 0 || Buffer.compare(ordered[i - 1] as Buffer, key) < 0);
  });

  test('of so many names the hashes are remembered, and they do not change', () => {
    const names = new NameHashes(Buffer.alloc(32, 1));
    const first = Buffer.from(names.of(bytes('first')));
    for (let i = 0; i < limits.nameHashesMax + 10; i++) names.of(bytes(`n${i}`));
    assert.deepEqual(names.of(bytes('first')), first);
    assert.ok(names.size <= limits.nameHashesMax);
  });
});

describe('hostile requests to the files view', () => {
  const valid = [
    { type: 'make', directory: 1, name: bytes('x'), node: node(), now: time(1), client },
    { type: 'rename', from: place('a'), to: place('b'), mode: 'replace', now: time(1), free: true, client, held: 1 },
    { type: 'change', inode: 16, mode: 1, uid: 1, gid: 1, size: 5, accessed: time(1), modified: time(1), now: time(1) },
    { type: 'write', files: [{ inode: 16, modified: time(1), pieces: [piece()] }], chunks: [chunkOf([bytes('abc')])] },
    { type: 'allocate', inode: 16, offset: 5, length: 6, mode: 'zero', now: time(1) },
    { type: 'setExtended', inode: 16, name: bytes('x'), value: bytes('y'), only: undefined, now: time(1) },
    { type: 'hold', inodes: [16, 17], client, now: time(1) },
    { type: 'reap', inode: 16, before: time(1) },
  ] as const;

  function node() {
    return { type: 'file', mode: 1, uid: 1, gid: 1, device: 0, target: Buffer.alloc(0) } as const;
  }
  function place(name: string) {
    return { directory: 1, name: bytes(name) };
  }
  function piece() {
    return { type: 'cells', offset: 0, length: 3, chunk: 0, cell: 0, skip: 0 } as const;
  }

  test('are refused as such, or done as far as the tree stays whole', async () => {
    const tree = await ViewTree.begun();
    await tree.make('a');
    await tree.make('b');
    const encoded = valid.map((operation) => encode(fileOperation, operation as never));
    const attempt = async (operation: Buffer) => {
      try {
        await tree.doRaw(operation);
      } catch (error) {
        assert.ok(error instanceof InfinitError, `${error}`);
        assert.ok(!isError(error, 'internal', 'corrupt'), `${error.message}`);
      }
    };
    const change = record({
      which: fc.nat(encoded.length - 1),
      flips: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
      cut: fc.option(fc.nat()),
    });
    await fc.assert(
      fc.asyncProperty(change, async ({ which, flips, cut }) => {
        const operation = Buffer.from(encoded[which] as Buffer);
        for (const [at, value] of flips) operation[at % operation.length] = value;
        await attempt(cut === null ? operation : operation.subarray(0, cut % operation.length));
      }),
      { numRuns: 2000 },
    );
    await tree.check();
    await fc.assert(fc.asyncProperty(raw(0, 200), attempt), { numRuns: 300 });
  });

  test('queries too', async () => {
    const tree = await ViewTree.begun();
    await tree.make('a');
    const encoded = [
      { type: 'lookup', directory: 1, name: bytes('a') },
      { type: 'list', directory: 1, after: 2n, limit: 5, attributes: true },
      { type: 'extents', inode: 16, offset: 5, length: 100 },
      { type: 'seek', inode: 16, offset: 5, what: 'hole' },
      { type: 'orphans', after: 5, limit: 9 },
      { type: 'getExtended', inode: 16, name: bytes('a') },
    ].map((query) => encode(fileQuery, query as never));
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat(), fc.nat(255), async (which, at, value) => {
        const query = Buffer.from(encoded[which % encoded.length] as Buffer);
        query[at % query.length] = value;
        try {
          await tree.view.query(query, tree.reader);
        } catch (error) {
          assert.ok(error instanceof InfinitError && !isError(error, 'internal', 'corrupt'), `${error}`);
        }
      }),
      { numRuns: 1500 },
    );
  });
});
