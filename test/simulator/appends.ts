// Several clients append lines to one file while leaders crash, pause and are cut off. Each line must land whole, once, and in the
// order its client wrote it; what a client has synced stays, whatever becomes of it. Lines say who wrote them and end with a check.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { utf8 } from '../../src/core/base/bytes.ts';
import { isError } from '../../src/core/base/errors.ts';
import { rootInode } from '../../src/core/volume/files/files.ts';
import { type FilesClient, FilesWorld } from '../fakes/files-world.ts';

export interface AppendsOptions {
  seed: number;
  timeMs?: number;
  clients?: number;
  faults?: boolean;
  /** Planted: appends go where their client thinks the end is. */
  guess?: boolean;
}

export interface AppendsResult {
  lines: number;
  /** Of clients that have crashed. */
  crashed: number;
  epochs: number;
}

interface Writer {
  client: FilesClient;
  name: string;
  /** Lines begun, and of them surely in the tree. */
  written: number;
  synced: number;
  /** Some of its data was given up: the client was told. */
  refused: boolean;
  gone: boolean;
}

export async function runAppends(options: AppendsOptions): Promise<AppendsResult> {
  const { seed, timeMs = 20_000, clients = 3, faults = true } = options;
  const w = new FilesWorld({ seed, delayMs: [0.5, 8] });
  await w.found();
  const course = new Course(w, options, timeMs);
  await course.begin(clients);
  if (faults) course.harm();
  await w.pass(timeMs);
  return course.finish();
}

class Course {
  private readonly w: FilesWorld;
  private readonly options: AppendsOptions;
  private readonly until: number;
  private readonly writers: Writer[] = [];
  private inode = 0;
  private names = 0;

  constructor(w: FilesWorld, options: AppendsOptions, timeMs: number) {
    this.w = w;
    this.options = options;
    this.until = w.trees.world.now + timeMs;
  }

  async begin(clients: number): Promise<void> {
    const first = await this.w.open('c0');
    this.names++;
    const node = { type: 'file', mode: 0o644, uid: 0, gid: 0 } as const;
    ({ inode: this.inode } = await first.driven.make(rootInode, utf8('log'), node));
    await first.driven.syncAll();
    this.start(first, 'c0');
    for (let i = 1; i < clients; i++) await this.open();
  }

  private async open(): Promise<void> {
    const name = `c${this.names++}`;
    this.start(await this.w.open(name), name);
  }

  private start(client: FilesClient, name: string): void {
    const writer = { client, name, written: 0, synced: 0, refused: false, gone: false };
    this.writers.push(writer);
    client.files.open(this.inode);
    void this.work(writer).catch((error: unknown) => {
      if (!writer.gone) this.w.trees.world.fail(error);
    });
  }

  private async work(writer: Writer): Promise<void> {
    const { world } = this.w.trees;
    const { files, opened } = writer.client;
    while (world.now < this.until) {
      const size = (await files.attributes(this.inode)).size;
      for (let burst = 1 + world.below(6); burst > 0; burst--) {
        const line = lineOf(
          writer.name,
          writer.written,
          [30, 200, 5000, 70_000][world.below(20) === 0 ? 3 : world.below(3)] as number,
        );
        writer.written++;
        await files.write(this.inode, size, line, { append: this.options.guess !== true });
      }
      if (world.below(3) === 0) await this.sync(writer);
      await opened.process.runtime.clock.sleep(world.below(400));
    }
    await this.sync(writer);
  }

  private async sync(writer: Writer): Promise<void> {
    const { written } = writer;
    try {
      await writer.client.files.sync(this.inode);
      if (!writer.refused) writer.synced = written;
    } catch (error) {
      if (!isError(error, 'unavailable', 'lost')) throw error;
      // From here on it does not know what of its data is there.
      writer.refused = true;
    }
  }

  /** One fault after another. */
  harm(): void {
    const { world, cluster } = this.w.trees;
    if (world.now > this.until) return;
    const alive = this.writers.filter(({ gone }) => !gone);
    const victim =
      alive.find(({ client }) => client.opened.tree.status().role === 'leader') ?? alive[world.below(alive.length)];
    if (victim === undefined) return;
    const { process } = victim.client.opened;
    const heal = 500 + world.below(7000);
    switch (world.below(4)) {
      case 0:
        if (alive.length < 2) break;
        victim.gone = true;
        process.crash();
        this.w.clients.splice(this.w.clients.indexOf(victim.client), 1);
        void this.open().catch((error: unknown) => world.fail(error));
        break;
      case 1:
        process.pause();
        world.at(heal, () => process.resume());
        break;
      case 2: {
        const other = alive[world.below(alive.length)] as Writer;
        world.cut(process.name, other.client.opened.process.name, world.below(2) === 0);
        break;
      }
      case 3:
        world.cut(process.name, cluster.storages[world.below(cluster.storages.length)]?.name ?? '');
        break;
    }
    world.at(1000 + world.below(3000), () => {
      if (world.below(2) === 0) world.heal();
      this.harm();
    });
  }

  async finish(): Promise<AppendsResult> {
    const { world } = this.w.trees;
    world.heal();
    for (const { client } of this.writers) client.opened.process.resume();
    await this.w.pass(120_000);
    for (const writer of this.writers) if (!writer.gone) await world.until(this.sync(writer));
    const reader = await this.w.open('reader');
    const { size } = await reader.driven.attributes(this.inode);
    const bytes = Buffer.concat(await reader.driven.read(this.inode, 0, size));
    assert.equal(bytes.length, size);
    const lines = this.check(bytes.toString('latin1'));
    const { epoch } = this.w.trees.root;
    return { lines, crashed: this.writers.filter(({ gone }) => gone).length, epochs: epoch };
  }

  private check(text: string): number {
    const lines = text.split('\n');
    assert.equal(lines.pop(), '', 'the file ends with a whole line');
    const last = new Map<string, number>();
    const seen = new Map<string, Set<number>>();
    for (const line of lines) {
      const found = /^(c\d+) (\d+) (\d+) x* ([0-9a-f]{8})$/.exec(line);
      const what = `seed ${this.options.seed}: ${JSON.stringify(line.slice(0, 60))}`;
      assert.ok(found, `${what} is not what anybody wrote`);
      const [, name, number, length, check] = found as unknown as [string, string, string, string, string];
      assert.equal(line.length + 1, Number(length), `${what} is not whole`);
      assert.equal(check, checkOf(name, Number(number)), `${what} is not whole`);
      const before = last.get(name) ?? -1;
      assert.ok(Number(number) > before, `${what} comes behind line ${before} of its client`);
      last.set(name, Number(number));
      const numbers = seen.get(name) ?? new Set();
      seen.set(name, numbers.add(Number(number)));
    }
    for (const { name, synced } of this.writers)
      for (let i = 0; i < synced; i++)
        assert.ok(seen.get(name)?.has(i), `seed ${this.options.seed}: line ${i} of ${name} was synced and is gone`);
    return lines.length;
  }
}

function checkOf(name: string, number: number): string {
  return createHash('sha256').update(`${name} ${number}`).digest('hex').slice(0, 8);
}

/** With the end of the line it has so many bytes. */
function lineOf(name: string, number: number, length: number): Buffer {
  const head = `${name} ${number} ${length} `;
  const tail = ` ${checkOf(name, number)}\n`;
  return Buffer.from(`${head}${'x'.repeat(length - head.length - tail.length)}${tail}`);
}
