// The file door of a simulated process: `disk.ts` with the contract's words and errors, and seeded durations.

import { basename, dirname } from 'node:path';
import type { Bytes } from '../../../src/core/base/bytes.ts';
import { InfinitError } from '../../../src/core/base/errors.ts';
import type { File, FileLock, FileStat, Files, OpenOptions } from '../../../src/core/runtime/runtime.ts';
import { DirectoryNode, type Disk, FileNode, pageBytes } from './disk.ts';
import type { Life } from './host.ts';

const readUs = [20, 150] as const;
const writeUs = [20, 100] as const;
const syncUs = [200, 2000] as const;

export class VirtualFiles implements Files {
  private readonly life: Life;

  constructor(life: Life) {
    this.life = life;
  }

  private get disk(): Disk {
    return this.life.host.disk;
  }

  /** Runs when asked for, answers later; `durable` takes place with the answer. */
  operation<T>(label: string, us: readonly [number, number], run: () => T, durable?: () => void): Promise<T> {
    const { disk } = this;
    if (!this.life.alive) return new Promise(() => {});
    let outcome: () => T;
    try {
      if (disk.failing) throw new InfinitError('unavailable', 'input/output error');
      const value = run();
      outcome = () => {
        if (disk.failing) throw new InfinitError('unavailable', 'input/output error');
        durable?.();
        return value;
      };
    } catch (error) {
      outcome = () => {
        throw error;
      };
    }
    return this.life.later(disk.random.between(us[0], us[1]), label, outcome);
  }

  read(path: string, options: { limit?: number } = {}): Promise<Buffer> {
    return this.operation('read', readUs, () => {
      const node = this.file(path);
      if (node.size > (options.limit ?? Number.POSITIVE_INFINITY))
        throw new InfinitError('full', `${path} has ${node.size} bytes, above the limit`);
      const out = Buffer.alloc(node.size);
      node.read(out, 0);
      return out;
    });
  }

  replace(path: string, content: Bytes): Promise<void> {
    let commit = () => {};
    return this.operation(
      'replace',
      syncUs,
      () => {
        this.room(content.length);
        const node = new FileNode();
        node.write(content, 0);
        node.snapshot()();
        const parent = this.parent(path);
        parent.entries.set(basename(path), node);
        commit = parent.snapshot(basename(path));
      },
      () => commit(),
    );
  }

  stat(path: string): Promise<FileStat | undefined> {
    return this.operation('stat', readUs, () => {
      const node = this.disk.find(path);
      return node && { kind: node.kind, bytes: node instanceof FileNode ? node.size : 0 };
    });
  }

  list(path: string): Promise<string[]> {
    return this.operation('list', readUs, () => {
      const node = this.disk.find(path);
      return node instanceof DirectoryNode ? [...node.entries.keys()].sort() : [];
    });
  }

  makeDirectory(path: string): Promise<void> {
    return this.operation('mkdir', writeUs, () => {
      let node = this.disk.root;
      for (const name of path.split('/').filter((part) => part !== '')) {
        let next = node.entries.get(name);
        if (next === undefined) {
          next = new DirectoryNode();
          node.entries.set(name, next);
          node.durableEntries.set(name, next);
        }
        if (!(next instanceof DirectoryNode)) throw new InfinitError('exists', `${path}: ${name} is a file`);
        node = next;
      }
    });
  }

  remove(path: string): Promise<void> {
    let commit = () => {};
    return this.operation(
      'remove',
      syncUs,
      () => {
        const parent = this.disk.find(dirname(path));
        if (!(parent instanceof DirectoryNode)) return;
        parent.entries.delete(basename(path));
        commit = parent.snapshot(basename(path));
      },
      () => commit(),
    );
  }

  open(path: string, options: OpenOptions = {}): Promise<File> {
    return this.operation('open', readUs, () => {
      if (options.direct && !this.disk.directIo) throw new InfinitError('unsupported', 'no direct I/O on this disk');
      const mode = options.mode ?? 'read';
      if (mode === 'create' && this.disk.find(path) === undefined)
        this.parent(path).entries.set(basename(path), new FileNode());
      return new VirtualFile(this, this.file(path), options);
    });
  }

