// `volume run --script` over the files view in memory: every operation, its answers and its errors.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { utf8 } from '../../../src/core/base/bytes.ts';
import { InfinitError } from '../../../src/core/base/errors.ts';
import { serveVolumeScript, VolumeScript } from '../../../src/core/node/volume-script.ts';
import { errno } from '../../../src/core/volume/errno.ts';
import { rootInode } from '../../../src/core/volume/files/files.ts';
import { MemoryFiles } from '../../fakes/memory-files.ts';

type Answer = Record<string, unknown>;

function session() {
  const files = new MemoryFiles();
  const script = new VolumeScript({ files, uid: 1000, gid: 100, blockBytes: 4096 });
  const ask = (operation: string, fields: Record<string, unknown> = {}) => script.answer({ operation, ...fields });
  const must = async (operation: string, fields: Record<string, unknown> = {}): Promise<Answer> => {
    const answer = await ask(operation, fields);
    assert.equal(answer.success, true, JSON.stringify(answer));
    return answer;
  };
  const fails = async (code: number, operation: string, fields: Record<string, unknown> = {}): Promise<Answer> => {
    const answer = await ask(operation, fields);
    assert.deepEqual([answer.success, answer.code], [false, code], JSON.stringify(answer));
    assert.equal(typeof answer.message, 'string');
    return answer;
  };
  return { files, script, ask, must, fails };
}

