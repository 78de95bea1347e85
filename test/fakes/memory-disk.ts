// Files of one process in memory that answer at once: what was not synced is lost or torn when the machine stops, and stays when only
// the process ends.

import { InfinitError } from '../../src/core/base/errors.ts';
import type { File, Files } from '../../src/core/runtime/runtime.ts';

interface Kept {
  now: Buffer;
  synced: Buffer;
}

export class MemoryDisk {
  readonly kept = new Map<string, Kept>();

  /** What a runtime has of it. */
  readonly files = {
    makeDirectory: async () => {},
    syncDirectory: async () => {},
    list: async (path: string) =>
      [...this.kept.keys()]
        .filter((name) => name.startsWith(`${path}/`))
        .map((name) => name.slice(path.length + 1))
        .sort(),
    remove: async (path: string) => void this.kept.delete(path),
    open: async (path: string, { mode = 'read' }: { mode?: string } = {}) => this.open(path, mode),
  } as unknown as Files;

  /** The machine stops: of each file what was synced, and part of what came after. */
  crash(share: number): void {
    for (const file of this.kept.values()) {
      const { now, synced } = file;
      const kept = Math.min(now.length, synced.length + Math.floor(Math.max(0, now.length - synced.length) * share));
      const torn = Buffer.from(now.subarray(0, kept));
      if (kept > synced.length + 3) torn[kept - 2] = (torn[kept - 2] as number) ^ 0x55;
      file.now = torn;
      file.synced = Buffer.from(torn);
    }
  }

  private open(path: string, mode: string): File {
    let kept = this.kept.get(path);
    if (kept === undefined) {
      if (mode !== 'create') throw new InfinitError('not-found', path);
      kept = { now: Buffer.alloc(0), synced: Buffer.alloc(0) };
      this.kept.set(path, kept);
    }
    const file = kept;
    return {
      read: async (into: Buffer, position: number) => file.now.copy(into, 0, position),
      write: async (from: Buffer, position: number) => {
        const grown = Buffer.alloc(Math.max(file.now.length, position + from.length));
        file.now.copy(grown);
        grown.set(from, position);
        file.now = grown;
      },
      sync: async () => {
        file.synced = Buffer.from(file.now);
      },
      truncate: async (bytes: number) => {
        file.now = Buffer.from(file.now.subarray(0, bytes));
      },
      bytes: async () => file.now.length,
      close: async () => {},
    } as unknown as File;
  }
}
