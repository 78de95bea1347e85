import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { isError } from '../../../../src/core/base/errors.ts';
import { parseMountTable } from '../../../../src/core/gateway/fuse/mount-table.ts';
import { prepareMountpoint } from '../../../../src/core/gateway/fuse/mountpoint.ts';
import { parseFuseOptions } from '../../../../src/core/gateway/fuse/options.ts';

describe('mount options', () => {
  test('are passed on, kept, or refused', () => {
    assert.deepEqual(parseFuseOptions(['noatime,suid', 'timeout=2.5', 'allow_other', 'ro'], false), {
      words: ['suid', 'nodev', 'noatime'],
      readOnly: true,
      allowOther: true,
      nonEmpty: false,
      timeoutMs: 2500,
    });
    assert.deepEqual(parseFuseOptions([], true).words, ['nosuid', 'nodev']);
    for (const word of ['fd=4', 'timeout=', 'timeout=-1', 'timeout=1e9', 'user_id=0', 'rootmode=0', 'subtype=x'])
      assert.throws(
        () => parseFuseOptions([word], false),
        (error) => isError(error, 'usage'),
        word,
      );
  });
});

test('the table of mounts is read with its escapes', () => {
  const table = [
    '22 1 254:0 / / rw,relatime - ext4 /dev/vda rw',
    '90 22 0:52 / /mnt/a\\040b rw,nosuid shared:1 master:2 - fuse.infinit al\\134ice/v rw,user_id=0',
    'nonsense',
    '',
  ].join('\n');
  assert.deepEqual(parseMountTable(table)[1], {
    id: 90,
    device: '0:52',
    path: '/mnt/a b',
    type: 'fuse.infinit',
    source: 'al\\ice/v',
  });
  assert.equal(parseMountTable(table).length, 2);
});

describe('a mountpoint', () => {
  const folder = mkdtempSync(join(tmpdir(), 'infinit-mountpoint-'));
  after(() => rmSync(folder, { recursive: true }));

  test('is made when missing, found through links, and must be an empty directory', async () => {
    assert.deepEqual(await prepareMountpoint(join(folder, 'a/b'), false), { path: join(folder, 'a/b'), isMade: true });
    symlinkSync(join(folder, 'a'), join(folder, 'link'));
    assert.deepEqual(await prepareMountpoint(join(folder, 'link/b'), false), {
      path: join(folder, 'a/b'),
      isMade: false,
    });
    mkdirSync(join(folder, 'empty'));
    symlinkSync('empty', join(folder, 'to-empty'));
    assert.equal((await prepareMountpoint(join(folder, 'to-empty'), false)).path, join(folder, 'empty'));
    await assert.rejects(prepareMountpoint(join(folder, 'a'), false), (error) => isError(error, 'exists'));
    assert.equal((await prepareMountpoint(join(folder, 'a'), true)).isMade, false);
    writeFileSync(join(folder, 'file'), '');
    await assert.rejects(prepareMountpoint(join(folder, 'file'), false), (error) => isError(error, 'usage'));
  });

  test('of somebody else is left alone', async () => {
    await assert.rejects(prepareMountpoint('/proc', false), (error) => isError(error, 'exists'));
  });
});
