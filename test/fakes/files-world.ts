// Clients of one tree of files, each a process of a small seeded world. Calls of a driven view let the world run until they end.

import { type Deferred, deferred } from '../../src/core/base/lifecycle.ts';
import type { Effect } from '../../src/core/tree/tree.ts';
import { createFileView } from '../../src/core/volume/files/file-view.ts';
import type { Files } from '../../src/core/volume/files/files.ts';
import {
  beginFiles,
  openTreeFiles,
  type TreeFiles,
  type TreeFilesOptions,
} from '../../src/core/volume/files/tree-files.ts';
import { type Opened, type OpenedOptions, TreeWorld } from './fake-tree.ts';
import type { WorldOptions } from './world.ts';

/** Room the network says it has. */
const capacity = { totalBytes: 2 ** 40, freeBytes: 2 ** 39 };

export interface FilesClient {
  opened: Opened;
  files: TreeFiles;
  /** The same, for tests that do not run the world themselves. */
  driven: Files;
}

export class FilesWorld {
  readonly trees: TreeWorld;
  readonly clients: FilesClient[] = [];
  private readonly driver: Driver;

  constructor(options: WorldOptions = {}) {
    this.trees = new TreeWorld({ ...options, view: createFileView({ nameKey: Buffer.alloc(32, 7) }) });
    this.driver = new Driver((promise) => this.trees.world.until(promise, 3_600_000));
  }

  /** A fresh tree with its root directory. */
  async found(): Promise<void> {
    await this.trees.found();
  }

  /** The first to open makes the root, and leads. */
  async open(
    name: string,
    options: Partial<TreeFilesOptions> & Pick<OpenedOptions, 'hears'> = {},
  ): Promise<FilesClient> {
    let files: TreeFiles | undefined;
    const opened = await this.trees.open(name, {
      onForwarded: async (effects: readonly Effect[]) => files?.forwarded(effects),
      ...(options.hears && { hears: options.hears }),
    });
    const { runtime } = opened.process;
    files = openTreeFiles(opened.tree, { runtime, capacity: async () => capacity, ...options });
    const { world } = this.trees;
    if (this.clients.length === 0) await world.until(beginFiles(opened.tree, runtime, { mode: 0o755, uid: 0, gid: 0 }));
    await world.until(files.start());
    const client = { opened, files, driven: this.driver.drive(files) };
    this.clients.push(client);
    return client;
  }

  pass(timeMs: number): Promise<void> {
    return this.trees.world.run(timeMs);
  }

  async close(): Promise<void> {
    for (const { files, opened } of this.clients.splice(0)) {
      await this.trees.world.until(files.stop());
      await this.trees.world.until(opened.tree.stop());
    }
  }
}

/** Runs a world while any call of a driven object has not ended. */
export class Driver {
  private readonly until: (promise: Promise<void>) => Promise<void>;
  private running = 0;
  private idle: Deferred<void> | undefined;
  private failed: unknown;

  /** `until` runs the world until the promise settles. */
  constructor(until: (promise: Promise<void>) => Promise<void>) {
    this.until = until;
  }

  /** The object with every method that answers later driven. */
  drive<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (_, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        return (...given: unknown[]) => {
          const answer: unknown = value.apply(target, given);
          return answer instanceof Promise ? this.run(answer) : answer;
        };
      },
    });
  }

  private async run<T>(promise: Promise<T>): Promise<T> {
    if (this.running++ === 0) this.start();
    // Whichever comes first: the world may end without an answer.
    const { idle } = this;
    const stuck = new Promise<never>((_, reject) => {
      idle?.promise.catch(reject);
    });
    try {
      return await Promise.race([promise, stuck]);
    } finally {
      if (--this.running === 0) this.idle?.resolve();
    }
  }

  private start(): void {
    const idle = deferred<void>();
    this.idle = idle;
    this.until(idle.promise).catch((error: unknown) => {
      this.failed ??= error;
      idle.reject(error);
    });
  }
}