  syncDirectory(path: string): Promise<void> {
    const node = this.disk.find(path);
    const commit = node instanceof DirectoryNode ? node.snapshot() : undefined;
    return this.operation(
      'sync',
      syncUs,
      () => {
        if (!commit) throw new InfinitError('not-found', `no directory ${path}`);
      },
      commit,
    );
  }

  lock(path: string): Promise<FileLock> {
    return this.operation('lock', writeUs, () => {
      const holder = this.disk.locks.get(path);
      if (holder)
        throw new InfinitError('exists', `${path} is held by pid ${holder.pid}`, { data: { pid: holder.pid } });
      this.parent(path);
      const mine = { pid: this.life.pid };
      this.disk.locks.set(path, mine);
      const release = async () => {
        if (this.disk.locks.get(path) === mine) this.disk.locks.delete(path);
      };
      return { release };
    });
  }

  space(_path: string): Promise<{ freeBytes: number; totalBytes: number }> {
    return this.operation('space', readUs, () => {
      const totalBytes = this.disk.capacityBytes;
      return { freeBytes: Math.max(0, totalBytes - this.disk.usedBytes()), totalBytes };
    });
  }

  /** Throws `full` when that much more does not fit. */
  room(bytes: number): void {
    if (bytes > 0 && this.disk.usedBytes() + bytes > this.disk.capacityBytes)
      throw new InfinitError('full', 'no space left on the disk');
  }

  private file(path: string): FileNode {
    const node = this.disk.find(path);
    if (!(node instanceof FileNode)) throw new InfinitError('not-found', `no file ${path}`);
    return node;
  }

  private parent(path: string): DirectoryNode {
    const node = this.disk.find(dirname(path));
    if (!(node instanceof DirectoryNode)) throw new InfinitError('not-found', `no directory ${dirname(path)}`);
    return node;
  }
}

class VirtualFile implements File {
  private readonly files: VirtualFiles;
  private readonly node: FileNode;
  private readonly options: OpenOptions;
  private open = true;

  constructor(files: VirtualFiles, node: FileNode, options: OpenOptions) {
    this.files = files;
    this.node = node;
    this.options = options;
  }

  read(into: Bytes, position: number): Promise<number> {
    return this.files.operation('read', readUs, () => {
      this.check(into.length, position, false);
      return this.node.read(into, position);
    });
  }

  readSync(into: Bytes, position: number): number {
    this.check(into.length, position, false);
    return this.node.read(into, position);
  }

  write(from: Bytes, position: number): Promise<void> {
    let commit: (() => void) | undefined;
    const durable = this.options.durableWrites === true;
    return this.files.operation(
      'write',
      durable ? syncUs : writeUs,
      () => {
        this.check(from.length, position, true);
        this.files.room(position + from.length - Math.ceil(this.node.size / pageBytes) * pageBytes);
        this.node.write(from, position);
        if (durable) commit = this.node.snapshot(position, position + from.length);
      },
      () => commit?.(),
    );
  }

  sync(): Promise<void> {
    const commit = this.node.snapshot();
    return this.files.operation('sync', syncUs, () => this.check(0, 0, false), commit);
  }

  truncate(bytes: number): Promise<void> {
    return this.files.operation('truncate', writeUs, () => {
      this.check(0, 0, true);
      this.node.truncate(bytes);
    });
  }

  bytes(): Promise<number> {
    return this.files.operation('size', readUs, () => this.node.size);
  }

  close(): Promise<void> {
    return this.files.operation('close', writeUs, () => {
      this.open = false;
    });
  }

  alignedBuffer(bytes: number): Buffer {
    return Buffer.alloc(bytes);
  }

  private check(length: number, position: number, writes: boolean): void {
    if (!this.open) throw new InfinitError('internal', 'file is closed');
    if (writes && (this.options.mode ?? 'read') === 'read')
      throw new InfinitError('denied', 'file is open for reading');
    if (this.options.direct && (length % pageBytes !== 0 || position % pageBytes !== 0))
      throw new InfinitError('internal', 'direct I/O needs whole aligned pages');
  }
}
