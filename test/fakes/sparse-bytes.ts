// Content of a file in memory: pages of data, everything else a hole that reads as zeros.

import type { Bytes } from '../../src/core/base/bytes.ts';

export const pageBytes = 4096;

export class SparseBytes {
  size = 0;
  /** By page number. What a page holds behind the size is zero. */
  private readonly pages = new Map<number, Buffer>();

  get allocatedBytes(): number {
    return this.pages.size * pageBytes;
  }

  read(offset: number, length: number): Buffer {
    const out = Buffer.alloc(Math.max(0, Math.min(length, this.size - offset)));
    this.each(offset, out.length, (page, from, to, at) => {
      this.pages.get(page)?.copy(out, at, from, to);
    });
    return out;
  }

  write(offset: number, data: Bytes): void {
    this.each(offset, data.length, (page, from, to, at) => {
      const kept = this.pages.get(page) ?? Buffer.alloc(pageBytes);
      kept.set(data.subarray(at, at + to - from), from);
      this.pages.set(page, kept);
    });
    this.size = Math.max(this.size, offset + data.length);
  }

  /** Bytes behind a smaller size are gone: they are zeros if the file grows again. */
  resize(size: number): void {
    if (size < this.size) this.punch(size, this.size - size);
    this.size = size;
  }

  /** Zeros in the range; the size stays. Only pages wholly inside (or ending with the file) become holes. */
  punch(offset: number, length: number): void {
    const end = offset + length >= this.size ? Math.ceil(this.size / pageBytes) * pageBytes : offset + length;
    for (const page of [...this.pages.keys()]) {
      const from = Math.max(offset - page * pageBytes, 0);
      const to = Math.min(end - page * pageBytes, pageBytes);
      if (from === 0 && to === pageBytes) this.pages.delete(page);
      else if (from < to) this.pages.get(page)?.fill(0, from, to);
    }
  }

  /** The next byte of a page that is data (or is none) at or behind the offset; undefined when there is none before the end. */
  seek(offset: number, what: 'data' | 'hole'): number | undefined {
    if (offset >= this.size) return undefined;
    const pages = [...this.pages.keys()].sort((a, b) => a - b);
    const first = Math.floor(offset / pageBytes);
    if (what === 'data') {
      const page = pages.find((candidate) => candidate >= first);
      return page === undefined ? undefined : Math.max(offset, page * pageBytes);
    }
    let hole = first;
    while (this.pages.has(hole)) hole++;
    return Math.min(this.size, Math.max(offset, hole * pageBytes));
  }

  private each(
    offset: number,
    length: number,
    visit: (page: number, from: number, to: number, at: number) => void,
  ): void {
    for (let at = 0; at < length; ) {
      const page = Math.floor((offset + at) / pageBytes);
      const from = (offset + at) % pageBytes;
      const to = Math.min(pageBytes, from + length - at);
      visit(page, from, to, at);
      at += to - from;
    }
  }
}
