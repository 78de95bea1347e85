import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type InfinitError, isError } from '../../../src/core/base/errors.ts';
import { systemPrograms } from '../../../src/core/runtime/system/programs.ts';
import { SftpFolder } from '../../../src/core/silo/objects/sftp/sftp.ts';
import { openSilo } from '../../../src/core/silo/registry.ts';
import { fails, keyOf } from '../../conformance/silo.ts';
import { SshServer, sshdPath } from '../../fakes/ssh-server.ts';
import { siloRuntime } from './runtime.ts';

const runtime = () => ({ ...siloRuntime(), programs: systemPrograms });
const folder = (host: string, path: string, sshConfig?: string) =>
  new SftpFolder({ runtime: runtime(), host, path, port: undefined, sshConfig });

describe('a folder of a server', { skip: sshdPath() === undefined && 'not installed: sshd' }, () => {
  let server: SshServer;
  before(async () => {
    server = await SshServer.start();
  });
  after(() => server.close());
  const here = (name: string) => folder(server.host, `${server.files}/${name}`, server.config);
  const config = (name: string) => ({
    type: 'sftp',
    host: server.host,
    path: `${server.files}/${name}`,
    ssh_config: server.config,
  });

  it('keeps objects, refuses what is taken, reads parts, lists', async () => {
    const store = here('deep/er');
    await store.put('pack-1', [Buffer.from('one '), Buffer.from('two')], { onlyNew: true });
    await fails('exists', store.put('pack-1', [Buffer.from('other')], { onlyNew: true }));
    assert.equal((await store.get('pack-1')).toString(), 'one two');
    assert.equal((await store.get('pack-1', { offset: 4, length: 100 })).toString(), 'two');
    assert.equal((await store.get('pack-1', { offset: 50, length: 1 })).length, 0);
    await store.put('pack-1', [Buffer.alloc(300_000, 7)]);
    assert.ok(Buffer.alloc(300_000, 7).equals(await store.get('pack-1')));
    await writeFile(join(server.files, 'deep/er', 'draft-of-somebody'), 'half');
    const later = here('deep/er');
    const names: string[] = [];
    for await (const { name, bytes } of later.list('pack-')) names.push(`${name} ${bytes}`);
    assert.deepEqual(names, ['pack-1 300000']);
    await later.close();
    await store.delete('pack-1');
    await store.delete('pack-1');
    await fails('not-found', store.get('pack-1'));
    await store.close();
    assert.deepEqual(await readdir(join(server.files, 'deep/er')), []);
  });

  it('goes on after the server was away, and loses nothing', async () => {
    const silo = await openSilo(config('away'), runtime());
    await silo.put('block', keyOf(1), Buffer.from('before'));
    await server.stop();
    const waiting = silo.put('block', keyOf(2), Buffer.from('meanwhile'));
    await server.run();
    await waiting;
    await silo.close();
    const again = await openSilo(config('away'), runtime());
    assert.equal((await again.get('block', keyOf(1))).toString(), 'before');
    assert.equal((await again.get('block', keyOf(2))).toString(), 'meanwhile');
    await again.close();
  });

  it('tells what must be done first, and asks nothing', async () => {
    await server.configure('stranger');
    try {
      await assert.rejects(openSilo(config('refused'), runtime()), (error: InfinitError) => {
        assert.ok(isError(error, 'denied'), String(error));
        assert.match(error.message, /^trial refuses: .*Permission denied \(publickey/);
        assert.match(error.hint ?? '', /ssh trial must work without a question/);
        return true;
      });
      await server.configure('user');
      await writeFile(join(server.folder, 'known'), '');
      await assert.rejects(openSilo(config('unknown'), runtime()), /trial refuses: Host key verification failed/);
    } finally {
      await server.configure('user');
    }
  });
});

it('a program that is not there is told', async () => {
  const programs = { start: () => systemPrograms.start('no-such-program-here', []) };
  await fails('unavailable', programs.start());
});
