// The files of the operating system: what they promise of errors, atomic replacement, direct I/O and locks.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { InfinitError } from '../../../src/core/base/errors.ts';
import { systemFiles } from '../../../src/core/runtime/system/files.ts';

const files = systemFiles();
const root = await fs.mkdtemp(join(tmpdir(), 'infinit-files-'));
after(() => fs.rm(root, { recursive: true, force: true }));

async function kindOf(task: Promise<unknown>): Promise<string> {
  try {
    await task;
  } catch (error) {
    assert.ok(error instanceof InfinitError, String(error));
    return error.kind;
  }
  return 'no error';
}

describe('whole files', () => {
  it('replaces atomically, with a mode, leaving nothing behind', async () => {
    const path = join(root, 'whole');
    await files.replace(path, Buffer.from('one'));
    await files.replace(path, Buffer.from('two'), { mode: 0o640 });
    assert.equal((await files.read(path)).toString(), 'two');
    assert.equal((await fs.stat(path)).mode & 0o777, 0o640 & ~process.umask());
    assert.deepEqual(await fs.readdir(root), ['whole']);
  });

  it('keeps the old content when replacing fails', async () => {
    const folder = join(root, 'target');
    await files.makeDirectory(join(folder, 'full'));
    assert.notEqual(await kindOf(files.replace(folder, Buffer.from('x'))), 'no error');
    assert.deepEqual((await fs.readdir(root)).sort(), ['target', 'whole']);
  });

  it('does not list what an interrupted replacement left', async () => {
    const folder = join(root, 'listed');
    await files.makeDirectory(folder);
    await fs.writeFile(join(folder, '.infinit-0123456789abcdef.tmp'), 'half');
    await files.replace(join(folder, 'b'), Buffer.alloc(0));
    await files.replace(join(folder, 'a'), Buffer.alloc(0));
    assert.deepEqual(await files.list(folder), ['a', 'b']);
    assert.deepEqual(await files.list(join(root, 'nothing')), []);
  });

  it('limits what it reads', async () => {
    const path = join(root, 'large');
    await files.replace(path, Buffer.alloc(100));
    assert.equal((await files.read(path, { limit: 100 })).length, 100);
    assert.equal(await kindOf(files.read(path, { limit: 99 })), 'full');
  });

  it('names what went wrong', async () => {
    const path = join(root, 'plain');
    await files.replace(path, Buffer.from('x'));
    assert.equal(await kindOf(files.read(join(root, 'nothing'))), 'not-found');
    assert.equal(await kindOf(files.read(root)), 'usage');
    assert.equal(await kindOf(files.read('relative')), 'usage');
    assert.equal(await kindOf(files.read(`${root}/zero\0byte`)), 'usage');
    assert.equal(await kindOf(files.open(join(root, 'nothing'), { mode: 'write' })), 'not-found');
    assert.equal(await kindOf(files.makeDirectory(path)), 'exists');
    assert.equal(await kindOf(files.replace(join(root, 'no', 'folder'), Buffer.alloc(1))), 'not-found');
    assert.equal(await kindOf(files.replace('/proc/version', Buffer.alloc(1))), 'not-found');
    assert.equal(await files.stat(join(path, 'below a file')), undefined);
  });

  it('makes and removes folders', async () => {
    await files.makeDirectory(join(root, 'a', 'b', 'c'));
    await files.makeDirectory(join(root, 'a', 'b', 'c'));
    assert.deepEqual(await files.stat(join(root, 'a', 'b')), {
      ...(await files.stat(join(root, 'a'))),
      kind: 'directory',
    });
    assert.equal((await fs.stat(join(root, 'a'))).mode & 0o777, 0o700);
    await files.remove(join(root, 'a'));
    await files.remove(join(root, 'a'));
    await files.remove(join(root, 'no', 'parent'));
    assert.equal(await files.stat(join(root, 'a')), undefined);
  });

  it('tells the space of a path that is not there yet', async () => {
    const { freeBytes, totalBytes } = await files.space(join(root, 'not', 'yet'));
    assert.ok(freeBytes > 0 && totalBytes >= freeBytes);
  });
});

