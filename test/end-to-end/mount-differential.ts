// The differential test of files over mounted directories: the steps of the simulator's load, carried out by node:fs in two (or
// more) mounts of one volume, against the model in memory. Inode numbers only tell which names are one file.

import { constants, promises as fs, type Stats } from 'node:fs';
import { join } from 'node:path';
import { digest } from '../simulator/files-executor.ts';
import { checkSeed, type LoadResult } from '../simulator/files-load.ts';
import { type Executor, filled, mountOperations, type Path, type Stated, type Step } from '../simulator/files-steps.ts';

export interface MountDifferentialOptions {
  /** Where the volume is mounted, a client each; the first may be all there is, or be named twice. */
  mounts: readonly string[];
  seed: number;
  operations: number;
  walkEvery?: number;
  /** Before each walk. */
  between?: () => Promise<void>;
  /** Runs the same again, for the message of a failure. */
  command: (operations: number) => string;
}

/** In a fresh directory of the volume, left there when it fails. Throws with the seed and the fewest steps found. */
export async function mountDifferential(options: MountDifferentialOptions): Promise<LoadResult> {
  const { mounts, seed, between } = options;
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  // Without rights nobody gives files away.
  const kinds = uid === 0 ? mountOperations : mountOperations.filter((operation) => operation !== 'chown');
  const umask = process.umask(0);
  let tries = 0;
  const open = async () => {
    const name = `differential ${seed} ${tries++}`;
    await fs.mkdir(join(mounts[0] ?? '', name), { mode: 0o755 });
    const subject = new MountExecutor(mounts.map((mount) => join(mount, name)));
    const close = async () => {
      await subject.close();
      await fs.rm(join(mounts[0] ?? '', name), { recursive: true });
    };
    return { subject, close, ...(between ? { between } : {}) };
  };
  try {
    return await checkSeed(open, { ...options, clients: mounts.length, kinds, owner: { uid, gid } });
  } finally {
    process.umask(umask);
  }
}

interface Held {
  handle: fs.FileHandle;
  dirty: boolean;
}

/** Carries out steps in directories. */
export class MountExecutor implements Executor {
  private readonly clients: { root: Buffer; slots: Map<number, Held> }[];

  constructor(roots: readonly string[]) {
    this.clients = roots.map((root) => ({ root: Buffer.from(root), slots: new Map() }));
  }

  errnoOf(cause: unknown): string {
    const code: unknown = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (typeof code !== 'string') throw cause;
    return code;
  }

  /** What was written by paths left at the close of the file. */
  async flush(client: number): Promise<void> {
    for (const held of this.client(client).slots.values()) {
      if (held.dirty) await held.handle.sync();
      held.dirty = false;
    }
  }

  async close(): Promise<void> {
    for (const { slots } of this.clients) for (const { handle } of slots.values()) await handle.close();
  }

  async perform(step: Step): Promise<unknown> {
    switch (step.op) {
      case 'open':
      case 'close':
      case 'sync':
        return this.onSlots(step);
      case 'write':
      case 'read':
      case 'truncate':
      case 'stat':
      case 'flush':
        return this.onPlace(step);
      case 'link':
      case 'rename': {
        const [from, to] = [this.pathOf(step.client, step.from), this.pathOf(step.client, step.to)];
        if (step.op === 'rename') return fs.rename(from, to);
        await fs.link(from, to);
        return (await fs.lstat(to)).nlink;
      }
      default:
        return onPath(step, 'path' in step ? this.pathOf(step.client, step.path) : Buffer.alloc(0));
    }
  }

  private async onSlots(step: Extract<Step, { op: 'open' | 'close' | 'sync' }>): Promise<unknown> {
    const { root, slots } = this.client(step.client);
    if (step.op === 'sync') {
      await this.flush(step.client);
      return within(await fs.open(root, constants.O_RDONLY), (handle) => handle.sync());
    }
    const held = slots.get(step.slot);
    if (step.op === 'close' && held === undefined) throw empty();
    slots.delete(step.slot);
    await held?.handle.close();
    if (step.op === 'close') return undefined;
    const handle = await fs.open(this.pathOf(step.client, step.path), constants.O_RDWR);
    slots.set(step.slot, { handle, dirty: false });
    return undefined;
  }

