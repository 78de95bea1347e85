// Steps carried out over files views in this process, one a client: paths are resolved here as the kernel of a mount would.

import { createHash } from 'node:crypto';
import { concatBytes } from '../../src/core/base/bytes.ts';
import { InfinitError, isError } from '../../src/core/base/errors.ts';
import { errnoNameOf } from '../../src/core/volume/errno.ts';
import { type Attributes, type Files, fileError, rootInode } from '../../src/core/volume/files/files.ts';
import { type Executor, filled, type Path, type Place, type Stated, type Step } from './files-steps.ts';

/** Whose everything is that is made. */
export interface Owner {
  uid: number;
  gid: number;
}

export class FilesExecutor implements Executor {
  private readonly owner: Owner;
  private readonly clients: { files: Files; slots: Map<number, number>; dirty: Set<number> }[];

  constructor(files: readonly Files[], owner: Owner = { uid: 0, gid: 0 }) {
    this.owner = owner;
    this.clients = files.map((one) => ({ files: one, slots: new Map(), dirty: new Set() }));
  }

  errnoOf(cause: unknown): string {
    if (!(cause instanceof InfinitError)) throw cause;
    return errnoNameOf(cause);
  }

  async flush(client: number): Promise<void> {
    const { files, dirty } = this.client(client);
    for (const inode of dirty) await files.flush(inode).catch(ignoreGone);
    dirty.clear();
  }

  /** The client's process has died, and another one opened the same files: what it held open is closed. */
  reopened(client: number, files: Files): void {
    this.clients[client] = { files, slots: new Map(), dirty: new Set() };
  }

  /** Slots in which a client holds something open. */
  heldBy(client: number): number[] {
    return [...this.client(client).slots.keys()];
  }

  /** Whether a client besides that one has it open. */
  heldBeside(client: number, inode: number): boolean {
    return this.clients.some(({ slots }, index) => index !== client && [...slots.values()].includes(inode));
  }

  /** The inode a place stands for, for those who keep books by it; symbolic links are not followed. */
  async inodeAt(client: number, place: Place): Promise<number | undefined> {
    const { files, slots } = this.client(client);
    if (typeof place === 'number') return slots.get(place);
    try {
      return (await resolve(files, place)).inode;
    } catch {
      return undefined;
    }
  }

  async perform(step: Step): Promise<unknown> {
    const { files, slots, dirty } = this.client(step.client);
    switch (step.op) {
      case 'open': {
        await this.letGo(step.client, step.slot);
        const found = await followed(files, step.path);
        if (found.type !== 'file') throw notFile(found);
        files.open(found.inode);
        slots.set(step.slot, found.inode);
        return undefined;
      }
      case 'unnamed': {
        await this.letGo(step.client, step.slot);
        const directory = await followed(files, step.path);
        const made = await files.makeUnnamed(directory.inode, { type: 'file', mode: step.mode, ...this.owner });
        slots.set(step.slot, made.inode);
        return stated(made);
      }
      case 'linkSlot': {
        const parent = await parentOf(files, step.to);
        return (await files.link(held(slots, step.slot), parent, nameOf(step.to))).links;
      }
      case 'close': {
        held(slots, step.slot);
        return this.letGo(step.client, step.slot);
      }
      case 'sync':
        await files.syncAll();
        dirty.clear();
        return undefined;
      case 'write':
      case 'read':
      case 'truncate':
      case 'allocate':
      case 'seek':
      case 'stat':
      case 'flush':
        return this.onPlace(step);
      default:
        return onPath(files, step, this.owner);
    }
  }

  private async letGo(client: number, slot: number): Promise<void> {
    const { files, slots } = this.client(client);
    const inode = slots.get(slot);
    if (inode === undefined) return;
    slots.delete(slot);
    await files.close(inode);
  }

  private async onPlace(step: OnPlace): Promise<unknown> {
    const { files, slots, dirty } = this.client(step.client);
    const { at } = step;
    const found =
      typeof at === 'number'
        ? await files.attributes(held(slots, at))
        : await (step.op === 'stat' ? resolve : followed)(files, at);
    const { inode } = found;
    if (step.op === 'stat') return stated(found);
    if (step.op === 'flush') return files.flush(inode);
    if (found.type !== 'file') throw notFile(found);
    switch (step.op) {
      case 'write':
        dirty.add(inode);
        if (typeof at !== 'number') files.open(inode);
        await files.write(inode, step.offset, filled(step.length, step.fill));
        if (typeof at !== 'number') await files.close(inode);
        return undefined;
      case 'read':
        return digest(concatBytes(await files.read(inode, step.offset, step.length)));
      case 'truncate':
        return (await files.change(inode, { size: step.size })).size;
      case 'allocate':
        return files.allocate(inode, step.offset, step.length, step.mode);
      case 'seek':
        return files.seek(inode, step.offset, step.what);
    }
  }

  private client(index: number) {
    const client = this.clients[index];
    if (!client) throw new Error(`no client ${index}`);
    return client;
  }
}

type OnPlace = Extract<Step, { at: Place }>;
type OnPath = Exclude<Step, { at: Place } | { op: 'open' | 'unnamed' | 'linkSlot' | 'close' | 'sync' }>;
type OnExtended = Extract<Step, { op: 'setExtended' | 'getExtended' | 'removeExtended' | 'listExtended' }>;

