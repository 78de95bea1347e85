// A process that mounts files kept in memory, for the tests of the mount and for measuring it: `fuse-server.ts MOUNTPOINT JSON`. It
// says `mounted`, and ends when the mount does; a line `unmount` or `lazy` on its standard input asks for that.

import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bytes } from '../../src/core/base/bytes.ts';
import { type Abortable, cancelled } from '../../src/core/base/lifecycle.ts';
import { mountFiles, type TransportName } from '../../src/core/gateway/fuse/mount.ts';
import { systemRuntime } from '../../src/core/runtime/system/system.ts';
import { type ForeignChange, rootInode } from '../../src/core/volume/files/files.ts';
import { MemoryFiles } from '../fakes/memory-files.ts';

export interface ServerOptions {
  name?: string;
  readOnly?: boolean;
  words?: string[];
  mapOthers?: boolean;
  transport?: TransportName;
  /** For how long the kernel may cache what it was told. */
  freshForMs?: number;
  /** Who owns the root. */
  uid?: number;
  /** Reads wait until they are given up. */
  stuckReads?: boolean;
}

const [mountpoint = '', given = '{}'] = process.argv.slice(2);
const options = JSON.parse(given) as ServerOptions;

/** What a leader's files say of caches; the other clients are lines on the standard input. */
class LeadingFiles extends MemoryFiles {
  private listener: (change: ForeignChange) => Promise<void> = async () => {};

  override async read(inode: number, offset: number, length: number, how?: Abortable): Promise<Bytes[]> {
    if (!options.stuckReads) return super.read(inode, offset, length, how);
    const { signal } = how ?? {};
    return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(cancelled(signal))));
  }

  override freshForMs(): number {
    return options.freshForMs ?? 0;
  }

  override onForeign(listener = this.listener): () => void {
    this.listener = listener;
    return () => {};
  }

  /** Another client writes to a file of the root, replaces the file of a name, or removes it. */
  async foreign(what: string, name: Buffer, text: string): Promise<void> {
    const entries: { directory: number; name: Buffer }[] = [];
    const change = { inodes: [] as number[], entries, directories: [] as number[] };
    const there = await this.lookup(rootInode, name).catch(() => undefined);
    if (what === 'write' && there) {
      await this.change(there.inode, { size: 0 });
      await this.write(there.inode, 0, Buffer.from(text));
      change.inodes.push(there.inode);
    } else {
      if (there) await this.unlink(rootInode, name);
      change.inodes.push(rootInode, ...(there ? [there.inode] : []));
      if (what === 'remove') change.directories.push(rootInode);
      if (what === 'make') {
        change.entries.push({ directory: rootInode, name });
        const { inode } = await this.make(rootInode, name, { type: 'file', mode: 0o644, uid: 0, gid: 0 });
        await this.write(inode, 0, Buffer.from(text));
      }
    }
    await this.listener(change);
  }
}

const files = new LeadingFiles(options.uid === undefined ? {} : { uid: options.uid, mode: 0o777 });
try {
  const mounted = await mountFiles(
    {
      runtime: systemRuntime({ log: { level: 'info' } }),
      files,
      mountpoint,
      name: options.name ?? 'test/volume',
      readOnly: options.readOnly ?? false,
      fuseOptions: options.words ?? [],
      mapOtherPermissions: options.mapOthers ?? false,
    },
    options.transport,
  );
  say('mounted');
  createInterface({ input: process.stdin }).on('line', (line) => {
    const [what = '', name = '', text = ''] = line.split(' ');
    const asked = ['write', 'make', 'remove'].includes(what)
      ? files.foreign(what, Buffer.from(name), text)
      : mounted.unmount({ lazy: what === 'lazy' });
    asked.then(
      () => say(`done ${what}`),
      (error: Error & { kind?: string }) => say(`failed ${error.kind}: ${error.message}`),
    );
  });
  await mounted.ended;
  say('ended');
  await sleep(50);
  process.exit(0);
} catch (error) {
  const { kind, message, hint } = error as Error & { kind?: string; hint?: string };
  process.stderr.write(`${kind}: ${message}\n${hint ?? ''}\n`);
  process.exit(1);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
