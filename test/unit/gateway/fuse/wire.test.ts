import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isError } from '../../../../src/core/base/errors.ts';
import { absentReply, attributesReply, entryReply, ListingReply } from '../../../../src/core/gateway/fuse/replies.ts';
import * as requests from '../../../../src/core/gateway/fuse/requests.ts';
import { putU64, readHeader, readI64, readU64 } from '../../../../src/core/gateway/fuse/wire.ts';
import { errnoNameOf } from '../../../../src/core/volume/errno.ts';
import { type Attributes, fileTypes } from '../../../../src/core/volume/files/files.ts';
import { frame, longs, named, words } from './kernel.ts';

const whole = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const time = fc.record(
  { seconds: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }), nanoseconds: fc.nat({ max: 999_999_999 }) },
  { noNullPrototype: true },
);
const id = fc.nat({ max: 0xffff_ffff });
const attributes: fc.Arbitrary<Attributes> = fc.record({
  inode: whole,
  generation: fc.constant(0),
  type: fc.constantFrom(...fileTypes),
  mode: fc.nat({ max: 0o7777 }),
  uid: id,
  gid: id,
  links: fc.nat({ max: 65_000 }),
  size: whole,
  allocatedBytes: whole,
  accessed: time,
  modified: time,
  changed: time,
  created: time,
  device: id,
  hasExtended: fc.boolean(),
});
const name = fc.uint8Array({ minLength: 1, maxLength: 255 }).filter((bytes) => {
  const dots = bytes.length <= 2 && bytes.every((byte) => byte === 0x2e);
  return !dots && !bytes.includes(0) && !bytes.includes(0x2f);
});
const bodyOf = (...parts: Uint8Array[]) => {
  const bytes = Buffer.concat(parts);
  return new requests.Body(bytes, bytes.length);
};
const end = Buffer.alloc(1);

describe('words of 64 bits', () => {
  test('come back', () => {
    fc.assert(
      fc.property(whole, fc.integer({ min: -(2 ** 52), max: 2 ** 52 }), (positive, signed) => {
        const bytes = Buffer.alloc(16);
        putU64(bytes, 0, positive);
        putU64(bytes, 8, signed);
        assert.equal(readU64(bytes, 0), positive);
        assert.equal(readI64(bytes, 8), signed);
        assert.equal(bytes.readBigInt64LE(8), BigInt(signed));
      }),
    );
  });

  test('a header is read as it was written', () => {
    fc.assert(
      fc.property(id, whole, whole, id, (opcode, unique, node, uid) => {
        const header = readHeader(frame(opcode, unique, node, Buffer.alloc(3), uid));
        assert.deepEqual(
          { ...header, unique: header.uniqueLow + header.uniqueHigh * 2 ** 32 },
          { ...header, length: 43, opcode, unique, node, uid, gid: uid, extensionBytes: 0 },
        );
      }),
    );
  });
});

describe('answers', () => {
  const expectAttributes = (bytes: Buffer, at: number, of: Attributes, mode: number) => {
    assert.deepEqual(
      [readU64(bytes, at), readU64(bytes, at + 8), readU64(bytes, at + 16)],
      [of.inode, of.size, Math.ceil(of.allocatedBytes / 512)],
    );
    assert.deepEqual(
      [of.accessed, of.modified, of.changed],
      [0, 1, 2].map((index) => ({
        seconds: readI64(bytes, at + 24 + index * 8),
        nanoseconds: bytes.readUInt32LE(at + 48 + index * 4),
      })),
    );
    assert.deepEqual(
      [60, 64, 68, 72, 76].map((offset) => bytes.readUInt32LE(at + offset)),
      [mode, of.links, of.uid, of.gid, of.device],
    );
  };
  const formats = [0o10, 0o04, 0o12, 0o01, 0o14, 0o02, 0o06];
  const format = (of: Attributes) => (formats[fileTypes.indexOf(of.type)] ?? 0) << 12;

  test('carry attributes and for how long they hold', () => {
    fc.assert(
      fc.property(attributes, fc.nat({ max: 100_000 }), (of, validMs) => {
        const reply = attributesReply(of, { validMs, mapOthers: false });
        assert.equal(reply.length, 16 + 104);
        assert.equal(readU64(reply, 16) * 1000 + reply.readUInt32LE(24) / 1e6, validMs);
        expectAttributes(reply, 32, of, format(of) | of.mode);
        const entry = entryReply(2 ** 48, of, { validMs, mapOthers: false });
        assert.equal(entry.length, 16 + 128);
        assert.equal(readU64(entry, 16), 2 ** 48);
        for (const [seconds, nanoseconds] of [
          [32, 48],
          [40, 52],
        ] as const)
          assert.equal(readU64(entry, seconds) * 1000 + entry.readUInt32LE(nanoseconds) / 1e6, validMs);
        expectAttributes(entry, 56, of, format(of) | of.mode);
      }),
    );
  });

  test("others' bits follow the group's where asked", () => {
    fc.assert(
      fc.property(attributes, (of) => {
        const mode = attributesReply(of, { validMs: 0, mapOthers: true }).readUInt32LE(32 + 60);
        assert.equal(mode, format(of) | (of.mode & 0o7770) | ((of.mode >> 3) & 7));
      }),
    );
  });

  test('a name that does not exist has no number, and a time', () => {
    const reply = absentReply(2500);
    assert.deepEqual([readU64(reply, 16), readU64(reply, 32), reply.readUInt32LE(48)], [0, 2, 500_000_000]);
  });

  test('a listing holds whole entries, aligned, and never more than its room', () => {
    const entry = fc.record({ name, inode: whole, cookie: fc.bigInt({ min: 3n, max: 2n ** 62n }) });
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 40 }), fc.nat({ max: 4096 }), fc.boolean(), (entries, room, plus) => {
        const reply = new ListingReply(room, plus);
        const added = entries.filter((one) => {
          const has = reply.hasRoom({ ...one, type: 'file' });
          if (has) reply.add({ ...one, type: 'file' });
          return has;
        });
        const bytes = reply.finish();
        assert.ok(bytes.length <= room + 16);
        let at = 16;
        for (const { name, inode, cookie } of added) {
          if (plus) at += 128;
          const length = bytes.readUInt32LE(at + 16);
          assert.deepEqual([readU64(bytes, at), bytes.readBigUInt64LE(at + 8), length], [inode, cookie, name.length]);
          assert.deepEqual([...bytes.subarray(at + 24, at + 24 + length)], [...name]);
          at += (24 + length + 7) & ~7;
        }
        assert.equal(at, bytes.length);
      }),
    );
  });
});

