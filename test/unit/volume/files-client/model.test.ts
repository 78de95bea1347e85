// Property: whatever is written, cut, punched, read and flushed in whatever order, while operations and chunk writes fail, is
// what a plain byte array would say; and what is synced in the end is what another client reads.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InfinitError, isError } from '../../../../src/core/base/errors.ts';
import { type FilesClient, FilesWorld, pattern } from './world.ts';

const KiB = 1024;

/** A file as plain bytes. */
class Model {
  bytes = Buffer.alloc(0);

  write(offset: number, data: Uint8Array): void {
    this.resize(Math.max(this.bytes.length, offset + data.length));
    this.bytes.set(data, offset);
  }
  resize(size: number): void {
    const bytes = Buffer.alloc(size);
    bytes.set(this.bytes.subarray(0, size));
    this.bytes = bytes;
  }
  zero(offset: number, length: number): void {
    this.bytes.fill(0, Math.min(offset, this.bytes.length), Math.min(offset + length, this.bytes.length));
  }
}

interface Course {
  seed: number;
  steps: number;
  /** Share of operations and chunk writes that fail. */
  failing: number;
  /** Sizes of files are about this. */
  span: number;
}

class Run {
  private readonly w: FilesWorld;
  private readonly a: FilesClient;
  private readonly course: Course;
  private readonly files: { inode: number; model: Model }[] = [];
  private readonly pending: Promise<unknown>[] = [];
  failing: number;
  failures = 0;

  constructor(w: FilesWorld, a: FilesClient, course: Course) {
    this.w = w;
    this.a = a;
    this.course = course;
    this.failing = course.failing;
    const fail = (what: string) => {
      if (this.chance(this.failing)) {
        this.failures++;
        throw new InfinitError('unavailable', `${what} fails as told`);
      }
    };
    a.hooked.onDo = async () => {
      if (this.chance(0.2)) await a.process.runtime.clock.sleep(w.world.below(30));
      fail('an operation');
    };
    a.hooked.onDone = () => fail('an answer');
    a.hooked.onWriteChunks = async () => {
      if (this.chance(0.3)) await a.process.runtime.clock.sleep(w.world.below(100));
      fail('a put');
    };
  }

  async go(): Promise<void> {
    const { w, a, course } = this;
    for (let i = 0; i < 3; i++) this.files.push({ inode: await this.made(`f${i}`), model: new Model() });
    for (let step = 0; step < course.steps; step++) await this.step(step);
    this.failing = 0;
    await w.run(Promise.all(this.pending));
    await w.run(a.files.syncAll());
    const b = await w.client('b');
    for (const { inode, model } of this.files)
      for (const client of [a, b])
        this.same(await w.content(client, inode), model, `in the end at ${client.process.name}`);
    await w.run(a.files.stop());
  }

  private async made(text: string): Promise<number> {
    const { failing } = this;
    this.failing = 0;
    const inode = await this.w.file(this.a, text);
    this.failing = failing;
    return inode;
  }

  private async step(step: number): Promise<void> {
    const { w, a } = this;
    const { below } = { below: (limit: number) => w.world.below(limit) };
    const file = this.files[below(this.files.length)] as (typeof this.files)[number];
    const { inode, model } = file;
    const dice = below(100);
    if (dice < 45) {
      const data = pattern(1 + below(this.chance(0.2) ? this.course.span / 2 : 3 * KiB), step);
      const offset = this.chance(0.5) ? model.bytes.length : below(this.course.span);
      model.write(offset, data);
      await w.run(a.files.write(inode, offset, data));
    } else if (dice < 65) await this.reads(file, step);
    else if (dice < 72) {
      const size = below(this.chance(0.5) ? this.course.span : model.bytes.length + 1);
      await this.insisted(() => a.files.change(inode, { size }));
      model.resize(size);
      assert.equal((await w.run(a.files.attributes(inode))).size, size);
    } else if (dice < 76) {
      const offset = below(this.course.span);
      const length = 1 + below(this.course.span / 4);
      await this.insisted(() => a.files.allocate(inode, offset, length, 'punch'));
      model.zero(offset, length);
    } else if (dice < 78) {
      const offset = below(this.course.span);
      await this.insisted(() => a.files.allocate(inode, offset, 5000, 'zero'));
      model.resize(Math.max(model.bytes.length, offset + 5000));
      model.zero(offset, 5000);
    } else if (dice < 85) this.beside(a.files.flush(inode));
    else if (dice < 88) this.beside(a.files.syncAll());
    else if (dice < 90) await this.insisted(() => a.files.flush(inode));
    else await w.world.run(below(this.chance(0.3) ? 2000 : 50));
  }

  private async reads({ inode, model }: { inode: number; model: Model }, step: number): Promise<void> {
    const { w, a } = this;
    const offset = w.world.below(model.bytes.length + 100);
    const length = w.world.below(this.chance(0.3) ? this.course.span : 5000);
    const found = Buffer.concat(await w.run(a.files.read(inode, offset, length)));
    this.same(found, { bytes: model.bytes.subarray(offset, offset + length) }, `step ${step}, ${offset}+${length}`);
    assert.equal((await w.run(a.files.attributes(inode))).size, model.bytes.length, `size at step ${step}`);
  }

  private same(found: Buffer, { bytes }: { bytes: Buffer }, where: string): void {
    assert.equal(found.length, bytes.length, `length, ${where}, seed ${this.course.seed}`);
    const at = found.findIndex((byte, i) => byte !== bytes[i]);
    assert.equal(at, -1, `${where}, seed ${this.course.seed}`);
  }

  /** Again until it is done: an operation may have happened whose answer was lost. */
  private async insisted(task: () => Promise<unknown>): Promise<void> {
    for (;;)
      try {
        await this.w.run(task());
        return;
      } catch (error) {
        if (!isError(error, 'unavailable')) throw error;
      }
  }

  /** Goes on while other steps are taken. */
  private beside(promise: Promise<unknown>): void {
    this.pending.push(
      promise.catch((error: unknown) => {
        if (!isError(error, 'unavailable')) throw error;
      }),
    );
  }

  private chance(share: number): boolean {
    return this.w.world.fraction() < share;
  }
}

describe('files against a byte array', () => {
  const courses: Course[] = [];
  for (let seed = 1; seed <= 6; seed++) {
    courses.push({ seed, steps: 250, failing: 0, span: 40 * KiB });
    courses.push({ seed: seed + 100, steps: 250, failing: 0.15, span: 40 * KiB });
    courses.push({ seed: seed + 200, steps: 120, failing: 0.1, span: 3 * KiB * KiB });
    courses.push({ seed: seed + 300, steps: 200, failing: 0.3, span: 600 * KiB });
  }
  for (const course of courses)
    test(`seed ${course.seed}, ${course.steps} steps, ${course.failing * 100} % fail`, async () => {
      const w = await FilesWorld.found({ seed: course.seed });
      const a = await w.client('a', { dirtyBytesMax: 5 * KiB * KiB });
      const run = new Run(w, a, course);
      await run.go();
      assert.equal(run.failures > 0, course.failing > 0);
    });
});
