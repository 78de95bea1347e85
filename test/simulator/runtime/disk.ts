// A simulated disk: files as pages of which some are written and not yet durable, directories whose new entries may not be
// durable either. A power failure decides by the seed what of it stays: all, nothing, or torn sectors.
// Directories themselves are durable once made, as with the journaling file systems nodes run on.

import type { SeededRandom } from './random.ts';

export const pageBytes = 4096;
const sectorBytes = 512;
const zeroPage = Buffer.alloc(pageBytes);

/** One file's bytes: what processes see, and what a power failure would leave. */
export class FileNode {
  readonly kind = 'file';
  size = 0;
  private durableSize = 0;
  private pages = new Map<number, Buffer>();
  private durablePages = new Map<number, Buffer>();
  private dirty = new Set<number>();

  read(into: Uint8Array, position: number): number {
    const length = Math.max(0, Math.min(into.length, this.size - position));
    for (let done = 0; done < length; ) {
      const at = position + done;
      const from = at % pageBytes;
      const count = Math.min(pageBytes - from, length - done);
      const page = this.pages.get(Math.floor(at / pageBytes)) ?? zeroPage;
      into.set(page.subarray(from, from + count), done);
      done += count;
    }
    return length;
  }

  /** Pages are replaced, never changed, so that a reference to one is a snapshot of it. */
  write(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length; ) {
      const at = position + done;
      const index = Math.floor(at / pageBytes);
      const from = at % pageBytes;
      const count = Math.min(pageBytes - from, bytes.length - done);
      const page = Buffer.from(this.pages.get(index) ?? zeroPage);
      page.set(bytes.subarray(done, done + count), from);
      this.pages.set(index, page);
      this.dirty.add(index);
      done += count;
    }
    this.size = Math.max(this.size, position + bytes.length);
  }

  truncate(size: number): void {
    for (const index of [...this.pages.keys()])
      if (index * pageBytes >= size) {
        this.pages.delete(index);
        this.dirty.add(index);
      }
    const last = Math.floor(size / pageBytes);
    const page = this.pages.get(last);
    if (page && size < this.size) {
      const cut = Buffer.from(page);
      cut.fill(0, size % pageBytes);
      this.pages.set(last, cut);
      this.dirty.add(last);
    }
    this.size = size;
  }

  /** What is written now; calling the result makes that (and nothing written later) durable. */
  snapshot(fromByte = 0, toByte = Number.POSITIVE_INFINITY): () => void {
    const [first, end] = [Math.floor(fromByte / pageBytes), toByte / pageBytes];
    const pages = [...this.dirty]
      .filter((index) => index >= first && index < end)
      .map((index) => [index, this.pages.get(index)] as const);
    const size = this.size;
    return () => {
      for (const [index, page] of pages) {
        if (page) this.durablePages.set(index, page);
        else this.durablePages.delete(index);
        if (this.pages.get(index) === page) this.dirty.delete(index);
      }
      this.durableSize =
        toByte === Number.POSITIVE_INFINITY ? size : Math.max(this.durableSize, Math.min(size, toByte));
    };
  }

  /** Returns how many pages are neither what they were nor what was written. */
  powerFailure(random: SeededRandom): number {
    let tornPages = 0;
    const resized = this.size !== this.durableSize;
    const size = resized && random.chance(0.5) ? this.durableSize : this.size;
    for (const index of [...this.dirty].sort((a, b) => a - b)) {
      const old = this.durablePages.get(index) ?? zeroPage;
      const page = this.pages.get(index) ?? zeroPage;
      const fate = random.below(4);
      if (fate < 2) this.pages.set(index, old);
      else if (fate === 2) {
        const mixed = torn(old, page, random);
        if (!mixed.equals(old) && !mixed.equals(page)) tornPages++;
        this.pages.set(index, mixed);
      }
    }
    this.dirty.clear();
    this.truncate(size);
    this.dirty.clear();
    this.durablePages = new Map(this.pages);
    this.durableSize = size;
    return tornPages;
  }

  /** The same bytes on another disk; what is written to one does not show in the other. */
  copy(): FileNode {
    const copy = new FileNode();
    copy.size = copy.durableSize = this.size;
    copy.pages = new Map(this.pages);
    copy.durablePages = new Map(this.pages);
    return copy;
  }

  /** Flips single bits of pages that hold something, as disks do over years: most of a file made in advance is zeros that nobody reads. */
  rot(random: SeededRandom, bits: number, within = this.size): void {
    const end = Math.min(within, this.size);
    const held = [...this.pages].filter(([index, page]) => index * pageBytes < end && !page.equals(zeroPage));
    const written = held.map(([index]) => index).sort((a, b) => a - b);
    for (let i = 0; i < bits && written.length > 0; i++) {
      const index = written[random.below(written.length)] as number;
      const at = random.below(Math.min(pageBytes, end - index * pageBytes));
      this.flip(index * pageBytes + at, random.below(8));
    }
  }

  flip(position: number, bit: number): void {
    const index = Math.floor(position / pageBytes);
    const page = Buffer.from(this.pages.get(index) ?? zeroPage);
    const at = position % pageBytes;
    page[at] = (page[at] as number) ^ (1 << bit);
    this.pages.set(index, page);
    if (!this.dirty.has(index)) this.durablePages.set(index, page);
  }
}