describe('open files', () => {
  it('reads and writes at positions, short only at the end', async () => {
    const file = await files.open(join(root, 'random'), { mode: 'create', durableWrites: true });
    await file.write(Buffer.from('0123456789'), 5);
    const into = Buffer.alloc(8);
    assert.equal(await file.read(into, 0), 8);
    assert.equal(into.toString('latin1'), '\0\0\0\0\x00012');
    assert.equal(await file.read(into, 12), 3);
    assert.equal(file.readSync(into, 12), 3);
    assert.equal(await file.read(into, 100), 0);
    await file.truncate(7);
    await file.sync();
    assert.equal(await file.bytes(), 7);
    await file.close();
  });

  it('waits for what is in flight when closing, and refuses afterwards', async () => {
    const file = await files.open(join(root, 'closing'), { mode: 'create' });
    const written = file.write(Buffer.alloc(1_000_000, 7), 0);
    await Promise.all([file.close(), file.close(), written]);
    assert.equal((await files.read(join(root, 'closing'))).length, 1_000_000);
    assert.equal(await kindOf(file.read(Buffer.alloc(1), 0)), 'unavailable');
    assert.equal(await kindOf((async () => file.readSync(Buffer.alloc(1), 0))()), 'unavailable');
  });

  it('does direct I/O where the file system allows', async (context) => {
    const path = join(root, 'direct');
    let file: Awaited<ReturnType<typeof files.open>>;
    try {
      file = await files.open(path, { mode: 'create', direct: true, durableWrites: true });
    } catch (error) {
      assert.ok(error instanceof InfinitError && error.kind === 'unsupported');
      return context.skip('direct I/O is refused here');
    }
    const buffer = file.alignedBuffer(100_000).subarray(0, 8192).fill(9);
    await file.write(buffer, 4096);
    assert.equal(await file.bytes(), 4096 + 8192);
    assert.equal(await kindOf(file.write(buffer.subarray(1, 4097), 0)), 'unsupported');
    await file.close();
    assert.ok((await files.read(path)).subarray(4096).equals(Buffer.alloc(8192, 9)));
  });

  it('reports a full device', async (context) => {
    if ((await files.stat('/dev/full')) === undefined) return context.skip('no /dev/full');
    const file = await files.open('/dev/full', { mode: 'write' });
    assert.equal(await kindOf(file.write(Buffer.alloc(10), 0)), 'full');
    await file.close();
  });
});

const holderScript = `
import { systemFiles } from ${JSON.stringify(new URL('../../../src/core/runtime/system/files.ts', import.meta.url).href)};
await systemFiles().lock(process.argv[1]);
process.stdout.write('held');
setInterval(() => {}, 1000);`;

describe('locks', () => {
  it('has one owner, in this process too', async () => {
    const path = join(root, 'own.lock');
    const first = await files.lock(path);
    await assert.rejects(files.lock(path), (error: InfinitError) => {
      assert.equal(error.kind, 'exists');
      assert.match(error.message, new RegExp(`pid ${process.pid}$`));
      assert.deepEqual(error.data, { pid: process.pid });
      return true;
    });
    await first.release();
    await first.release();
    const second = await files.lock(path);
    await second.release();
  });

  it('ends with a process that is killed', async () => {
    const path = join(root, 'other.lock');
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', holderScript, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(child.stdout, 'data');
      await assert.rejects(files.lock(path), (error: InfinitError) => {
        assert.equal(error.kind, 'exists');
        assert.match(error.message, new RegExp(`pid ${child.pid}`));
        return true;
      });
    } finally {
      child.kill('SIGKILL');
      await once(child, 'close');
    }
    await (await files.lock(path)).release();
  });

  it('refuses what cannot be a lock', async () => {
    await files.replace(join(root, 'text'), Buffer.alloc(5000, 'no lock '));
    assert.equal(await kindOf(files.lock(join(root, 'text'))), 'corrupt');
    assert.equal(await kindOf(files.lock(join(root, 'no', 'folder'))), 'not-found');
  });
});
