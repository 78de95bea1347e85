// The silo `sftp`: packs in a folder of a server that is reached by the system's `ssh`, which knows the keys, the agent, the known
// hosts and the jumps of whoever runs it. Nothing is asked: what `ssh HOST` would ask is told as what to do first.

import { type Bytes, concatBytes } from '../../../base/bytes.ts';
import { InfinitError } from '../../../base/errors.ts';
import { limits } from '../../../base/limits.ts';
import type { ProgramEnd, Runtime } from '../../../runtime/runtime.ts';
import type { ObjectStore, StoredObject } from '../object-store.ts';
import { packedKind } from '../opening.ts';
import { readPatienceMs, retrying } from '../requests.ts';
import { bytesField, openFlags, SftpRefusal, SftpSession, statuses, text } from './session.ts';

export const sftpKind = packedKind('sftp', (config, { runtime }) => {
  const { host, path, port, ssh_config: sshConfig } = config;
  if (host === undefined || path === undefined) throw new InfinitError('usage', 'an sftp silo needs a host and a path');
  return new SftpFolder({ runtime, host, path, port, sshConfig });
});

export interface SftpFolderOptions {
  runtime: Pick<Runtime, 'programs' | 'clock' | 'random' | 'log'>;
  /** As `ssh` takes it: a host, `user@host`, or a name of its configuration. */
  host: string;
  path: string;
  port: number | undefined;
  /** Absolute; undefined: that of the user. */
  sshConfig: string | undefined;
}

const pieceBytes = 32 * 1024;

export class SftpFolder implements ObjectStore {
  readonly where: string;
  private readonly options: SftpFolderOptions;
  private session: Promise<SftpSession> | undefined;
  private drafts = 0;

  constructor(options: SftpFolderOptions) {
    this.options = options;
    this.where = `sftp://${options.host}${options.path}`;
  }

  put(name: string, parts: readonly Bytes[], options: { onlyNew?: boolean } = {}): Promise<void> {
    const content = concatBytes(parts);
    // A name of its own, also beside other processes: what an earlier attempt left is never taken for whole.
    const random = this.options.runtime.random.bytes(6).toString('hex');
    const draft = this.path(`draft-${random}-${++this.drafts}`);
    return this.call(limits.objectOutageMs, async (session) => {
      await this.write(session, draft, content);
      try {
        if (options.onlyNew) await session.rename(draft, this.path(name));
        else await session.extended('posix-rename@openssh.com', [text(draft), text(this.path(name))]);
      } catch (error) {
        const taken = options.onlyNew && isRefusal(error, statuses.failure) && (await this.holds(session, name));
        await session.remove(draft).catch(() => {});
        throw taken ? new InfinitError('exists', 'the object is there already') : error;
      }
      await this.sync(session, this.options.path);
    });
  }

  async get(name: string, range?: { offset: number; length: number }): Promise<Buffer> {
    return this.call(readPatienceMs, async (session) => {
      const handle = await session.open(this.path(name), openFlags.read);
      try {
        const size = await session.size(handle);
        const from = Math.min(range?.offset ?? 0, size);
        const to = Math.min(size, range === undefined ? size : from + range.length);
        const starts = Array.from({ length: Math.ceil((to - from) / pieceBytes) }, (_, i) => from + i * pieceBytes);
        const read = (start: number) => readPiece(session, handle, start, Math.min(pieceBytes, to - start));
        // Copied: a piece is a part of all that had arrived.
        return Buffer.concat(await Promise.all(starts.map(read)));
      } finally {
        await session.close(handle);
      }
    });
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    const found = await this.call(readPatienceMs, async (session) => {
      const handle = await session.openFolder(this.options.path);
      const names: StoredObject[] = [];
      for (let some = await session.names(handle); some !== undefined; some = await session.names(handle))
        for (const { name, bytes, isFile } of some)
          if (isFile && names.length < limits.objectsListedMax) names.push({ name, bytes });
      await session.close(handle);
      return names;
    });
    // Drafts of a process that ended in the middle are nothing; they go once, before any of ours can be among them.
    const drafts = this.drafts === 0 ? found.filter(({ name }) => name.startsWith('draft-')) : [];
    for (const { name } of drafts) await this.delete(name);
    for (const object of found) if (object.name.startsWith(prefix) && !object.name.startsWith('draft-')) yield object;
  }

  delete(name: string): Promise<void> {
    return this.call(limits.objectOutageMs, async (session) => {
      try {
        await session.remove(this.path(name));
      } catch (error) {
        if (!isRefusal(error, statuses.noSuchFile)) throw error;
      }
    });
  }

  async close(): Promise<void> {
    const session = await this.session?.catch(() => undefined);
    this.session = undefined;
    session?.stop();
  }

  private path(name: string): string {
    return `${this.options.path}/${name}`;
  }

