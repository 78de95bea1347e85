// Extended attributes as the kernel asks for them.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readU64 } from '../../../../src/core/gateway/fuse/wire.ts';
import { errno } from '../../../../src/core/volume/errno.ts';
import { MemoryFiles } from '../../../fakes/memory-files.ts';
import { FakeKernel, named, words } from './kernel.ts';

const name = (text: string) => named(Buffer.alloc(0), text);
const ERANGE = 34;

/** A file of the root; its number. */
async function makeFile(kernel: FakeKernel): Promise<number> {
  const { error, body } = await kernel.ask('CREATE', 1, named(words(2, 0o100644, 0, 0), 'file'));
  assert.equal(error, 0);
  return readU64(body, 0);
}

describe('extended attributes', () => {
  const set = (text: string, value: string, flags = 0) =>
    Buffer.concat([named(words(value.length, flags), text), Buffer.from(value)]);
  const get = (text: string, room: number) => named(words(room, 0), text);

  test('are kept, listed, measured and removed', async () => {
    const kernel = new FakeKernel(new MemoryFiles());
    const inode = await makeFile(kernel);
    assert.equal((await kernel.ask('SETXATTR', inode, set('user.x', 'value'))).error, 0);
    assert.equal((await kernel.ask('SETXATTR', inode, set('user.x', 'value', 1))).error, errno.EEXIST);
    assert.equal((await kernel.ask('SETXATTR', inode, set('user.y', 'value', 2))).error, errno.ENODATA);
    assert.equal((await kernel.ask('GETXATTR', inode, get('user.x', 0))).body.readUInt32LE(0), 5);
    assert.equal((await kernel.ask('GETXATTR', inode, get('user.x', 5))).body.toString(), 'value');
    assert.equal((await kernel.ask('GETXATTR', inode, get('user.x', 4))).error, ERANGE);
    assert.equal((await kernel.ask('LISTXATTR', inode, words(100, 0))).body.toString(), 'user.x\0');
    assert.equal((await kernel.ask('REMOVEXATTR', inode, name('user.x'))).error, 0);
    assert.equal((await kernel.ask('GETXATTR', inode, get('user.x', 5))).error, errno.ENODATA);
  });

  test('that act in the name of who mounted are set by him and by root, whoever else may enter the mount', async () => {
    const files = new MemoryFiles();
    const kernel = new FakeKernel(files, { ownUid: 1000 });
    for (const text of ['infinit.auth.setrw', 'user.infinit.group.add']) {
      assert.equal((await kernel.ask('SETXATTR', 1, set(text, 'bob'), 1001)).error, errno.EPERM);
      assert.equal((await files.listExtended(1)).length, 0);
      for (const uid of [1000, 0]) {
        assert.equal((await kernel.ask('SETXATTR', 1, set(text, 'bob'), uid)).error, 0);
        await files.removeExtended(1, Buffer.from(text));
      }
    }
    assert.equal((await kernel.ask('SETXATTR', 1, set('user.x', 'v'), 1001)).error, 0);
  });

  test('of other families are refused, and a capability that cannot be there is not looked for', async () => {
    class NoLook extends MemoryFiles {
      override async getExtended(): Promise<never> {
        throw new TypeError('looked');
      }
    }
    const kernel = new FakeKernel(new NoLook());
    for (const text of ['system.posix_acl_access', 'other.x', 'user'])
      assert.equal((await kernel.ask('SETXATTR', 1, set(text, 'v'))).error, errno.EOPNOTSUPP);
    assert.equal((await kernel.ask('SETXATTR', 1, set('user.', 'v'))).error, errno.EINVAL);
    assert.equal((await kernel.ask('GETXATTR', 1, get('security.capability', 20))).error, errno.ENODATA);
  });
});
