// Clients of the files view in a `World`: a tree over a fake store, the real file view, and trees that fail when told to.

import { decode } from '../../../../src/core/base/codec.ts';
import type { Abortable } from '../../../../src/core/base/lifecycle.ts';
import type { DoOptions, Effect, Tree, WrittenChunk } from '../../../../src/core/tree/tree.ts';
import { createFileView } from '../../../../src/core/volume/files/file-view.ts';
import { type Attributes, rootInode } from '../../../../src/core/volume/files/files.ts';
import {
  type FileOperation,
  type FileQuery,
  fileOperation,
  fileQuery,
} from '../../../../src/core/volume/files/messages.ts';
import {
  beginFiles,
  openTreeFiles,
  type TreeFiles,
  type TreeFilesOptions,
} from '../../../../src/core/volume/files/tree-files.ts';
import { TreeWorld } from '../../../fakes/fake-tree.ts';
import type { Process } from '../../../fakes/world.ts';

/** A tree whose operations and chunk writes pass by hooks, which may throw or wait. */
export class HookedTree {
  readonly operations: FileOperation[] = [];
  onDo: (operation: FileOperation) => Promise<void> | void = () => {};
  /** After the operation was done: throwing loses the answer. */
  onDone: (operation: FileOperation) => void = () => {};
  onWriteChunks: (cells: readonly Uint8Array[]) => Promise<void> | void = () => {};
  /** Queries by their type. */
  readonly queries: FileQuery['type'][] = [];
  /** With the answer in hand. */
  afterQuery: () => Promise<void> | void = () => {};
  cellReads = 0;
  onReadCell: () => Promise<void> | void = () => {};
  extraLosses = 0;
  readonly tree: Tree;

  constructor(inner: Tree) {
    const outer = this;
    this.tree = new Proxy(inner, {
      get(target, name: keyof Tree) {
        if (name === 'do') return outer.do.bind(outer, target);
        if (name === 'losses') return target.losses + outer.extraLosses;
        if (name === 'writeChunks')
          return async (cells: readonly Uint8Array[]): Promise<WrittenChunk[]> => {
            await outer.onWriteChunks(cells);
            return target.writeChunks(cells);
          };
        if (name === 'query')
          return async (query: Uint8Array, options?: Abortable) => {
            outer.queries.push(decode(fileQuery, query).type);
            const reply = await target.query(query, options);
            await outer.afterQuery();
            return reply;
          };
        if (name === 'readCells')
          return async (...asked: Parameters<Tree['readCells']>) => {
            outer.cellReads += asked[2];
            await outer.onReadCell();
            return target.readCells(...asked);
          };
        const value = target[name];
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  writes(): Extract<FileOperation, { type: 'write' }>[] {
    return this.operations.filter((operation) => operation.type === 'write');
  }

  private async do(target: Tree, bytes: Uint8Array, options?: DoOptions): Promise<Uint8Array> {
    const operation = decode(fileOperation, bytes);
    await this.onDo(operation);
    const reply = await target.do(bytes, options);
    this.operations.push(operation);
    this.onDone(operation);
    return reply;
  }
}

export interface FilesClient {
  files: TreeFiles;
  hooked: HookedTree;
  tree: Tree;
  process: Process;
}

export class FilesWorld {
  readonly trees: TreeWorld;

  constructor(options: { seed?: number } = {}) {
    this.trees = new TreeWorld({ ...options, view: createFileView({ nameKey: Buffer.alloc(32, 7) }) });
  }

  static async found(options: { seed?: number } = {}): Promise<FilesWorld> {
    const world = new FilesWorld(options);
    await world.trees.found();
    return world;
  }

  get world() {
    return this.trees.world;
  }
  run<T>(promise: Promise<T>): Promise<T> {
    return this.world.until(promise);
  }

  async client(name: string, options: Partial<TreeFilesOptions> = {}): Promise<FilesClient> {
    let told: (effects: readonly Effect[]) => Promise<void> = async () => {};
    const { tree, process } = await this.trees.open(name, { onForwarded: (effects) => told(effects) });
    const hooked = new HookedTree(tree);
    const { runtime } = process;
    await this.run(beginFiles(tree, runtime, { mode: 0o755, uid: 1, gid: 2 }));
    const capacity = async () => ({ totalBytes: 1000, freeBytes: 500 });
    const files = openTreeFiles(hooked.tree, { runtime, capacity, ...options });
    told = (effects) => files.forwarded(effects);
    await this.run(files.start());
    return { files, hooked, tree, process };
  }

  /** A new open file. */
  async file({ files }: FilesClient, name: string): Promise<number> {
    const made: Attributes = await this.run(files.make(rootInode, Buffer.from(name), newFile));
    files.open(made.inode);
    return made.inode;
  }

  async content({ files }: FilesClient, inode: number): Promise<Buffer> {
    const { size } = await this.run(files.attributes(inode));
    return Buffer.concat(await this.run(files.read(inode, 0, size + 10)));
  }
}

export const newFile = { type: 'file', mode: 0o644, uid: 1, gid: 2 } as const;
export const name = (text: string): Buffer => Buffer.from(text);

export function pattern(length: number, salt = 0): Buffer {
  const out = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) out[i] = (i * 31 + (i >> 8) * 7 + (i >> 16) + salt) & 255;
  return out;
}