  private async write(session: SftpSession, path: string, content: Buffer): Promise<void> {
    const handle = await session.open(path, openFlags.write | openFlags.create | openFlags.truncate);
    const writes: Promise<void>[] = [];
    for (let at = 0; at < content.length; at += pieceBytes)
      writes.push(session.write(handle, at, content.subarray(at, at + pieceBytes)));
    await Promise.all(writes);
    await this.flush(session, handle);
    await session.close(handle);
  }

  /** Makes the names in a folder durable, where the server can. */
  private async sync(session: SftpSession, folder: string): Promise<void> {
    let handle: Buffer;
    try {
      handle = await session.open(folder, openFlags.read);
    } catch (error) {
      if (isRefusal(error, statuses.failure, statuses.denied, statuses.unsupported)) return;
      throw error;
    }
    await this.flush(session, handle).finally(() => session.close(handle));
  }

  private async flush(session: SftpSession, handle: Buffer): Promise<void> {
    if (session.extensions.has('fsync@openssh.com')) await session.extended('fsync@openssh.com', [bytesField(handle)]);
  }

  private async holds(session: SftpSession, name: string): Promise<boolean> {
    try {
      await session.close(await session.open(this.path(name), openFlags.read));
      return true;
    } catch {
      return false;
    }
  }

  private call<T>(patienceMs: number, task: (session: SftpSession) => Promise<T>): Promise<T> {
    const { runtime } = this.options;
    return retrying(runtime, this.where, { patienceMs }, async () => {
      try {
        return await task(await this.connected());
      } catch (error) {
        throw error instanceof SftpRefusal ? this.meaning(error) : error;
      }
    });
  }

  /** One session at a time, whoever asks; another when it has ended. */
  private connected(): Promise<SftpSession> {
    this.session ??= this.connect();
    return this.session;
  }

  private connect(): Promise<SftpSession> {
    const ended = () => {
      if (this.session === connecting) this.session = undefined;
    };
    const connecting: Promise<SftpSession> = this.newSession(ended).catch((error: unknown) => {
      ended();
      throw error;
    });
    return connecting;
  }

  private async newSession(ended: () => void): Promise<SftpSession> {
    const { runtime, host, port, sshConfig, path } = this.options;
    const words = [
      ...(sshConfig === undefined ? [] : ['-F', sshConfig]),
      ...['BatchMode=yes', 'ConnectTimeout=15', 'ServerAliveInterval=15', 'ServerAliveCountMax=3'].flatMap((option) => [
        '-o',
        option,
      ]),
      ...(port === undefined ? [] : ['-p', String(port)]),
      ...['-s', '--', host, 'sftp'],
    ];
    const session = new SftpSession(await runtime.programs.start('ssh', words), host, (end) => {
      ended();
      return this.explain(end);
    });
    await session.start();
    if (!session.extensions.has('posix-rename@openssh.com')) {
      session.stop();
      throw new InfinitError('unsupported', `${host} cannot replace files at once (posix-rename@openssh.com)`);
    }
    const folders = path.split('/').filter((part) => part !== '');
    for (let depth = 1; depth <= folders.length; depth++)
      await session.makeFolder(`/${folders.slice(0, depth).join('/')}`).catch(() => {});
    return session;
  }

  /** `ssh` ends with the same code whatever happened: what it says tells a refusal from a server that is away. */
  private explain({ message }: ProgramEnd): InfinitError {
    const { host } = this.options;
    const last = message.split('\n').at(-1)?.trim() ?? '';
    const refused = /Permission denied|Host key verification failed|REMOTE HOST IDENTIFICATION/.test(message);
    if (!refused) return new InfinitError('unavailable', `${host} cannot be reached: ${last || 'ssh ended'}`);
    return new InfinitError('denied', `${host} refuses: ${last}`, {
      hint: `ssh ${host} must work without a question: accept its host key, and use a key without passphrase or an agent`,
    });
  }

  private meaning({ status, message }: SftpRefusal): InfinitError {
    if (status === statuses.noSuchFile) return new InfinitError('not-found', 'the object is not there');
    if (status === statuses.denied)
      return new InfinitError('denied', `${this.where}: permission denied`, {
        hint: 'choose a folder that the user of the server may write to',
      });
    return new InfinitError('unavailable', `${this.where}: ${message || 'failure'}`);
  }
}

/** As much as asked, in as many answers as the server likes. */
async function readPiece(session: SftpSession, handle: Buffer, offset: number, length: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let bytes = 0; bytes < length; ) {
    const piece = await session.read(handle, offset + bytes, length - bytes);
    if (piece === undefined || piece.length === 0) break;
    pieces.push(piece);
    bytes += piece.length;
  }
  return concatBytes(pieces);
}

function isRefusal(error: unknown, ...kinds: number[]): boolean {
  return error instanceof SftpRefusal && kinds.includes(error.status);
}
