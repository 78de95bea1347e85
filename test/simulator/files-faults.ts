// Several mounts' worth of clients of one volume while they crash, pause, are cut off and have wrong clocks: each writes its own
// file and syncs it, all read all files. Checked: what a sync has promised is never lost and seen by every read that begins after
// it (docs/protocols.md L1, L2, L4, L8), no read shows what was not written or is torn, a sync that failed is told once.

import { encode, u64 } from '../../src/core/base/codec.ts';
import { isError } from '../../src/core/base/errors.ts';
import type { Handler, Method, Peers } from '../../src/core/peer/peer.ts';
import { treeInvalidate } from '../../src/core/tree/messages.ts';
import { rootInode } from '../../src/core/volume/files/files.ts';
import type { FakePeers } from '../fakes/fake-peers.ts';
import { type FilesClient, FilesWorld } from '../fakes/files-world.ts';

/** `early`: a journal that says it holds what it does not. `deaf`: followers that say they forgot, and do not. */
export type PlantedInFiles = 'early' | 'deaf';

export interface FilesFaultsResult {
  synced: number;
  failed: number;
  reads: number;
  epochs: number;
}

const pageBytes = 512;
const pages = 4;
const clientsAtOnce = 4;
const none = () => Array<number>(pages).fill(0);

interface Owned {
  inode: number;
  /** Of each page: written last, and promised by a sync. */
  written: number[];
  promised: number[];
  /** Up to these a failed sync has said that they may be lost: the next one says nothing of them. */
  doubtful: number[];
}

export async function runFilesUnderFaults(seed: number, planted?: PlantedInFiles): Promise<FilesFaultsResult> {
  const run = new Run(seed, planted);
  await run.begin();
  await run.harm(90_000);
  return run.end();
}

class Run {
  private readonly world: FilesWorld;
  private readonly planted: PlantedInFiles | undefined;
  private readonly owned: Owned[] = [];
  private readonly alive = new Set<FilesClient>();
  private readonly result: FilesFaultsResult = { synced: 0, failed: 0, reads: 0, epochs: 0 };
  private names = 0;
  private isOver = false;

  constructor(seed: number, planted: PlantedInFiles | undefined) {
    this.world = new FilesWorld({ seed, delayMs: [1, 20] });
    this.planted = planted;
  }

  async begin(): Promise<void> {
    await this.world.found();
    for (let i = 0; i < clientsAtOnce; i++) await this.join();
    this.world.trees.cluster.appendsEarly = this.planted === 'early';
  }

  /** Faults for so long. */
  async harm(timeMs: number): Promise<void> {
    const { world } = this.world.trees;
    const until = world.now + timeMs;
    world.loss = 0.003;
    while (world.now < until) {
      await world.run(500 + world.below(6000));
      const clients = [...this.alive];
      const leader = clients.find(({ opened }) => opened.tree.status().role === 'leader');
      const any = clients[world.below(clients.length)] as FilesClient;
      const one = world.fraction() < 0.5 ? (leader ?? any) : any;
      const { process } = one.opened;
      const dice = world.fraction();
      if (dice < 0.25) {
        this.alive.delete(one);
        process.crash();
        await this.join();
      } else if (dice < 0.55) {
        process.pause();
        await world.run(world.below(12_000));
        process.resume();
      } else if (dice < 0.85) {
        const others = [
          ...clients.map(({ opened }) => opened.process.name),
          ...this.world.trees.cluster.storages.map((s) => s.name),
        ];
        for (const other of others) if (world.fraction() < 0.6) world.cut(process.name, other, world.fraction() < 0.7);
        await world.run(world.below(12_000));
        world.heal();
      }
    }
    world.loss = 0;
    world.heal();
  }

  /** Calm; all that was promised is there. */
  async end(): Promise<FilesFaultsResult> {
    this.isOver = true;
    const { trees } = this.world;
    await trees.world.run(90_000);
    for (const client of this.alive) {
      for (const file of this.owned)
        for (let page = 0; page < pages; page++) await trees.world.until(this.read(client, file, page));
    }
    this.result.epochs = trees.root.epoch;
    return this.result;
  }

