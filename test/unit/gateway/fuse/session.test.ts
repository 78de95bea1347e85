import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { InfinitError } from '../../../../src/core/base/errors.ts';
import { type Abortable, cancelled } from '../../../../src/core/base/lifecycle.ts';
import { limits } from '../../../../src/core/base/limits.ts';
import { Metrics } from '../../../../src/core/base/metrics.ts';
import { operations } from '../../../../src/core/gateway/fuse/operations.ts';
import { opcodes, readU64 } from '../../../../src/core/gateway/fuse/wire.ts';
import { errno } from '../../../../src/core/volume/errno.ts';
import type { Attributes } from '../../../../src/core/volume/files/files.ts';
import { MemoryFiles } from '../../../fakes/memory-files.ts';
import { FakeKernel, frame, initBody, longs, named, settled, words } from './kernel.ts';

const nothing = Buffer.alloc(0);
const name = (text: string) => named(nothing, text);
const EPROTO = 71;

/** Answers attributes when told, unless given up; counts what is open and synced. */
class SlowFiles extends MemoryFiles {
  freshMs = 0;
  syncs = 0;
  opens = 0;
  blocked = 0;
  private readonly waiting: (() => void)[] = [];

  override async attributes(inode: number, options?: Abortable): Promise<Attributes> {
    if (this.blocked > 0) await this.wait(options?.signal);
    return super.attributes(inode, options);
  }
  override freshForMs(): number {
    return this.freshMs;
  }
  override open(inode: number): void {
    this.opens++;
    super.open(inode);
  }
  override async close(inode: number): Promise<void> {
    this.opens--;
    await super.close(inode);
  }
  override async sync(inode: number): Promise<void> {
    this.syncs++;
    await super.sync(inode);
  }
  go(): void {
    for (const next of this.waiting.splice(0)) next();
  }
  private wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push(resolve);
      signal?.addEventListener('abort', () => reject(cancelled(signal)));
    });
  }
}

/** A file of the root; its number. */
async function makeFile(kernel: FakeKernel, text = 'file', flags = 2): Promise<number> {
  const { error, body } = await kernel.ask('CREATE', 1, named(words(flags, 0o100644, 0, 0), text));
  assert.equal(error, 0);
  return readU64(body, 0);
}

const writeBody = (data: Buffer, offset = 0, flags = 2, writeFlags = 0) =>
  Buffer.concat([longs(0, offset), words(data.length, writeFlags), longs(0), words(flags, 0), data]);
const readBody = (length: number, offset = 0) =>
  Buffer.concat([longs(0, offset), words(length, 0), longs(0), words(0, 0)]);

describe('the beginning', () => {
  test('takes what it needs of what the kernel offers', async () => {
    const kernel = new FakeKernel(new MemoryFiles(), { isSilent: true });
    assert.equal((await kernel.ask('GETATTR', 1, words(0, 0, 0, 0))).error, errno.EIO);
    const { error, body } = await kernel.ask('INIT', 0, initBody());
    assert.deepEqual([error, body.length, body.readUInt32LE(0), body.readUInt32LE(4)], [0, 64, 7, 39]);
    const flags = body.readUInt32LE(12);
    const writeback = 1 << 16;
    const locks = (1 << 1) | (1 << 10);
    assert.equal(flags & (writeback | locks), locks);
    assert.deepEqual([body.readUInt32LE(20), body.readUInt16LE(28)], [limits.fuseDataBytesMax, 256]);
    assert.equal((await kernel.ask('GETATTR', 1, words(0, 0, 0, 0))).error, 0);
  });

  test('a kernel that offers little gets little', async () => {
    const kernel = new FakeKernel(new MemoryFiles(), { isSilent: true });
    const { body } = await kernel.ask('INIT', 0, words(7, 26, 4096, 1 << 5));
    assert.deepEqual(
      [body.readUInt32LE(4), body.readUInt32LE(8), body.readUInt32LE(12), body.readUInt32LE(20)],
      [26, 4096, 1 << 5, 128 * 1024],
    );
  });

  test('a later major version is told ours; an older one is refused', async () => {
    const later = new FakeKernel(new MemoryFiles(), { isSilent: true });
    assert.equal((await later.ask('INIT', 0, initBody(8, 0))).body.readUInt32LE(0), 7);
    assert.equal((await later.ask('GETATTR', 1, words(0, 0, 0, 0))).error, errno.EIO);
    assert.equal((await later.ask('INIT', 0, initBody())).error, 0);
    const old = new FakeKernel(new MemoryFiles(), { isSilent: true });
    assert.equal((await old.ask('INIT', 0, initBody(7, 12))).error, EPROTO);
  });
});

