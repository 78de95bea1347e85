// Disks under a mirror that can be spoiled, broken and looked at from outside, and a clock that tests rule.

import fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { InfinitError, isError } from '../../../src/core/base/errors.ts';
import type { Runtime } from '../../../src/core/runtime/runtime.ts';
import { openFilesystemSilo } from '../../../src/core/silo/filesystem/filesystem.ts';
import { openMirror } from '../../../src/core/silo/filters/mirror/mirror.ts';
import { passing } from '../../../src/core/silo/passing.ts';
import type { Silo, SiloConfig, SiloKey, SiloSurroundings } from '../../../src/core/silo/silo.ts';
import { keysOf } from '../../conformance/silo.ts';
import { siloRuntime } from './runtime.ts';

const root = await fs.mkdtemp(join(tmpdir(), 'infinit-mirror-'));
after(() => fs.rm(root, { recursive: true, force: true }));

type Trouble = 'unavailable' | 'full';

/** A device under a mirror: a folder, whose silo can be looked at, spoiled and broken from outside. */
export class Disk {
  readonly config: SiloConfig;
  /** What is kept there, seen past the mirror. */
  silo!: Silo;
  trouble: Trouble | undefined;
  private readonly rotten = new Set<string>();

  constructor(path: string) {
    this.config = { type: 'filesystem', path };
  }

  async open(runtime: Runtime): Promise<Silo> {
    if (this.trouble === 'unavailable') throw this.failure();
    this.silo = await openFilesystemSilo(this.config, runtime);
    const { silo } = this;
    return passing(silo, {
      get: async (space, key, options) => {
        if (this.rotten.has(hex(key))) throw new InfinitError('corrupt', 'rotten');
        return silo.get(space, key, options);
      },
      verify: async (space, key) => {
        if (this.rotten.has(hex(key))) throw new InfinitError('corrupt', 'rotten');
        return silo.verify(space, key);
      },
      put: (space, key, value) => this.changed([key], () => silo.put(space, key, value)),
      delete: (space, key) => this.changed([key], () => silo.delete(space, key)),
      batch: (entries) =>
        this.changed(
          entries.map(({ key }) => key),
          () => silo.batch(entries),
        ),
    });
  }

  rot(key: SiloKey): void {
    this.rotten.add(hex(key));
  }

  private async changed(keys: readonly SiloKey[], change: () => Promise<void>): Promise<void> {
    if (this.trouble !== undefined) throw this.failure();
    await change();
    for (const key of keys) this.rotten.delete(hex(key));
  }

  private failure(): InfinitError {
    return new InfinitError(this.trouble ?? 'unavailable', `the disk is ${this.trouble}`);
  }
}

let benches = 0;

/** Disks, the mirror over them, and its clock. */
export class Bench {
  readonly disks: Disk[];
  readonly runtime = siloRuntime();
  mirror!: Silo;
  private readonly due: (() => void)[] = [];

  constructor(count = 2) {
    const bench = benches++;
    this.disks = Array.from({ length: count }, (_, at) => new Disk(join(root, `${bench}-${at}`)));
  }

  static async opened(count = 2): Promise<Bench> {
    const bench = new Bench(count);
    await bench.open();
    return bench;
  }

  disk(at: number): Disk {
    return this.disks[at] as Disk;
  }

  async open(backend: readonly SiloConfig[] = this.disks.map(({ config }) => config)): Promise<Silo> {
    const clock = { ...this.runtime.clock, after: (_ms: number, task: () => void) => this.later(task) };
    const runtime: Runtime = { ...this.runtime, clock };
    const around: SiloSurroundings = {
      runtime,
      secrets: async () => ({}),
      folder: undefined,
      addedBytes: 0,
      open: async (config) => {
        const disk = this.disks.find((one) => one.config.path === config.path);
        if (disk === undefined) throw new InfinitError('usage', 'no such disk');
        return disk.open(this.runtime);
      },
      clear: async () => {},
    };
    this.mirror = await openMirror({ type: 'mirror', backend } as SiloConfig, around);
    return this.mirror;
  }

  /** What waits for its time to come. */
  async tick(): Promise<void> {
    for (const task of this.due.splice(0)) task();
  }

  async reopen(): Promise<Silo> {
    await this.mirror.close();
    return this.open();
  }

  /** As after a kill: nothing is said to the mirror, its silos are let go. */
  async crash(): Promise<void> {
    for (const { silo } of this.disks) await silo?.close();
  }

  async contents(at: number): Promise<Record<string, string>> {
    const found: Record<string, string> = {};
    for (const space of ['block', 'register', 'journal'] as const)
      for (const key of await keysOf(this.disk(at).silo, space))
        found[`${space}/${key.slice(0, 8)}`] = (
          await this.disk(at).silo.get(space, Buffer.from(key, 'hex'))
        ).toString();
    return found;
  }

  /** Whether all disks have the same now; one that is being opened again has nothing to show. */
  async equal(): Promise<boolean> {
    try {
      const [first, ...others] = await Promise.all(this.disks.map((_, at) => this.contents(at)));
      return others.every((one) => JSON.stringify(one) === JSON.stringify(first));
    } catch (error) {
      if (isError(error, 'unavailable') || isError(error, 'not-found')) return false;
      throw error;
    }
  }

  private later(task: () => void): () => void {
    this.due.push(task);
    return () => this.due.splice(0, this.due.length, ...this.due.filter((one) => one !== task));
  }
}

function hex(key: SiloKey): string {
  return Buffer.from(key).toString('hex');
}
