// Where the records of a filesystem silo lie on a simulated disk, as docs/formats-silo.md has it: for faults that aim at them.

import { toHex } from '../../src/core/base/bytes.ts';
import { recordHeaderBytes } from '../../src/core/silo/entries.ts';
import { type Space, spaces } from '../../src/core/silo/silo.ts';
import { DirectoryNode, type Disk, FileNode } from './runtime/disk.ts';

export interface RecordPlace {
  readonly path: string;
  readonly position: number;
  readonly space: Space;
  /** Hexadecimal. */
  readonly key: string;
  /** Of header and value. */
  readonly bytes: number;
}

const magic = Buffer.from('ISR1');

/** The last record of each key, by space and key; what was written to a segment used again may be an older one. */
export function recordsOn(disk: Disk, folder: string): RecordPlace[] {
  const found = new Map<string, RecordPlace>();
  const silo = disk.find(folder);
  const names = silo instanceof DirectoryNode ? [...silo.entries.keys()].sort() : [];
  for (const name of names.filter((file) => file.startsWith('segment-'))) {
    const path = `${folder}/${name}`;
    const file = disk.find(path);
    if (!(file instanceof FileNode)) continue;
    const bytes = Buffer.alloc(file.size);
    file.read(bytes, 0);
    for (let at = bytes.indexOf(magic); at >= 0; at = bytes.indexOf(magic, at + 1)) {
      const space = spaces[bytes[at + 5] ?? -1];
      if (at + recordHeaderBytes > bytes.length || space === undefined) continue;
      const key = toHex(bytes.subarray(at + 32, at + 64));
      const length = recordHeaderBytes + bytes.readUInt32BE(at + 20);
      found.set(`${space} ${key}`, { path, position: at, space, key, bytes: length });
    }
  }
  return [...found.values()];
}