describe('requests', () => {
  test('files are made, written, read, listed, renamed and removed', async () => {
    const kernel = new FakeKernel(new MemoryFiles());
    const inode = await makeFile(kernel, 'a');
    const data = Buffer.from('hello');
    assert.equal((await kernel.ask('WRITE', inode, writeBody(data, 3))).body.readUInt32LE(0), 5);
    assert.deepEqual((await kernel.ask('READ', inode, readBody(100))).body, Buffer.from('\0\0\0hello'));
    assert.equal((await kernel.ask('MKDIR', 1, named(words(0o755, 0), 'd'))).error, 0);
    const directory = readU64((await kernel.ask('LOOKUP', 1, name('d'))).body, 0);
    assert.equal((await kernel.ask('RENAME', 1, named(longs(directory), 'a', 'b'))).error, 0);
    assert.equal((await kernel.ask('LOOKUP', 1, name('a'))).error, errno.ENOENT);
    const listing = (await kernel.ask('READDIRPLUS', directory, readBody(4096))).body;
    assert.deepEqual(listing.subarray(-8), Buffer.from('b\0\0\0\0\0\0\0'));
    assert.equal((await kernel.ask('RMDIR', 1, name('d'))).error, errno.ENOTEMPTY);
    assert.equal((await kernel.ask('UNLINK', directory, name('b'))).error, 0);
    assert.equal((await kernel.ask('READ', inode, readBody(100))).body.length, 8);
    assert.equal((await kernel.ask('RELEASE', inode, longs(0, 0, 0))).error, 0);
    assert.equal((await kernel.ask('READ', inode, readBody(100))).error, errno.ESTALE);
  });

  test('only the bytes of files are counted, and only those that were read or written', async () => {
    const metrics = new Metrics();
    const kernel = new FakeKernel(new MemoryFiles(), { metrics });
    const inode = await makeFile(kernel, 'a');
    assert.equal((await kernel.ask('WRITE', inode, writeBody(Buffer.from('hello'), 3))).error, 0);
    assert.equal((await kernel.ask('READ', inode, readBody(100))).error, 0);
    assert.notEqual((await kernel.ask('WRITE', 1, writeBody(Buffer.from('into a directory')))).error, 0);
    const text = await metrics.text();
    assert.match(text, /infinit_fuse_bytes_total{direction="written"} 5$/m);
    assert.match(text, /infinit_fuse_bytes_total{direction="read"} 8$/m);
  });

  test('who asks owns what is made', async () => {
    const kernel = new FakeKernel(new MemoryFiles());
    const { body } = await kernel.ask('MKNOD', 1, named(words(0o010600, 0, 0, 0), 'fifo'), 42);
    assert.deepEqual([body.readUInt32LE(40 + 60), body.readUInt32LE(40 + 68)], [0o010600, 42]);
  });

  test('what is not known is not there, and what is malformed is invalid', async () => {
    const kernel = new FakeKernel(new MemoryFiles());
    for (const opcode of [34, 37, 39, 47, 999]) assert.equal((await kernel.ask(opcode, 1)).error, errno.ENOSYS);
    assert.equal((await kernel.ask('SETATTR', 1, words(1))).error, errno.EINVAL);
    assert.equal((await kernel.ask('WRITE', 1, words(1))).error, errno.EINVAL);
    assert.equal((await kernel.ask('INIT', 0, words(7))).error, errno.EINVAL);
    const bytes = frame(opcodes.GETATTR, 4242, 1, Buffer.alloc(16));
    bytes.writeUInt32LE(bytes.length + 1, 0);
    kernel.transport.arrive(bytes);
    assert.deepEqual(kernel.answersTo(4242), [{ error: EPROTO, body: nothing }]);
    kernel.transport.arrive(Buffer.alloc(20));
  });

  test('whatever arrives, each request is answered once at most and the next one is served', async () => {
    const known = Object.values(opcodes).filter((opcode) => opcode !== opcodes.INIT);
    const request = fc.tuple(fc.constantFrom(...known, 99), fc.nat({ max: 5 }), fc.uint8Array({ maxLength: 160 }));
    await fc.assert(
      fc.asyncProperty(fc.array(request, { maxLength: 30 }), async (all) => {
        const kernel = new FakeKernel(new MemoryFiles());
        const sent = all.map(([opcode, inode, body]) => kernel.send(opcode, inode, Buffer.from(body)));
        await settled();
        const silent: number[] = [opcodes.FORGET, opcodes.BATCH_FORGET, opcodes.INTERRUPT];
        for (const [index, unique] of sent.entries()) {
          const answers = kernel.answersTo(unique).length;
          const opcode = all[index]?.[0] ?? 0;
          if (silent.includes(opcode)) assert.ok(answers <= 1);
          else assert.equal(answers, 1, `opcode ${opcode}`);
        }
        assert.equal((await kernel.ask('GETATTR', 1, words(0, 0, 0, 0))).error, 0);
        assert.deepEqual(
          kernel.lines.filter(({ level }) => level === 'error'),
          [],
        );
      }),
      { numRuns: 300 },
    );
  });

  test('what breaks unexpectedly is an I/O error and a line in the log', async () => {
    class Broken extends MemoryFiles {
      override async attributes(): Promise<Attributes> {
        throw new TypeError('a bug');
      }
      override async usage(): Promise<never> {
        throw new InfinitError('unavailable', 'nobody answers');
      }
    }
    const kernel = new FakeKernel(new Broken());
    assert.equal((await kernel.ask('GETATTR', 1, words(0, 0, 0, 0))).error, errno.EIO);
    assert.equal((await kernel.ask('STATFS', 1)).error, errno.EIO);
    assert.deepEqual(
      kernel.lines.map(({ level }) => level),
      ['error', 'warn'],
    );
  });

  test('data handed on is not the memory of the next request', async () => {
    class Keeping extends MemoryFiles {
      readonly written: Uint8Array[] = [];
      override async write(_: number, __: number, data: Uint8Array): Promise<void> {
        this.written.push(data);
      }
    }
    const files = new Keeping();
    const kernel = new FakeKernel(files);
    const inode = await makeFile(kernel);
    const datas = [10, 5000, 700_000, 1_048_576].map((length, index) => Buffer.alloc(length, index + 1));
    for (const data of datas) await kernel.ask('WRITE', inode, writeBody(data));
    assert.ok(files.written.every((data, index) => Buffer.compare(data, datas[index] ?? nothing) === 0));
  });

  test('every opcode with a number has a line, but those of the session itself', () => {
    const own: number[] = [opcodes.INIT, opcodes.DESTROY, opcodes.INTERRUPT];
    const missing = Object.values(opcodes).filter((opcode) => !operations.has(opcode) && !own.includes(opcode));
    assert.deepEqual(missing, []);
  });
});

