// Devices that fail or fill up: what was acknowledged stays, what cannot be kept is refused, and nothing is half written.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { InfinitError, isError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import type { File, Runtime } from '../../../src/core/runtime/runtime.ts';
import { openFilesystemSilo } from '../../../src/core/silo/filesystem/filesystem.ts';
import type { Silo } from '../../../src/core/silo/silo.ts';
import { fails, keyOf } from '../../conformance/silo.ts';
import { siloRuntime } from './runtime.ts';

const root = await fs.mkdtemp(join(tmpdir(), 'infinit-device-'));
after(() => fs.rm(root, { recursive: true, force: true }));

/** Files whose writes fail once `broken` is set. */
function fragile(): { runtime: Runtime; fault: { broken: boolean } } {
  const runtime = siloRuntime();
  const fault = { broken: false };
  const open: Runtime['files']['open'] = async (path, options) => {
    const file = await runtime.files.open(path, options);
    const write: File['write'] = async (from, position) => {
      if (fault.broken) throw new InfinitError('unavailable', 'input/output error');
      return file.write(from, position);
    };
    return new Proxy(file, { get: (target, name) => (name === 'write' ? write : bound(target, name)) });
  };
  return { runtime: { ...runtime, files: { ...runtime.files, open } }, fault };
}

function bound(target: object, name: string | symbol): unknown {
  const value: unknown = Reflect.get(target, name);
  return typeof value === 'function' ? value.bind(target) : value;
}

/** Puts blocks until the silo is full; returns how many it took. */
async function fillUp(silo: Silo, bytes: number, most: number): Promise<number> {
  for (let i = 0; i < most; i++) {
    try {
      await silo.put('block', keyOf(i), Buffer.alloc(bytes, i));
    } catch (error) {
      assert.ok(isError(error, 'full'), String(error));
      return i;
    }
  }
  return most;
}

describe('silo on a failing device', () => {
  it('takes no more changes after a write failed, goes on reading, and has all it acknowledged', async () => {
    const { runtime, fault } = fragile();
    const config = { type: 'filesystem', path: join(root, 'failing') };
    const silo = await openFilesystemSilo(config, runtime);
    await silo.put('block', keyOf(1), Buffer.from('kept'));
    fault.broken = true;
    const waiting = Array.from({ length: 20 }, (_, i) => silo.put('block', keyOf(100 + i), Buffer.from('lost')));
    await Promise.all(waiting.map((put) => fails('unavailable', put)));
    fault.broken = false;
    await fails('unavailable', silo.put('block', keyOf(2), Buffer.from('refused')));
    await fails('unavailable', silo.delete('block', keyOf(1)));
    assert.equal((await silo.get('block', keyOf(1))).toString(), 'kept');
    await silo.close();
    const again = await openFilesystemSilo(config, siloRuntime());
    assert.equal((await again.get('block', keyOf(1))).toString(), 'kept');
    assert.equal(again.usage().entries, 1);
    await again.close();
  });

  it('is full when the device is, and has room again after deletions', async () => {
    const runtime = siloRuntime();
    let freeBytes = 200 * 1024 * 1024;
    const files = { ...runtime.files, space: async () => ({ freeBytes, totalBytes: 10 ** 12 }) };
    const silo = await openFilesystemSilo({ type: 'filesystem', path: join(root, 'full') }, { ...runtime, files });
    await silo.put('block', keyOf('first'), Buffer.alloc(10));
    freeBytes = 0;
    const taken = await fillUp(silo, 100_000, 100);
    assert.ok(taken < 100, 'it went on without space');
    for (let i = 0; i < taken; i++) await silo.delete('block', keyOf(i));
    assert.equal(silo.usage().entries, 1);
    freeBytes = 200 * 1024 * 1024;
    await silo.put('block', keyOf('later'), Buffer.alloc(100_000));
    await silo.close();
  });

  it('notices room that others made, though nothing is put', async () => {
    const runtime = siloRuntime();
    let freeBytes = 200 * 1024 * 1024;
    let now = 0;
    const files = { ...runtime.files, space: async () => ({ freeBytes, totalBytes: 10 ** 12 }) };
    const clock = { ...runtime.clock, monotonic: () => now };
    const config = { type: 'filesystem', path: join(root, 'room') };
    const silo = await openFilesystemSilo(config, { ...runtime, files, clock });
    freeBytes = 0;
    await fillUp(silo, 100_000, 100);
    const full = silo.usage().freeBytes;
    freeBytes = 200 * 1024 * 1024;
    assert.equal(silo.usage().freeBytes, full);
    now += limits.siloDeviceLookMs;
    silo.usage();
    await setImmediate();
    assert.ok(silo.usage().freeBytes > full + 50_000_000, `${full}, then ${silo.usage().freeBytes}`);
    await silo.close();
  });

  it('refuses while others have filled the file system to the last byte, and goes on when there is room', async (context) => {
    const mount = join(root, 'shared');
    await fs.mkdir(mount);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', mount], { stdio: 'ignore' });
    } catch {
      return context.skip('only root can mount a small file system');
    }
    try {
      const config = { type: 'filesystem', path: join(mount, 'silo') };
      const silo = await openFilesystemSilo(config, siloRuntime());
      await silo.put('block', keyOf('before'), Buffer.alloc(1_000_000, 1));
      await assert.rejects(fs.writeFile(join(mount, 'others'), Buffer.alloc(64 * 1024 * 1024)), { code: 'ENOSPC' });
      const taken = await fillUp(silo, 1_000_000, 64);
      await fails('full', silo.put('block', keyOf('refused'), Buffer.alloc(1_000_000)));
      await fs.rm(join(mount, 'others'));
      await silo.put('block', keyOf('after'), Buffer.alloc(1_000_000, 2));
      await silo.close();
      const again = await openFilesystemSilo(config, siloRuntime());
      assert.ok((await again.get('block', keyOf('before'))).equals(Buffer.alloc(1_000_000, 1)));
      assert.ok((await again.get('block', keyOf('after'))).equals(Buffer.alloc(1_000_000, 2)));
      assert.equal(again.usage().entries, taken + 2);
      await again.close();
    } finally {
      execFileSync('umount', ['-l', mount]);
    }
  });

  it('survives a file system that is really full', async (context) => {
    const mount = join(root, 'mount');
    await fs.mkdir(mount);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', mount], { stdio: 'ignore' });
    } catch {
      return context.skip('only root can mount a small file system');
    }
    try {
      const config = { type: 'filesystem', path: join(mount, 'silo') };
      const silo = await openFilesystemSilo(config, siloRuntime());
      const taken = await fillUp(silo, 100_000, 500);
      assert.ok(taken > 50 && taken < 120, `took ${taken} blocks of 100 kB in 12 MiB`);
      for (let i = 0; i < taken; i += 2) await silo.delete('block', keyOf(i));
      await silo.close();
      const again = await openFilesystemSilo(config, siloRuntime());
      for (let i = 1; i < taken; i += 2)
        assert.ok((await again.get('block', keyOf(i))).equals(Buffer.alloc(100_000, i)));
      assert.equal(again.usage().entries, Math.floor(taken / 2));
      await again.close();
    } finally {
      execFileSync('umount', ['-l', mount]);
    }
  });
});