function torn(old: Buffer, written: Buffer, random: SeededRandom): Buffer {
  const page = Buffer.from(old);
  for (let at = 0; at < pageBytes; at += sectorBytes)
    if (random.chance(0.5)) written.copy(page, at, at, at + sectorBytes);
  return page;
}

export class DirectoryNode {
  readonly kind = 'directory';
  entries = new Map<string, DiskNode>();
  durableEntries = new Map<string, DiskNode>();

  /** Changes of files so far; calling the result makes them durable. */
  snapshot(name?: string): () => void {
    const now = new Map(this.entries);
    return () => {
      if (name === undefined) this.durableEntries = now;
      else setOrDelete(this.durableEntries, name, now.get(name));
    };
  }

  copy(): DirectoryNode {
    const copy = new DirectoryNode();
    for (const [name, node] of this.entries) copy.entries.set(name, node.copy());
    copy.durableEntries = new Map(copy.entries);
    return copy;
  }

  powerFailure(random: SeededRandom): number {
    const names = [...new Set([...this.entries.keys(), ...this.durableEntries.keys()])].sort();
    for (const name of names) {
      const durable = this.durableEntries.get(name);
      if (this.entries.get(name) !== durable && random.chance(0.5)) setOrDelete(this.entries, name, durable);
    }
    this.durableEntries = new Map(this.entries);
    let tornPages = 0;
    for (const name of [...this.entries.keys()].sort()) tornPages += this.entries.get(name)?.powerFailure(random) ?? 0;
    return tornPages;
  }
}

function setOrDelete<V>(map: Map<string, V>, key: string, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

export type DiskNode = FileNode | DirectoryNode;

export class Disk {
  readonly root = new DirectoryNode();
  readonly locks = new Map<string, { pid: number }>();
  readonly directIo: boolean;
  capacityBytes: number;
  /** Pages power failures have left half written. */
  tornPages = 0;
  /** While true every operation fails with `unavailable`. */
  failing = false;
  readonly random: SeededRandom;

  constructor(random: SeededRandom, capacityBytes: number, directIo: boolean) {
    this.random = random;
    this.capacityBytes = capacityBytes;
    this.directIo = directIo;
  }

  find(path: string): DiskNode | undefined {
    let node: DiskNode | undefined = this.root;
    for (const name of path.split('/').filter((part) => part !== ''))
      node = node instanceof DirectoryNode ? node.entries.get(name) : undefined;
    return node;
  }

  usedBytes(node: DiskNode = this.root): number {
    if (node instanceof FileNode) return Math.ceil(node.size / pageBytes) * pageBytes;
    let sum = 0;
    for (const child of node.entries.values()) sum += this.usedBytes(child);
    return sum;
  }

  crash(power: boolean): void {
    this.locks.clear();
    if (power) this.tornPages += this.root.powerFailure(this.random);
  }

  /** Puts a file or folder in the place of what is there, or nothing: another disk, or an older image of this one. */
  replace(path: string, node: DiskNode | undefined): void {
    const at = path.lastIndexOf('/');
    const parent = this.find(path.slice(0, at));
    if (!(parent instanceof DirectoryNode)) return;
    setOrDelete(parent.entries, path.slice(at + 1), node);
    setOrDelete(parent.durableEntries, path.slice(at + 1), node);
  }

  /** Flips bits of one file; of its first bytes only when told how many. */
  rot(path: string, bits = 1, within?: number): void {
    const node = this.find(path);
    if (node instanceof FileNode) node.rot(this.random, bits, within);
  }

  /** Flips one bit of a file. */
  flip(path: string, position: number, bit: number): void {
    const node = this.find(path);
    if (node instanceof FileNode) node.flip(position, bit);
  }
}