describe('giving up', () => {
  test('an interrupted request is answered once, with EINTR', async () => {
    const files = new SlowFiles();
    const kernel = new FakeKernel(files);
    files.blocked = 1;
    const unique = kernel.send('GETATTR', 1, words(0, 0, 0, 0));
    await settled();
    assert.deepEqual(kernel.answersTo(unique), []);
    kernel.send('INTERRUPT', 0, longs(unique));
    kernel.send('INTERRUPT', 0, longs(unique));
    await settled();
    files.go();
    await settled();
    assert.deepEqual(kernel.answersTo(unique), [{ error: errno.EINTR, body: nothing }]);
  });

  test('an interrupt whose request is not known is to be told again', async () => {
    const kernel = new FakeKernel(new MemoryFiles());
    assert.equal((await kernel.ask('INTERRUPT', 0, longs(123))).error, errno.EAGAIN);
  });

  test('a request that takes too long fails, and delays no other', async () => {
    const files = new SlowFiles();
    const kernel = new FakeKernel(files, { timeoutMs: 5000 });
    files.blocked = 1;
    const unique = kernel.send('GETATTR', 1, words(0, 0, 0, 0));
    assert.equal((await kernel.ask('STATFS', 1)).error, 0);
    for (let i = 0; i < 4; i++) await kernel.clock.pass(1000);
    assert.deepEqual(kernel.answersTo(unique), []);
    for (let i = 0; i < 2; i++) await kernel.clock.pass(1000);
    assert.deepEqual(kernel.answersTo(unique), [{ error: errno.EIO, body: nothing }]);
  });

  test('no more is read while as much as may be is under way', async () => {
    const files = new SlowFiles();
    const kernel = new FakeKernel(files);
    files.blocked = 1;
    for (let i = 0; i < limits.fuseRequestsMax - 1; i++) kernel.send('GETATTR', 1, words(0, 0, 0, 0));
    assert.equal(kernel.transport.paused, false);
    kernel.send('GETATTR', 1, words(0, 0, 0, 0));
    assert.equal(kernel.transport.paused, true);
    files.go();
    await settled();
    assert.equal(kernel.transport.paused, false);
    assert.equal(kernel.transport.answers.length, limits.fuseRequestsMax);
  });
});