const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('volume run --script', () => {
  test('directories: mkdir, list_directory, rmdir', async () => {
    const { must, fails } = session();
    const made = await must('mkdir', { path: '/d', mode: 0o750 });
    assert.deepEqual(made, { success: true, operation: 'mkdir', path: '/d' });
    await must('mkdir', { path: '/d/e' });
    for (let i = 0; i < 30; i++) await must('write_file', { path: `/d/${i}`, content: '' });
    const { entries } = await must('list_directory', { path: 'd/' });
    assert.deepEqual((entries as string[]).sort(), ['e', ...Array.from({ length: 30 }, (_, i) => `${i}`)].sort());
    assert.deepEqual((await must('list_directory', { path: '/' })).entries, ['d']);
    const stat = await must('stat', { path: '/d' });
    assert.deepEqual([stat.st_mode, stat.st_uid, stat.st_gid, stat.st_nlink], [0o040750, 1000, 100, 3]);
    await fails(errno.EEXIST, 'mkdir', { path: '/d' });
    await fails(errno.EEXIST, 'mkdir', { path: '/' });
    await fails(errno.ENOENT, 'mkdir', { path: '/none/d' });
    await fails(errno.ENOTEMPTY, 'rmdir', { path: '/d' });
    await fails(errno.EBUSY, 'rmdir', { path: '/' });
    await fails(errno.EISDIR, 'unlink', { path: '/d' });
    await fails(errno.ENOTDIR, 'rmdir', { path: '/d/1' });
    await fails(errno.ENOTDIR, 'list_directory', { path: '/d/1' });
    await must('rmdir', { path: '/d/e' });
    await fails(errno.ENOENT, 'stat', { path: '/d/e' });
  });

  test('whole files: write_file replaces, read_file gives text, unlink', async () => {
    const { files, must, fails } = session();
    await must('write_file', { path: '/a', content: 'first, and long' });
    await must('write_file', { path: '/a', content: 'zwölf' });
    assert.deepEqual(await must('read_file', { path: '/a' }), {
      success: true,
      operation: 'read_file',
      path: '/a',
      content: 'zwölf',
    });
    const stat = await must('stat', { path: '/a' });
    assert.deepEqual([stat.st_mode, stat.st_size, stat.st_nlink, stat.st_blksize], [0o100666, 6, 1, 4096]);
    await files.write((await files.lookup(rootInode, utf8('a'))).inode, 0, Buffer.from([0xff]));
    const binary = await fails(errno.EINVAL, 'read_file', { path: '/a' });
    assert.equal(binary.message, 'it is not text');
    await fails(errno.EISDIR, 'read_file', { path: '/' });
    await fails(errno.EINVAL, 'write_file', { path: '/a' });
    await must('unlink', { path: '/a' });
    await fails(errno.ENOENT, 'read_file', { path: '/a' });
  });

  test('open files: create, open, read, write, ftruncate, fsync, close, dispose', async () => {
    const { must, fails } = session();
    const { handle } = await must('create', { path: '/f', mode: 0o600, flags: 0o2 });
    assert.deepEqual(await must('write', { handle, offset: 2, content: base64('hello') }), {
      success: true,
      operation: 'write',
      handle,
      size: 5,
    });
    assert.equal((await must('read', { handle, offset: 0, size: 100 })).content, base64('\0\0hello'));
    await must('ftruncate', { handle, size: 4 });
    await must('fsync', { handle });
    assert.equal((await must('read', { handle, offset: 2, size: 100 })).content, base64('he'));
    await fails(errno.EINVAL, 'open', { path: '/f', handle: [] });
    await must('unlink', { path: '/f' });
    assert.equal((await must('read', { handle, size: 100 })).content, base64('\0\0he'), 'it lives while it is open');
    await must('close', { handle });
    await fails(errno.EINVAL, 'read', { handle, size: 1 });
    await fails(errno.EINVAL, 'close', { handle });
    await must('dispose', { handle });
    await fails(errno.EINVAL, 'dispose', { handle });
    await fails(errno.ENOENT, 'open', { path: '/f' });
  });

  test('open takes flags as open(2) does, and a name for the handle', async () => {
    const { must, fails } = session();
    await must('write_file', { path: '/f', content: 'abc' });
    const named = await must('open', { path: '/f', handle: 'mine', flags: 0 });
    assert.equal(named.handle, 'mine');
    await fails(errno.EEXIST, 'open', { path: '/f', handle: 'mine' });
    await fails(errno.EINVAL, 'write', { handle: 'mine', content: base64('x') });
    await fails(errno.EEXIST, 'create', { path: '/f', flags: 0o200 | 0o1 });
    const { handle } = await must('open', { path: '/f', flags: 0o2001 });
    await must('write', { handle, content: base64('d'), offset: 0 });
    assert.equal((await must('read_file', { path: '/f' })).content, 'abcd');
    await must('open', { path: '/f', flags: 0o1001, handle: 7 });
    assert.equal((await must('read_file', { path: '/f' })).content, '');
    await must('mkdir', { path: '/d' });
    await fails(errno.EISDIR, 'open', { path: '/d' });
  });

  test('links: link, symlink, readlink; the last part of a path is not followed, those before are', async () => {
    const { must, fails } = session();
    await must('mkdir', { path: '/d' });
    await must('write_file', { path: '/d/f', content: 'x' });
    await must('link', { path: '/d/f', target: '/g' });
    assert.equal((await must('stat', { path: '/g' })).st_nlink, 2);
    await must('symlink', { path: '/to-d', target: 'd' });
    await must('symlink', { path: '/d/up', target: '/d' });
    await must('symlink', { path: '/loop', target: 'loop' });
    assert.equal((await must('readlink', { path: '/to-d' })).target, 'd');
    assert.equal(((await must('stat', { path: '/to-d' })).st_mode as number) & 0o170000, 0o120000);
    assert.equal((await must('read_file', { path: '/to-d/f' })).content, 'x');
    assert.equal((await must('read_file', { path: '/to-d/up/../d/./up/f' })).content, 'x');
    assert.equal((await must('read_file', { path: '../../d//f' })).content, 'x');
    await fails(errno.EINVAL, 'stat', { path: '/loop/x' });
    await fails(errno.EINVAL, 'open', { path: '/to-d' });
    await fails(errno.ENOTDIR, 'stat', { path: '/g/x' });
    await fails(errno.EINVAL, 'readlink', { path: '/g' });
    await fails(errno.EPERM, 'link', { path: '/d', target: '/h' });
    await fails(errno.EEXIST, 'symlink', { path: '/g', target: 'd' });
  });

  test('rename replaces; truncate, chmod, chown, utimens change what stat says', async () => {
    const { must, fails } = session();
    await must('write_file', { path: '/a', content: 'aaaa' });
    await must('write_file', { path: '/b', content: 'b' });
    await must('rename', { path: '/a', target: '/b' });
    await fails(errno.ENOENT, 'rename', { path: '/a', target: '/b' });
    await must('truncate', { path: '/b', size: 2 });
    await must('chmod', { path: '/b', mode: 0o4711 });
    await must('chown', { path: '/b', uid: 7, gid: 8 });
    await must('utimens', { path: '/b', access: 1_500_000_000_500_000_000, change: '-1' });
    const stat = await must('stat', { path: '/b' });
    assert.deepEqual([stat.st_size, stat.st_mode, stat.st_uid, stat.st_gid], [2, 0o104711, 7, 8]);
    assert.deepEqual([stat.st_atime, stat.st_atime_nsec], [1_500_000_000, 500_000_000]);
    assert.deepEqual([stat.st_mtime, stat.st_mtime_nsec], [-1, 999_999_999]);
    for (const bad of [-1, 1.5, '7', null, 2 ** 60])
      await fails(errno.EINVAL, 'truncate', { path: '/b', size: bad === 2 ** 60 ? 2 ** 53 : bad });
    await fails(errno.EINVAL, 'utimens', { path: '/b', access: 'now' });
    await fails(errno.EISDIR, 'truncate', { path: '/', size: 0 });
  });

  test('extended attributes: setxattr, getxattr, listxattr, removexattr', async () => {
    const { must, fails } = session();
    await must('write_file', { path: '/a', content: '' });
    await must('setxattr', { path: '/a', name: 'user.x', value: 'y', flags: 0 });
    assert.equal((await must('getxattr', { path: '/a', name: 'user.x' })).value, 'y');
    await fails(errno.EEXIST, 'setxattr', { path: '/a', name: 'user.x', value: 'z', flags: 1 });
    await fails(errno.ENODATA, 'setxattr', { path: '/a', name: 'user.y', value: 'z', flags: 2 });
    assert.deepEqual((await must('listxattr', { path: '/a' })).entries, ['user.x']);
    await must('removexattr', { path: '/a', name: 'user.x' });
    await fails(errno.ENODATA, 'getxattr', { path: '/a', name: 'user.x' });
  });

  test('statfs and fsyncdir', async () => {
    const { must } = session();
    const { f_bsize, f_blocks, f_bfree, f_namemax } = await must('statfs', { path: '/' });
    assert.equal(f_bsize, 4096);
    assert.ok((f_blocks as number) > 0 && (f_bfree as number) <= (f_blocks as number));
    assert.equal(f_namemax, 255);
    await must('fsyncdir', { path: '/' });
  });

  test('what is denied says so, with its number', async () => {
    const { files, script, fails } = session();
    files.lookup = () => Promise.reject(new Error('a bug'));
    await fails(errno.EIO, 'stat', { path: '/a' });
    files.make = () => Promise.reject(new InfinitError('denied', 'the tree is open for reading only'));
    assert.deepEqual(await script.answer({ operation: 'mkdir', path: '/a' }), {
      success: false,
      operation: 'mkdir',
      path: '/a',
      code: 13,
      message: 'Access denied',
    });
  });

  test('a session answers each request in order and closes what it leaves open', async () => {
    const files = new MemoryFiles();
    const replies: Answer[] = [];
    async function* requests() {
      yield { operation: 'create', path: '/f' };
      yield { operation: 'write', handle: 1, content: base64('x') };
      yield { operation: 'unlink', path: '/f' };
      yield 'nonsense';
      yield { operation: 'constructor' };
    }
    const script = { requests: requests(), reply: (value: unknown) => void replies.push(value as Answer) };
    await serveVolumeScript({ files, uid: 0, gid: 0, blockBytes: 512 }, script);
    assert.deepEqual(
      replies.map(({ success, code }) => [success, code]),
      [
        [true, undefined],
        [true, undefined],
        [true, undefined],
        [false, errno.EINVAL],
        [false, errno.EINVAL],
      ],
    );
    assert.equal((await files.usage()).inodesUsed, 1, 'only the root is left');
  });

  test('whatever is asked, the answer is an object with success and, when it failed, a number', async () => {
    const { script } = session();
    const operations = fc.constantFrom(
      ...['list_directory', 'mkdir', 'stat', 'setxattr', 'getxattr', 'listxattr', 'removexattr', 'link', 'symlink'],
      ...['readlink', 'rename', 'truncate', 'utimens', 'statfs', 'chown', 'chmod', 'write_file', 'read_file', 'unlink'],
      ...['rmdir', 'create', 'open', 'close', 'dispose', 'read', 'write', 'ftruncate', 'fsync', 'fsyncdir', 'fly'],
    );
    const path = fc.oneof(fc.constantFrom('/', '', '/a', '/a/b', '..', '/l', '/l/a', 'x'.repeat(300)), fc.string());
    const value = fc.oneof(path, fc.nat(9), fc.jsonValue());
    const fields = fc.dictionary(
      fc.constantFrom('target', 'name', 'value', 'mode', 'flags', 'handle', 'offset', 'size', 'content', 'uid'),
      value,
    );
    await fc.assert(
      fc.asyncProperty(operations, path, fields, async (operation, at, rest) => {
        const { success, code, message } = await script.answer({ operation, path: at, ...rest });
        if (success === true) return;
        assert.ok(Number.isInteger(code) && typeof message === 'string');
        assert.notEqual(code, errno.EIO, `${operation} ${at} ${JSON.stringify(rest)}: ${message}`);
      }),
      { numRuns: 2000 },
    );
  });
});