  private async join(): Promise<void> {
    const { trees } = this.world;
    const name = `client${this.names++}`;
    const client = await this.world.open(name, this.planted === 'deaf' ? { hears: deaf } : {});
    const { process } = client.opened;
    process.clockRate = 0.99 + 0.02 * trees.world.fraction();
    this.alive.add(client);
    const node = { type: 'file', mode: 0o644, uid: 0, gid: 0 } as const;
    const making = client.files.make(rootInode, Buffer.from(name), node);
    const { inode } = await trees.world.until(making, 300_000);
    const file: Owned = { inode, written: none(), promised: none(), doubtful: none() };
    this.owned.push(file);
    client.files.open(inode);
    const guarded = (task: Promise<void>) => task.catch((error: unknown) => trees.world.fail(error));
    void guarded(this.write(client, file));
    for (let i = 0; i < 2; i++) void guarded(this.readOn(client));
  }

  private async write({ files, opened }: FilesClient, file: Owned): Promise<void> {
    const { clock, random } = opened.process.runtime;
    while (!this.isOver) {
      const page = random.below(pages);
      const version = (file.written[page] as number) + 1;
      try {
        file.written[page] = version;
        await files.write(file.inode, page * pageBytes, contentOf(version));
        if (random.below(3) === 0) await this.sync(files, file);
      } catch (error) {
        if (!isError(error, 'unavailable', 'lost')) throw error;
        file.doubtful = [...file.written];
        this.result.failed++;
      }
      await clock.sleep(random.below(400));
    }
  }

  private async sync(files: FilesClient['files'], file: Owned): Promise<void> {
    const written = [...file.written];
    await files.sync(file.inode);
    for (const [page, version] of written.entries())
      if (version > (file.doubtful[page] as number))
        file.promised[page] = Math.max(file.promised[page] as number, version);
    this.result.synced++;
  }

  private async readOn(client: FilesClient): Promise<void> {
    const { clock, random } = client.opened.process.runtime;
    while (!this.isOver) {
      const file = this.owned[random.below(this.owned.length)] as Owned;
      try {
        await this.read(client, file, random.below(pages));
      } catch (error) {
        if (!isError(error, 'unavailable', 'lost')) throw error;
      }
      await clock.sleep(random.below(150));
    }
  }

  private async read({ files, opened }: FilesClient, file: Owned, page: number): Promise<void> {
    const promised = file.promised[page] as number;
    const parts = await files.read(file.inode, page * pageBytes, pageBytes);
    const written = file.written[page] as number;
    const found = versionOf(Buffer.concat(parts));
    const where = `${opened.process.name} reads page ${page} of inode ${file.inode}`;
    if (found === undefined) throw new Error(`${where}: it is torn`);
    if (found < promised) throw new Error(`${where}: version ${found}, and ${promised} was synced before`);
    if (found > written) throw new Error(`${where}: version ${found}, and ${written} was the last written`);
    this.result.reads++;
  }
}

function contentOf(version: number): Buffer {
  return Buffer.concat(Array<Buffer>(pageBytes / 8).fill(encode(u64, version)));
}

/** Nothing when it is not one version; what was never written is version 0. */
function versionOf(page: Buffer): number | undefined {
  if (page.length === 0) return 0;
  const first = Number(page.readBigUInt64BE(0));
  return page.length === pageBytes && page.equals(contentOf(first)) ? first : undefined;
}

function deaf(peers: FakePeers): Peers {
  return new Proxy<Peers>(peers, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      if (name !== 'serve') return typeof value === 'function' ? value.bind(target) : value;
      return <Q, R>(method: Method<Q, R>, handler: Handler<Q, R>) =>
        peers.serve<Q, R>(method, (method as unknown) === treeInvalidate ? () => ({}) as R : handler);
    },
  });
}
