// What the parts of the conformance suite of the files view share: a trial with a client (or two) of fresh files, and short forms
// of what tests do all the time.

import assert from 'node:assert/strict';
import { type Bytes, concatBytes, equalBytes } from '../../src/core/base/bytes.ts';
import { type ErrorKind, isError } from '../../src/core/base/errors.ts';
import {
  type Attributes,
  type Cookie,
  type FileReason,
  type Files,
  type FileTime,
  fileReasons,
  type ListedEntry,
  type NewNode,
  reasonOf,
  rootInode,
} from '../../src/core/volume/files/files.ts';

/** Fresh files with nothing but the root, mode 755, of user and group 0. Calls may run at once. */
export interface FilesSetting {
  files: Files;
  /** Another client of the same files; absent where there can be one only. */
  other?: Files | undefined;
  /** Time passes for everybody. */
  pass(timeMs: number): Promise<void>;
  close(): Promise<void>;
}

export interface FilesMaker {
  make(): Promise<FilesSetting>;
  /** Whether tens of thousands of operations take no more than some seconds. */
  fast: boolean;
}

export type Using = (test: (trial: Trial) => Promise<void>) => () => Promise<void>;

export class Trial {
  readonly files: Files;
  readonly other: Files;
  /** Whether the other is another client indeed. */
  readonly two: boolean;
  readonly pass: (timeMs: number) => Promise<void>;

  constructor(setting: FilesSetting) {
    this.files = setting.files;
    this.other = setting.other ?? setting.files;
    this.two = setting.other !== undefined;
    this.pass = setting.pass;
  }

  make(name: string | Bytes, node: Partial<NewNode> = {}, directory = rootInode): Promise<Attributes> {
    const mode = node.type === 'directory' ? 0o755 : 0o644;
    return this.files.make(directory, bytesOf(name), { type: 'file', mode, uid: 0, gid: 0, ...node });
  }

  /** Inode of a new file with the content. */
  async file(name: string | Bytes, content: string | Bytes = '', directory = rootInode): Promise<number> {
    const { inode } = await this.make(name, {}, directory);
    const data = bytesOf(content);
    if (data.length > 0) await this.files.write(inode, 0, data);
    return inode;
  }

  async directory(name: string | Bytes, directory = rootInode): Promise<number> {
    return (await this.make(name, { type: 'directory' }, directory)).inode;
  }

  lookup(name: string | Bytes, directory = rootInode): Promise<Attributes> {
    return this.files.lookup(directory, bytesOf(name));
  }

  unlink(name: string | Bytes, directory = rootInode): Promise<void> {
    return this.files.unlink(directory, bytesOf(name));
  }

  rename(
    from: string,
    to: string,
    mode: 'replace' | 'no-replace' | 'exchange' = 'replace',
    directories: [number, number] = [rootInode, rootInode],
  ): Promise<void> {
    return this.files.rename(
      { directory: directories[0], name: bytesOf(from) },
      { directory: directories[1], name: bytesOf(to) },
      mode,
    );
  }

  async content(inode: number, files = this.files): Promise<Buffer> {
    const { size } = await files.attributes(inode);
    return readAll(files, inode, 0, size);
  }

  async holds(inode: number, expected: string | Bytes, files = this.files): Promise<void> {
    const found = await this.content(inode, files);
    assert.ok(
      equalBytes(found, bytesOf(expected)),
      `content of ${found.length} bytes, not ${expected.length}, or others`,
    );
  }

  async names(directory = rootInode, files = this.files): Promise<string[]> {
    const entries = await listAll(files, directory);
    return entries
      .map(({ name }) => Buffer.from(name).toString('latin1'))
      .filter((name) => name !== '.' && name !== '..')
      .sort();
  }

  /** The inode has no name and is not held: it goes, at once or when nobody can have it open. */
  async gone(inode: number): Promise<void> {
    for (let waits = 0; waits < 60; waits++) {
      try {
        assert.equal((await this.files.attributes(inode)).links, 0);
      } catch (error) {
        return fails('stale', Promise.reject(error));
      }
      await this.pass(2000);
    }
    assert.fail(`inode ${inode} has no name and stays`);
  }

  async linksOf(...inodes: number[]): Promise<number[]> {
    const out = [];
    for (const inode of inodes) out.push((await this.files.attributes(inode)).links);
    return out;
  }

  /** Which of the inode's times moved while the task ran; time passes before. */
  async moved(inode: number, task: () => Promise<unknown>): Promise<('modified' | 'changed')[]> {
    const before = await this.files.attributes(inode);
    await this.pass(50);
    await task();
    const after = await this.files.attributes(inode);
    assert.deepEqual(after.created, before.created, 'the time of creation never moves');
    return (['modified', 'changed'] as const).filter((which) => {
      const [old, now] = [nanosecondsOf(before[which]), nanosecondsOf(after[which])];
      assert.ok(now >= old, `${which} went backwards`);
      return now > old;
    });
  }
}

/** Rejects with that reason; or, for a kind, with an error of it (`not-found` and `exists`: that no reason tells apart). */
export async function fails(what: ErrorKind | FileReason, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(isError(error), String(error));
    const reason = reasonOf(error);
    const expected = what in fileReasons ? (what as FileReason) : undefined;
    const kind = expected ? fileReasons[expected] : what;
    const plain = what === 'not-found' || what === 'exists';
    const found = `${error.kind} ${reason ?? ''}: ${error.message}`;
    assert.equal(error.kind, kind, `expected ${what}, got ${found}`);
    if (expected || plain) assert.equal(reason, expected, `expected ${what}, got ${found}`);
    return true;
  });
}

/** Text is a byte a character. */
export function bytesOf(text: string | Bytes): Bytes {
  return typeof text === 'string' ? Buffer.from(text, 'latin1') : text;
}

export function nanosecondsOf({ seconds, nanoseconds }: FileTime): bigint {
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
}

/** Bytes that differ from place to place and from seed to seed. */
export function pattern(length: number, seed = 1): Buffer {
  const out = Buffer.alloc(length);
  for (let i = 0, state = seed * 2_654_435_761; i < length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    out[i] = state >>> 24;
  }
  return out;
}

export async function readAll(files: Files, inode: number, offset: number, length: number): Promise<Buffer> {
  return concatBytes(await files.read(inode, offset, length));
}

/** A whole listing, in batches; checks that cookies ascend. */
export async function listAll(
  files: Files,
  directory: number,
  options: { limit?: number; attributes?: boolean; between?: (batch: ListedEntry[]) => Promise<void> } = {},
): Promise<ListedEntry[]> {
  const { limit, attributes, between } = options;
  const out: ListedEntry[] = [];
  let after: Cookie = 0n;
  for (;;) {
    const { entries, end } = await files.list(directory, after, {
      ...(limit === undefined ? {} : { limit }),
      ...(attributes === undefined ? {} : { attributes }),
    });
    for (const { cookie } of entries) {
      assert.ok(cookie > after, 'cookies ascend');
      after = cookie;
    }
    out.push(...entries);
    if (end) return out;
    assert.ok(entries.length > 0, 'a listing that has not ended goes on');
    await between?.(entries);
  }
}
