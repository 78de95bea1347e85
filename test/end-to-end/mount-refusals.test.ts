// What mounts do not offer, as the README says: locks and shared mappings across mounts, access lists, quotas, reflinks, and changes on
// one that is read-only.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Cluster } from './cluster.ts';
import { Lab, run, shell } from './device.ts';
import { needs } from './needs.ts';
import { Terminal } from './terminal.ts';
import { cannotMount, createVolume, type Mount, mountOn } from './volume.ts';

const why = cannotMount();

const python = async (program: string, ...words: string[]) =>
  (await run('python3', ['-c', program, ...words])).toString();

describe('what mounts refuse', { timeout: 300_000, skip: why ?? false }, () => {
  const lab = new Lab();
  let devices: Cluster;
  let leader: Mount;
  let follower: Mount;
  let onLeader: Terminal;
  let onFollower: Terminal;

  before(async () => {
    ({ devices } = await createVolume(lab));
    leader = await mountOn(devices.one);
    follower = await mountOn(devices.two);
    onLeader = new Terminal(leader.mountpoint);
    onFollower = new Terminal(follower.mountpoint);
    await shell(`head -c 3000000 /dev/urandom > ${lab.folder}/bytes`);
  });
  after(async () => {
    await onLeader?.close();
    await onFollower?.close();
    await lab.close();
  });

  test('files are mapped for reading on both, shared for writing on the leader only', needs('python3'), async () => {
    await shell(`cp ${lab.folder}/bytes ${leader.mountpoint}/mapped`);
    const reading = `
import mmap, sys
with open(sys.argv[1], 'rb') as file, open(sys.argv[2], 'rb') as original:
    data = original.read()
    for flags in (mmap.MAP_SHARED, mmap.MAP_PRIVATE):
        with mmap.mmap(file.fileno(), 0, flags=flags, prot=mmap.PROT_READ) as view: assert view[:] == data
with open(sys.argv[1], 'r+b') as file:
    with mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE) as view:
        view[0:5] = b'mine!'
        assert view[5:] == data[5:]
assert open(sys.argv[1], 'rb').read() == data`;
    for (const { mountpoint } of [leader, follower])
      await python(reading, `${mountpoint}/mapped`, `${lab.folder}/bytes`);
    const writing = `
import errno, mmap, sys
with open(sys.argv[1], 'r+b') as file:
    try: view = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    except OSError as error: print(errno.errorcode[error.errno])
    else:
        view[1000:1005] = b'there'
        view.flush()
        view.close()
        print('written')`;
    assert.equal(await python(writing, `${follower.mountpoint}/mapped`), 'ENODEV\n');
    assert.equal(await python(writing, `${leader.mountpoint}/mapped`), 'written\n');
    assert.equal(await shell(`dd if=${follower.mountpoint}/mapped bs=1 skip=1000 count=5 status=none`), 'there');
    await shell(
      `cp ${follower.mountpoint}/mapped ${lab.folder}/mapped && cmp ${lab.folder}/mapped ${leader.mountpoint}/mapped`,
    );
  });

  test('access lists are refused, and change nothing', needs('setfacl'), async () => {
    for (const { mountpoint } of [leader, follower]) {
      const file = `${mountpoint}/listed`;
      await shell(`rm -f ${file}; touch ${file}; chmod 640 ${file}`);
      await assert.rejects(run('setfacl', ['-m', 'u:7:rw', file]), /not supported/);
      await assert.rejects(run('setfacl', ['-d', '-m', 'u:7:rw', mountpoint]), /not supported/);
      assert.equal(await shell(`stat -c %a ${file}`), '640\n');
    }
  });

  test('project quotas and reflinks are refused; copies are made instead', needs('python3'), async () => {
    const program = `
import errno, fcntl, sys
with open(sys.argv[1], 'rb') as file:
    try: fcntl.ioctl(file, 0x801c581f, bytes(28))
    except OSError as error: print(errno.errorcode[error.errno])`;
    for (const { mountpoint } of [leader, follower]) {
      const file = `${mountpoint}/mapped`;
      assert.match(await python(program, file), /^(ENOTTY|EOPNOTSUPP)$/m);
      await assert.rejects(run('cp', ['--reflink=always', file, `${mountpoint}/clone`]), /failed to clone/);
      await shell(
        `cp --reflink=auto ${file} ${mountpoint}/copy && cmp ${file} ${mountpoint}/copy && rm -f ${mountpoint}/c[lo]*`,
      );
    }
  });

  test('a read-only mount reads, sees changes, and changes nothing', async () => {
    await onFollower.close();
    assert.equal(await follower.stop('SIGINT'), 0, follower.output);
    follower = await mountOn(devices.two, ['--readonly']);
    const { mountpoint } = follower;
    await shell(`mkdir ${leader.mountpoint}/there && echo one > ${leader.mountpoint}/there/file`);
    assert.equal(await shell(`cat ${mountpoint}/there/file`), 'one\n');
    const refused = [
      'touch new',
      'mkdir new',
      'ln -s x new',
      'mkfifo new',
      'echo x > there/file',
      'echo x >> there/file',
      'truncate -s 1 there/file',
    ];
    refused.push(
      'rm there/file',
      'rmdir there',
      'mv there/file there/other',
      'ln there/file new',
      'chmod 600 there/file',
      'chown 7 there/file',
    );
    refused.push('touch -d @0 there/file', 'fallocate -l 1M there/file');
    for (const command of refused)
      await assert.rejects(shell(`cd ${mountpoint} && ${command}`), /Read-only file system/, command);
    assert.equal(
      await shell(`echo two > ${leader.mountpoint}/there/file; cat ${mountpoint}/there/file; ls ${mountpoint}/there`),
      'two\nfile\n',
    );
    assert.equal(await follower.stop('SIGINT'), 0, follower.output);
  });
});