describe('requests', () => {
  test('names and numbers come back', () => {
    fc.assert(
      fc.property(name, name, whole, id, (from, to, directory, flags) => {
        const head = Buffer.concat([longs(directory), words(flags, 0)]);
        const rename = requests.decodeRename2(bodyOf(head, from, end, to, end));
        assert.deepEqual(rename, {
          name: Buffer.from(from),
          toDirectory: directory,
          toName: Buffer.from(to),
          flags,
        });
        assert.deepEqual(requests.decodeLink(bodyOf(longs(directory), from, end)), {
          inode: directory,
          name: Buffer.from(from),
        });
      }),
    );
  });

  test('only what SETATTR marks changes', () => {
    const numbers = [0, 9, 4096, 0, -5, 7, 0];
    const head = (valid: number) =>
      bodyOf(words(valid, 0), longs(...numbers.slice(1)), words(1, 2, 0, 0o100644, 0, 10, 20, 0));
    assert.deepEqual(requests.decodeSetAttributes(head(0)), { change: {}, killPrivileges: false });
    const all = requests.decodeSetAttributes(head(1 | 2 | 4 | 8 | 16 | 32 | (1 << 11)));
    assert.deepEqual(all, {
      change: {
        mode: 0o644,
        uid: 10,
        gid: 20,
        size: 4096,
        accessed: { seconds: -5, nanoseconds: 1 },
        modified: { seconds: 7, nanoseconds: 2 },
      },
      killPrivileges: true,
    });
    const now = requests.decodeSetAttributes(head(16 | 32 | 128 | 256));
    assert.deepEqual(now.change, { accessed: 'now', modified: 'now' });
  });

  test('the data of a write is a copy when small, and the frame itself when large', () => {
    const write = (length: number, frameBytes: number) => {
      const head = Buffer.concat([longs(0, 77), words(length, 4), longs(0), words(0x1002, 0)]);
      const body = new requests.Body(Buffer.concat([head, Buffer.alloc(length, 5)]), frameBytes);
      return { body, asked: requests.decodeWrite(body) };
    };
    const small = write(10, 4096);
    assert.equal(small.body.kept, false);
    small.body.bytes.fill(0);
    assert.deepEqual(small.asked, { offset: 77, writeFlags: 4, flags: 0x1002, data: Buffer.alloc(10, 5) });
    const large = write(3000, 4096);
    assert.equal(large.body.kept, true);
    assert.equal(large.asked.data.buffer, large.body.bytes.buffer);
  });

  test('names that are none are refused', () => {
    const errnoOf = (text: string) => {
      try {
        requests.decodeName(bodyOf(named(Buffer.alloc(0), text)));
      } catch (error) {
        return errnoNameOf(error);
      }
      return undefined;
    };
    assert.deepEqual(['', '.', '..', 'a/b', 'x'.repeat(256)].map(errnoOf), [
      ...['EINVAL', 'EINVAL', 'EINVAL', 'EINVAL'],
      'ENAMETOOLONG',
    ]);
    assert.deepEqual(['...', '.a', 'x'.repeat(255), '\xff'].map(errnoOf), Array(4).fill(undefined));
    assert.throws(
      () => requests.decodeName(bodyOf(Buffer.from('no end'))),
      (error) => isError(error, 'usage'),
    );
  });

  test('anything at all is taken or refused as invalid', () => {
    const decoders = Object.entries(requests).filter(([key]) => key.startsWith('decode'));
    assert.ok(decoders.length > 20);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(...decoders), (bytes, [, decode]) => {
        try {
          (decode as requests.Decode<unknown>)(bodyOf(bytes));
        } catch (error) {
          assert.ok(isError(error, 'usage'), String(error));
        }
      }),
      { numRuns: 3000 },
    );
  });
});