async function onPath(files: Files, step: OnPath, owner: Owner): Promise<unknown> {
  switch (step.op) {
    case 'link': {
      const { inode } = await resolve(files, step.from);
      const parent = await parentOf(files, step.to);
      if (await isThere(files, parent, step.to)) throw new InfinitError('exists', 'the name exists');
      return (await files.link(inode, parent, nameOf(step.to))).links;
    }
    case 'rename':
      return rename(files, step);
    case 'file':
    case 'directory':
    case 'fifo':
    case 'symlink': {
      const symlink = step.op === 'symlink';
      const rest = symlink ? { mode: 0o777, target: Buffer.from(step.target, 'latin1') } : { mode: step.mode };
      const parent = await parentOf(files, step.path);
      return stated(await files.make(parent, nameOf(step.path), { type: step.op, ...owner, ...rest }));
    }
    case 'unlink':
      return files.unlink(await parentOf(files, step.path), nameOf(step.path));
    case 'rmdir':
      return files.removeDirectory(await parentOf(files, step.path), nameOf(step.path));
    case 'readlink': {
      const { inode } = await resolve(files, step.path);
      return Buffer.from(await files.readLink(inode)).toString('latin1');
    }
    case 'list':
      return listed(files, (await followed(files, step.path)).inode);
    case 'chmod':
      return stated(await files.change((await followed(files, step.path)).inode, { mode: step.mode }));
    case 'chown': {
      const { uid, gid } = step;
      return stated(await files.change((await resolve(files, step.path)).inode, { uid, gid }));
    }
    case 'utimes': {
      const time = { seconds: step.seconds, nanoseconds: 0 };
      const { inode } = await resolve(files, step.path);
      return (await files.change(inode, { accessed: time, modified: time })).modified.seconds;
    }
    default:
      return onExtended(files, step);
  }
}

async function onExtended(files: Files, step: OnExtended): Promise<unknown> {
  const { inode } = await resolve(files, step.path);
  if (step.op === 'listExtended')
    return (await files.listExtended(inode)).map((name) => Buffer.from(name).toString('latin1')).sort();
  const name = Buffer.from(step.name, 'latin1');
  if (step.op === 'getExtended') return digest(await files.getExtended(inode, name));
  if (step.op === 'removeExtended') return files.removeExtended(inode, name);
  const only = step.only === undefined ? {} : { only: step.only };
  return files.setExtended(inode, name, filled(step.length, step.fill), only);
}

async function rename(files: Files, step: Extract<Step, { op: 'rename' }>): Promise<void> {
  const { mode = 'replace' } = step;
  // Both ways are gone before what they lead to is looked at.
  const from = { directory: await directoryOf(files, step.from), name: nameOf(step.from) };
  const to = { directory: await directoryOf(files, step.to), name: nameOf(step.to) };
  await files.lookup(from.directory, from.name);
  const holds = step.to.length < step.from.length && step.to.every((name, i) => name === step.from[i]);
  if (holds && mode === 'replace') throw fileError('not-empty', 'the target holds the source');
  return files.rename(from, to, mode);
}

async function isThere(files: Files, directory: number, path: Path): Promise<boolean> {
  return files.lookup(directory, nameOf(path)).then(
    () => true,
    (cause: unknown) => {
      if (isError(cause, 'not-found')) return false;
      throw cause;
    },
  );
}

/** The last name itself; a symbolic link on the way leads nowhere. */
async function resolve(files: Files, path: Path): Promise<Attributes> {
  let at = await files.attributes(rootInode);
  for (const name of path) {
    if (at.type === 'symlink') throw nowhere();
    at = await files.lookup(at.inode, Buffer.from(name, 'latin1'));
  }
  return at;
}

async function followed(files: Files, path: Path): Promise<Attributes> {
  const found = await resolve(files, path);
  if (found.type === 'symlink') throw nowhere();
  return found;
}

async function parentOf(files: Files, path: Path): Promise<number> {
  return (await followed(files, path.slice(0, -1))).inode;
}

async function directoryOf(files: Files, path: Path): Promise<number> {
  const parent = await followed(files, path.slice(0, -1));
  if (parent.type !== 'directory') throw fileError('not-directory', 'the way leads through a file');
  return parent.inode;
}

async function listed(files: Files, inode: number): Promise<unknown> {
  const out: [string, string][] = [];
  for (let after = 0n, end = false; !end; ) {
    const batch = await files.list(inode, after);
    for (const { name, type } of batch.entries) out.push([Buffer.from(name).toString('latin1'), type]);
    after = batch.entries.at(-1)?.cookie ?? after;
    end = batch.end;
  }
  return out.filter(([name]) => name !== '.' && name !== '..').sort(([a], [b]) => (a < b ? -1 : 1));
}

function stated({ type, mode, uid, gid, links, size, inode }: Attributes): Stated {
  return { type, mode, uid, gid, links, size: type === 'directory' ? 0 : size, inode };
}

export function digest(bytes: Uint8Array): string {
  const short = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
  return bytes.length <= 16 ? `bytes ${Buffer.from(bytes).toString('hex')}` : `${bytes.length} bytes, ${short}`;
}

function held(slots: ReadonlyMap<number, number>, slot: number): number {
  const inode = slots.get(slot);
  if (inode === undefined) throw new InfinitError('conflict', 'the slot is empty');
  return inode;
}

const nameOf = (path: Path): Buffer => Buffer.from(path.at(-1) ?? '', 'latin1');
const nowhere = () => new InfinitError('not-found', 'a symbolic link to nowhere');
const notFile = ({ type }: Attributes) =>
  type === 'directory' ? fileError('is-directory', 'a directory') : fileError('invalid', `a ${type}`);

function ignoreGone(cause: unknown): void {
  if (!isError(cause, 'not-found')) throw cause;
}