describe('rights and caches', () => {
  test('a read-only mount changes nothing', async () => {
    const files = new MemoryFiles();
    const { inode } = await files.make(1, Buffer.from('f'), { type: 'file', mode: 0o644, uid: 0, gid: 0 });
    const kernel = new FakeKernel(files, { readOnly: true });
    assert.equal((await kernel.ask('CREATE', 1, named(words(1, 0o644, 0, 0), 'x'))).error, errno.EROFS);
    assert.equal((await kernel.ask('UNLINK', 1, name('f'))).error, errno.EROFS);
    assert.equal((await kernel.ask('OPEN', inode, words(1, 0))).error, errno.EROFS);
    assert.equal((await kernel.ask('OPEN', inode, words(0o1000, 0))).error, errno.EROFS);
    assert.equal((await kernel.ask('OPEN', inode, words(0, 0))).error, 0);
  });

  test('names and attributes hold as long as the files say; absence too', async () => {
    const files = new SlowFiles();
    const kernel = new FakeKernel(files);
    await makeFile(kernel, 'f');
    const seconds = async () => readU64((await kernel.ask('LOOKUP', 1, name('f'))).body, 16);
    assert.equal(await seconds(), 0);
    assert.equal((await kernel.ask('LOOKUP', 1, name('none'))).error, errno.ENOENT);
    files.freshMs = 4000;
    assert.equal(await seconds(), 4);
    const absent = await kernel.ask('LOOKUP', 1, name('none'));
    assert.deepEqual([absent.error, readU64(absent.body, 0), readU64(absent.body, 16)], [0, 0, 4]);
    assert.equal((await kernel.ask('LOOKUP', 99, name('none'))).error, errno.ESTALE);
  });

  test('a writer goes past the cache where attributes may not be kept; a reader of a read-only mount has nothing to flush', async () => {
    const files = new SlowFiles();
    const kernel = new FakeKernel(files);
    const inode = await makeFile(kernel);
    const flags = async (how: number) => (await kernel.ask('OPEN', inode, words(how, 0))).body.readUInt32LE(8);
    assert.deepEqual([await flags(1), await flags(0)], [1, 2]);
    files.freshMs = 4000;
    assert.deepEqual([await flags(1), await flags(0)], [2, 2]);
    const readOnly = new FakeKernel(files, { readOnly: true });
    assert.equal((await readOnly.ask('OPEN', inode, words(0, 0))).body.readUInt32LE(8), 2 | 32);
  });

  test('writes to a file opened with O_DSYNC are durable before they are answered', async () => {
    const files = new SlowFiles();
    const kernel = new FakeKernel(files);
    const inode = await makeFile(kernel);
    await kernel.ask('WRITE', inode, writeBody(Buffer.from('a')));
    assert.equal(files.syncs, 0);
    await kernel.ask('WRITE', inode, writeBody(Buffer.from('a'), 0, 0o10001));
    assert.equal(files.syncs, 1);
  });

  test('a write takes away the right to run as somebody else', async () => {
    const files = new MemoryFiles();
    const kernel = new FakeKernel(files);
    const inode = await makeFile(kernel);
    const mode = async () => (await files.attributes(inode)).mode;
    const capability = Buffer.from('security.capability');
    const arm = async () => {
      await kernel.ask(
        'SETATTR',
        inode,
        Buffer.concat([words(1, 0), longs(0, 0, 0, 0, 0, 0), words(0, 0, 0, 0o6755, 0, 0, 0, 0)]),
      );
      await files.setExtended(inode, capability, Buffer.from('x'));
    };
    await arm();
    await kernel.ask('WRITE', inode, writeBody(Buffer.from('a')));
    assert.equal(await mode(), 0o6755);
    assert.equal((await files.listExtended(inode)).length, 0);
    await kernel.ask('WRITE', inode, writeBody(Buffer.from('a'), 0, 2, 1 << 2));
    assert.equal(await mode(), 0o755);
    await arm();
    await kernel.ask('OPEN', inode, words(0o1001, 1));
    assert.deepEqual([await mode(), (await files.attributes(inode)).size], [0o755, 0]);
  });

  test('so does a change of owner, of everything but directories', async () => {
    const files = new MemoryFiles();
    const kernel = new FakeKernel(files);
    for (const type of ['file', 'fifo', 'socket', 'block-device', 'directory'] as const) {
      const { inode } = await files.make(1, Buffer.from(type), { type, mode: 0o6755, uid: 10, gid: 20 });
      const gidAndKill = (1 << 2) | (1 << 11);
      const body = Buffer.concat([words(gidAndKill, 0), longs(0, 0, 0, 0, 0, 0), words(0, 0, 0, 0, 0, 0, 30, 0)]);
      assert.equal((await kernel.ask('SETATTR', inode, body)).error, 0);
      const { mode, gid } = await files.attributes(inode);
      assert.deepEqual([gid, mode], [30, type === 'directory' ? 0o6755 : 0o755], type);
    }
  });

  test('another who made the file first is no error, unless it must be new', async () => {
    const files = new SlowFiles();
    const kernel = new FakeKernel(files);
    const inode = await makeFile(kernel, 'f');
    assert.equal(await makeFile(kernel, 'f'), inode);
    assert.equal(files.opens, 2);
    const exclusive = named(words(0o200 | 2, 0o644, 0, 0), 'f');
    assert.equal((await kernel.ask('CREATE', 1, exclusive)).error, errno.EEXIST);
    await kernel.ask('MKDIR', 1, named(words(0o755, 0), 'd'));
    const taken = named(words(2, 0o644, 0, 0), 'd');
    assert.equal((await kernel.ask('CREATE', 1, taken)).error, errno.ESTALE);
  });

  test('files the kernel left open are closed when it lets go', async () => {
    const files = new SlowFiles();
    const kernel = new FakeKernel(files);
    const inode = await makeFile(kernel);
    await kernel.ask('OPEN', inode, words(0, 0));
    await kernel.ask('TMPFILE', 1, named(words(2, 0o600, 0, 0), 'x'));
    await kernel.ask('RELEASE', inode, longs(0, 0, 0));
    assert.equal(files.opens, 1);
    await kernel.transport.close();
    await kernel.session.ended;
    await settled();
    // An unnamed file was never opened by a call of its own.
    assert.equal(files.opens, -1);
  });
});
