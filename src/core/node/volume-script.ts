// `volume run --script`: one JSON operation a line on the files of a volume, one answer each. Paths begin at the root of the volume
// and are walked as the kernel would, but that a symbolic link at the end is not followed. Rights are not checked: whoever has
// the volume open may do all of it. `content` is base64 in `read` and `write`, plain text in `read_file` and `write_file`.

import { asBuffer, concatBytes, fromBase64, toBase64, utf8 } from '../base/bytes.ts';
import { asError, InfinitError, isError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { errnoOf } from '../volume/errno.ts';
import { type Attributes, type Files, type FileType, fileError, type NewNode } from '../volume/files/files.ts';
import { type Place, VolumePaths } from './volume-paths.ts';
import {
  type Answer,
  isHandle,
  number,
  type Request,
  size,
  text,
  textOf,
  time,
  timeFields,
} from './volume-script-fields.ts';

type Operation = (request: Request) => Promise<Answer>;

export interface VolumeScriptOptions {
  files: Files;
  /** Who owns what is made. */
  uid: number;
  gid: number;
  /** Bytes programs are told to read and write at once. */
  blockBytes: number;
}

/** Answers operations until they end; a bad one gets an answer that says so. Handles left open are closed. */
export async function serveVolumeScript(
  options: VolumeScriptOptions,
  script: { requests: AsyncIterable<unknown>; reply(value: unknown): void },
): Promise<void> {
  const session = new VolumeScript(options);
  try {
    for await (const request of script.requests) script.reply(await session.answer(request));
  } finally {
    await session.close();
  }
}

/** Of open(2). */
const open = { write: 0o1, readWrite: 0o2, create: 0o100, exclusive: 0o200, truncate: 0o1000, append: 0o2000 } as const;
/** Of setxattr(2). */
const attributeFlags = { create: 1, replace: 2 } as const;
const typeBits: Readonly<Record<FileType, number>> = {
  fifo: 0o010000,
  'character-device': 0o020000,
  directory: 0o040000,
  'block-device': 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
};
const sectorBytes = 512;

interface OpenFile {
  inode: number;
  flags: number;
  closed: boolean;
}

/** One session: its open files have numbers, or the names the requests give them. */
export class VolumeScript {
  private readonly options: VolumeScriptOptions;
  private readonly files: Files;
  private readonly paths: VolumePaths;
  private readonly handles = new Map<string, OpenFile>();
  private nextHandle = 1;
  private readonly operations: Readonly<Record<string, Operation>> = {
    list_directory: async (request) => ({ entries: await this.names(await this.find(request)) }),
    mkdir: (request) => this.mkdir(request),
    stat: async (request) => this.shown(await this.find(request)),
    setxattr: (request) => this.setExtended(request),
    getxattr: (request) => this.getExtended(request),
    listxattr: async (request) => ({
      entries: (await this.files.listExtended((await this.find(request)).inode)).map((name) =>
        asBuffer(name).toString('utf8'),
      ),
    }),
    removexattr: async (request) =>
      done(this.files.removeExtended((await this.find(request)).inode, utf8(text(request, 'name')))),
    link: (request) => this.link(request),
    symlink: (request) => this.symlink(request),
    readlink: async (request) => {
      const target = textOf(await this.files.readLink((await this.find(request)).inode));
      return { target, value: target };
    },
    rename: async (request) =>
      done(this.files.rename(await this.place(request, 'path'), await this.place(request, 'target'), 'replace')),
    truncate: async (request) => done(this.files.change((await this.file(request)).inode, { size: size(request) })),
    utimens: (request) => this.setTimes(request),
    statfs: () => this.statfs(),
    chown: (request) => this.chown(request),
    chmod: async (request) =>
      done(this.files.change((await this.find(request)).inode, { mode: number(request, 'mode') & 0o7777 })),
    write_file: (request) => this.writeFile(request),
    read_file: (request) => this.readFile(request),
    unlink: async (request) => {
      const { directory, name } = await this.place(request, 'path');
      return done(this.files.unlink(directory, name));
    },
    rmdir: async (request) => {
      const { directory, name } = await this.place(request, 'path');
      return done(this.files.removeDirectory(directory, name));
    },
    create: (request) => this.open(request, number(request, 'flags', open.readWrite) | open.create),
    open: (request) => this.open(request, number(request, 'flags', 0)),
    close: (request) => this.closeHandle(request),
    dispose: (request) => this.dispose(request),
    read: (request) => this.read(request),
    write: (request) => this.write(request),
    ftruncate: async (request) => done(this.files.change(this.handle(request).inode, { size: size(request) })),
    fsync: async (request) => done(this.files.sync(this.handle(request).inode)),
    fsyncdir: async (request) => done(this.files.sync((await this.find(request)).inode)),
  };

  constructor(options: VolumeScriptOptions) {
    this.options = options;
    this.files = options.files;
    this.paths = new VolumePaths(options.files);
  }

  async answer(request: unknown): Promise<Answer> {
    const isObject = typeof request === 'object' && request !== null && !Array.isArray(request);
    const fields: Request = isObject ? (request as Request) : {};
    const { operation: name, path, handle } = fields;
    const told = {
      operation: typeof name === 'string' ? name : null,
      ...(typeof path === 'string' && { path }),
      ...(isHandle(handle) && { handle }),
    };
    try {
      if (!isObject) throw new InfinitError('usage', 'an operation is a JSON object');
      const known = typeof name === 'string' && Object.hasOwn(this.operations, name);
      const operation = known ? this.operations[name] : undefined;
      if (operation === undefined) throw new InfinitError('usage', `unknown operation: ${String(name).slice(0, 100)}`);
      return { success: true, ...told, ...(await operation(fields)) };
    } catch (cause) {
      const error = asError(cause);
      const message = error.kind === 'denied' && error.data === undefined ? 'Access denied' : error.message;
      return { success: false, ...told, code: errnoOf(error), message };
    }
  }

  async close(): Promise<void> {
    for (const opened of this.handles.values()) if (!opened.closed) await this.files.close(opened.inode);
    this.handles.clear();
  }

  private find(request: Request): Promise<Attributes> {
    return this.paths.find(text(request, 'path'));
  }

  private async place(request: Request, field: string): Promise<Place> {
    const place = await this.paths.placeOf(text(request, field));
    if (place === undefined) throw fileError('busy', 'the root stays what and where it is');
    return place;
  }

  /** A file with bytes: neither a directory nor a link. */
  private async file(request: Request): Promise<Attributes> {
    return checkFile(await this.find(request));
  }

  private async names({ inode, type }: Attributes): Promise<string[]> {
    if (type !== 'directory') throw fileError('not-directory', 'it is not a directory');
    const names: string[] = [];
    for (let cookie = 2n; ; ) {
      const { entries, end } = await this.files.list(inode, cookie);
      for (const { name } of entries) names.push(asBuffer(name).toString('utf8'));
      const last = entries.at(-1);
      if (end || last === undefined) return names;
      cookie = last.cookie;
    }
  }

  private async mkdir(request: Request): Promise<Answer> {
    const place = await this.paths.placeOf(text(request, 'path'));
    if (place === undefined) throw new InfinitError('exists', 'the root is there');
    const mode = number(request, 'mode', 0o777) & 0o7777;
    return done(this.files.make(place.directory, place.name, this.node('directory', mode)));
  }

  private node(type: FileType, mode: number): NewNode {
    const { uid, gid } = this.options;
    return { type, mode, uid, gid };
  }

  private async setExtended(request: Request): Promise<Answer> {
    const { inode } = await this.find(request);
    const flags = number(request, 'flags', 0);
    const only =
      flags === attributeFlags.create ? 'create' : flags === attributeFlags.replace ? 'replace' : ('any' as const);
    const name = utf8(text(request, 'name'));
    const value = utf8(text(request, 'value'));
    return done(this.files.setExtended(inode, name, value, only === 'any' ? {} : { only }));
  }

  private async getExtended(request: Request): Promise<Answer> {
    const { inode } = await this.find(request);
    return { value: textOf(await this.files.getExtended(inode, utf8(text(request, 'name')))) };
  }

  private async link(request: Request): Promise<Answer> {
    const { inode } = await this.find(request);
    const { directory, name } = await this.place(request, 'target');
    return done(this.files.link(inode, directory, name));
  }

  private async symlink(request: Request): Promise<Answer> {
    const { directory, name } = await this.place(request, 'path');
    const target = utf8(text(request, 'target'));
    return done(this.files.make(directory, name, { ...this.node('symlink', 0o777), target }));
  }

  /** `access` and `change` are nanoseconds since 1970, in digits where numbers are too coarse; absent: now. */
  private async setTimes(request: Request): Promise<Answer> {
    const { inode } = await this.find(request);
    const [accessed, modified] = [time(request, 'access'), time(request, 'change')];
    return done(this.files.change(inode, { accessed, modified }));
  }

  private async chown(request: Request): Promise<Answer> {
    const { inode } = await this.find(request);
    return done(this.files.change(inode, { uid: number(request, 'uid'), gid: number(request, 'gid') }));
  }

  private async statfs(): Promise<Answer> {
    const { totalBytes, freeBytes, inodesUsed } = await this.files.usage();
    const { blockBytes } = this.options;
    const free = Math.floor(freeBytes / blockBytes);
    return {
      f_bsize: blockBytes,
      f_frsize: blockBytes,
      f_blocks: Math.floor(totalBytes / blockBytes),
      f_bfree: free,
      f_bavail: free,
      f_files: inodesUsed,
      f_namemax: limits.fileNameBytesMax,
    };
  }

  private shown(found: Attributes): Answer {
    const { type, mode, inode, links, uid, gid, device, size: bytes, allocatedBytes } = found;
    return {
      st_ino: inode,
      st_mode: typeBits[type] | mode,
      st_nlink: links,
      st_uid: uid,
      st_gid: gid,
      st_rdev: device,
      st_size: bytes,
      st_blksize: this.options.blockBytes,
      st_blocks: Math.ceil(allocatedBytes / sectorBytes),
      ...timeFields('atime', found.accessed),
      ...timeFields('mtime', found.modified),
      ...timeFields('ctime', found.changed),
    };
  }

  /** The content is durable when it is answered. */
  private async writeFile(request: Request): Promise<Answer> {
    const data = utf8(text(request, 'content', Number.POSITIVE_INFINITY));
    const place = await this.place(request, 'path');
    const { inode } = await this.opened(place, open.write | open.create | open.truncate, 0o666);
    try {
      if (data.length > 0) await this.files.write(inode, 0, data);
      await this.files.sync(inode);
    } finally {
      await this.files.close(inode);
    }
    return {};
  }

  private async readFile(request: Request): Promise<Answer> {
    const { inode, size: bytes } = await this.file(request);
    if (bytes > limits.valueBytesMax)
      throw fileError('too-large', `the file has more than ${limits.valueBytesMax} bytes: read it in parts`);
    return { content: textOf(concatBytes(await this.files.read(inode, 0, bytes))) };
  }

  private async open(request: Request, flags: number): Promise<Answer> {
    if (this.handles.size >= limits.heldInodesMax) throw new InfinitError('full', 'too many files are open');
    const asked = request.handle;
    if (asked !== undefined && !isHandle(asked)) throw fileError('invalid', 'handle: expected a text or a number');
    const handle = asked ?? this.nextHandle;
    if (this.handles.has(String(handle))) throw new InfinitError('exists', `handle ${handle} is in use`);
    const { inode } = await this.opened(await this.place(request, 'path'), flags, number(request, 'mode', 0o666));
    if (asked === undefined) this.nextHandle++;
    this.handles.set(String(handle), { inode, flags, closed: false });
    return { handle };
  }

  /** Held until `close`. */
  private async opened(place: Place, flags: number, mode: number): Promise<Attributes> {
    const found = (flags & open.create) === 0 ? await this.paths.lookUp(place) : await this.made(place, flags, mode);
    const { inode } = checkFile(found);
    this.files.open(inode);
    try {
      return (flags & open.truncate) === 0 ? found : await this.files.change(inode, { size: 0 });
    } catch (error) {
      await this.files.close(inode);
      throw error;
    }
  }

  private async made(place: Place, flags: number, mode: number): Promise<Attributes> {
    try {
      return await this.files.make(place.directory, place.name, this.node('file', mode & 0o7777));
    } catch (error) {
      if (!isError(error, 'exists') || (flags & open.exclusive) !== 0) throw error;
      return this.paths.lookUp(place);
    }
  }

  /** Seen by others and told of what became of it; the handle stays until `dispose`. */
  private async closeHandle(request: Request): Promise<Answer> {
    const opened = this.handle(request);
    opened.closed = true;
    try {
      await this.files.flush(opened.inode);
    } finally {
      await this.files.close(opened.inode);
    }
    return {};
  }

  private async dispose(request: Request): Promise<Answer> {
    const opened = this.handles.get(String(request.handle));
    if (opened === undefined) throw fileError('invalid', `there is no handle ${String(request.handle)}`);
    this.handles.delete(String(request.handle));
    if (!opened.closed) await this.files.close(opened.inode);
    return {};
  }

  private async read(request: Request): Promise<Answer> {
    const { inode } = this.handle(request);
    const length = size(request);
    if (length > limits.blockBytesMax)
      throw fileError('invalid', `size: at most ${limits.blockBytesMax} bytes are read at once`);
    const pieces = await this.files.read(inode, number(request, 'offset', 0), length);
    return { content: toBase64(concatBytes(pieces)) };
  }

  private async write(request: Request): Promise<Answer> {
    const { inode, flags } = this.handle(request);
    if ((flags & (open.write | open.readWrite)) === 0) throw fileError('invalid', 'the file is open for reading only');
    const data = fromBase64(text(request, 'content', Number.POSITIVE_INFINITY));
    const isAppended = (flags & open.append) !== 0;
    const offset = isAppended ? (await this.files.attributes(inode)).size : number(request, 'offset', 0);
    if (data.length > 0) await this.files.write(inode, offset, data);
    return { size: data.length };
  }

  private handle(request: Request): OpenFile {
    const opened = this.handles.get(String(request.handle));
    if (opened === undefined || opened.closed)
      throw fileError('invalid', `there is no open handle ${String(request.handle)}`);
    return opened;
  }
}

async function done(task: Promise<unknown>): Promise<Answer> {
  await task;
  return {};
}

function checkFile(found: Attributes): Attributes {
  if (found.type === 'directory') throw fileError('is-directory', 'it is a directory');
  if (found.type !== 'file') throw fileError('invalid', 'it is not a file');
  return found;
}