  private async onPlace(step: Extract<Step, { op: 'write' | 'read' | 'truncate' | 'stat' | 'flush' }>) {
    const { at } = step;
    if (step.op === 'stat')
      return stated(await (typeof at === 'number' ? this.held(step, at).stat() : this.lstat(step, at)));
    if (typeof at === 'number') {
      if (step.op === 'write') this.held(step, at);
      const held = this.client(step.client).slots.get(at);
      if (held && step.op === 'write') held.dirty = true;
      if (held && step.op === 'flush') held.dirty = false;
      return onHandle(step, this.held(step, at));
    }
    const flags = {
      read: constants.O_RDONLY,
      flush: constants.O_RDONLY,
      write: constants.O_WRONLY,
      truncate: constants.O_RDWR,
    };
    return within(await fs.open(this.pathOf(step.client, at), flags[step.op]), (handle) => onHandle(step, handle));
  }

  private lstat({ client }: Step, path: Path): Promise<Stats> {
    return fs.lstat(this.pathOf(client, path));
  }

  private held({ client }: Step, slot: number): fs.FileHandle {
    const held = this.client(client).slots.get(slot);
    if (held === undefined) throw empty();
    return held.handle;
  }

  private pathOf(client: number, path: Path): Buffer {
    const slash = Buffer.from('/');
    const parts = path.flatMap((name) => [slash, Buffer.from(name, 'latin1')]);
    return Buffer.concat([this.client(client).root, ...parts]);
  }

  private client(index: number) {
    const client = this.clients[index];
    if (!client) throw new Error(`no client ${index}`);
    return client;
  }
}

async function onHandle(
  step: Extract<Step, { op: 'write' | 'read' | 'truncate' | 'flush' }>,
  handle: fs.FileHandle,
): Promise<unknown> {
  switch (step.op) {
    case 'write': {
      const data = filled(step.length, step.fill);
      for (let done = 0; done < data.length; )
        done += (await handle.write(data, done, data.length - done, step.offset + done)).bytesWritten;
      return undefined;
    }
    case 'read': {
      const { size } = await handle.stat();
      const data = Buffer.alloc(Math.max(1, Math.min(step.length, size - step.offset)));
      let done = 0;
      for (let read = -1; read !== 0 && done < data.length; done += read)
        read = (await handle.read(data, done, data.length - done, step.offset + done)).bytesRead;
      return digest(data.subarray(0, Math.min(done, step.length)));
    }
    case 'truncate':
      await handle.truncate(step.size);
      return (await handle.stat()).size;
    case 'flush':
      return handle.sync();
  }
}

async function onPath(step: Step, path: Buffer): Promise<unknown> {
  switch (step.op) {
    case 'file':
      await (await fs.open(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, step.mode)).close();
      return stated(await fs.lstat(path));
    case 'directory':
      await fs.mkdir(path, { mode: step.mode });
      return stated(await fs.lstat(path));
    case 'symlink':
      await fs.symlink(Buffer.from(step.target, 'latin1'), path);
      return stated(await fs.lstat(path));
    case 'unlink':
      return fs.unlink(path);
    case 'rmdir':
      return fs.rmdir(path);
    case 'readlink':
      return (await fs.readlink(path, { encoding: 'buffer' })).toString('latin1');
    case 'list':
      return listed(path);
    case 'chmod':
      await fs.chmod(path, step.mode);
      return stated(await fs.lstat(path));
    case 'chown':
      await fs.lchown(path, step.uid, step.gid);
      return stated(await fs.lstat(path));
    case 'utimes':
      await fs.lutimes(path, step.seconds, step.seconds);
      return Math.floor((await fs.lstat(path)).mtimeMs / 1000);
    default:
      throw new Error(`${step.op} is not done in a directory`);
  }
}

async function listed(path: Buffer): Promise<unknown> {
  const found = await fs.readdir(path, { withFileTypes: true, encoding: 'buffer' });
  return found
    .map((entry) => {
      const type = entry.isDirectory() ? 'directory' : entry.isSymbolicLink() ? 'symlink' : 'file';
      return [entry.name.toString('latin1'), type] as const;
    })
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

function stated({ mode, uid, gid, nlink, size, ino }: Stats): Stated {
  const type = { [constants.S_IFDIR]: 'directory', [constants.S_IFLNK]: 'symlink' }[mode & constants.S_IFMT] ?? 'file';
  const rights = mode & 0o7777;
  return { type, mode: rights, uid, gid, links: nlink, size: type === 'directory' ? 0 : size, inode: ino };
}

async function within<T>(handle: fs.FileHandle, task: (handle: fs.FileHandle) => Promise<T>): Promise<T> {
  try {
    return await task(handle);
  } finally {
    await handle.close();
  }
}

const empty = () => Object.assign(new Error('the slot is empty'), { code: 'EAGAIN' });
