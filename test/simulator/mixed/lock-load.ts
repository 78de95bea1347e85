// Load on locks while faults happen: clients lock places of two files of a volume, one by flock and one by fcntl, read and write
// there, and let go, or die holding them. `watch/locks.ts` judges.

import { concatBytes, utf8 } from '../../../src/core/base/bytes.ts';
import { InfinitError, isError } from '../../../src/core/base/errors.ts';
import type { LockRange, Tree } from '../../../src/core/tree/tree.ts';
import { type Files, type LockOwner, rootInode } from '../../../src/core/volume/files/files.ts';
import type { Life } from '../runtime/host.ts';
import type { SeededRandom } from '../runtime/random.ts';
import type { Grant, LockChecker } from '../watch/locks.ts';

const placeBytes = 32;
const rangePlaces = 2;
const patienceMs = 10_000;

interface Place {
  name: string;
  file: string;
  space: LockOwner['space'];
  at: number;
}

const places: readonly Place[] = [
  { name: 'whole', file: 'flock', space: 'whole', at: 0 },
  ...Array.from({ length: rangePlaces }, (_, i) => ({
    name: `range ${i}`,
    file: 'fcntl',
    space: 'range' as const,
    at: i * placeBytes,
  })),
];

/** A client of the volume, in one life of its process. */
export interface LockClient {
  name: string;
  life: Life;
  tree: Tree;
  files: Files;
  sleep: (timeMs: number) => Promise<void>;
}

export class LockLoad {
  answered = 0;
  private readonly random: SeededRandom;
  private readonly checker: LockChecker;
  private written = 0;
  private owners = 0n;

  constructor(random: SeededRandom, checker: LockChecker) {
    this.random = random;
    this.checker = checker;
  }

  /** Makes the files; by one client, before the others begin. */
  async found({ files }: LockClient): Promise<void> {
    for (const file of new Set(places.map((place) => place.file))) {
      const node = { type: 'file', mode: 0o644, uid: 0, gid: 0 } as const;
      const { inode } = await files.make(rootInode, utf8(file), node);
      files.open(inode);
      for (const place of places.filter((one) => one.file === file)) {
        await files.write(inode, place.at, textBytes('begin'));
        this.checker.begin(place.name, 'begin');
      }
      await files.sync(inode);
      await files.close(inode);
    }
  }

  async work(client: LockClient, goOn: () => boolean, pauseMs: number): Promise<void> {
    const inodes = new Map<string, number>();
    while (goOn()) {
      await client.sleep(this.random.below(2 * pauseMs));
      if (!goOn()) return;
      const place = places[this.random.below(places.length)] as Place;
      try {
        const inode = inodes.get(place.file) ?? (await client.files.lookup(rootInode, utf8(place.file))).inode;
        inodes.set(place.file, inode);
        await this.turn(client, place, inode);
        this.answered++;
      } catch (error) {
        if (!isError(error, 'unavailable', 'cancelled', 'conflict', 'lost', 'full')) throw error;
        this.checker.options.coverage.reach(`lock/refused: ${error.kind}`);
      }
    }
  }

  /** Locks, reads, perhaps writes, lets go. */
  private async turn(client: LockClient, place: Place, inode: number): Promise<void> {
    const { files } = client;
    const exclusive = this.random.below(4) > 0;
    const by: LockOwner = { space: place.space, owner: ++this.owners };
    const grant = await this.lock(client, place, inode, { exclusive, by });
    files.open(inode);
    try {
      await this.use(client, place, inode, grant);
    } finally {
      this.checker.over(grant);
      await files.close(inode);
      await files.unlock(inode, by, rangeOf(place, exclusive));
    }
  }

  private async lock(
    { files, tree, life, name }: LockClient,
    place: Place,
    inode: number,
    { exclusive, by }: { exclusive: boolean; by: LockOwner },
  ): Promise<Grant> {
    const waiting = new AbortController();
    const enough = () => waiting.abort(new InfinitError('cancelled', 'waited long enough'));
    const cancel = life.runtime.clock.after(patienceMs, enough);
    const wait = this.random.below(3) > 0;
    try {
      await files.lock(inode, by, rangeOf(place, exclusive), { wait, signal: waiting.signal });
    } finally {
      cancel();
    }
    const grant: Grant = {
      place: place.name,
      by: `${name}.${by.owner}`,
      exclusive,
      isSuspended: () => life.host.isPaused || (tree.status().role === 'leader' && tree.leaseMs() === 0),
      believes: () => life.alive && tree.locks.holds({ ...by, resource: inode }) && !tree.locks.isLost(inode),
      overtaken: undefined,
    };
    this.checker.granted(grant);
    return grant;
  }

  private async use({ files, sleep }: LockClient, place: Place, inode: number, grant: Grant): Promise<void> {
    const text = textOf(concatBytes(await files.read(inode, place.at, placeBytes)));
    if (!this.checker.relied(grant)) return;
    this.checker.read(grant, text);
    await sleep(this.random.below(1_500));
    if (!grant.exclusive || !this.checker.relied(grant)) return;
    const next = `${grant.by} ${++this.written}`;
    const durable = this.checker.writing(grant, next);
    await files.write(inode, place.at, textBytes(next));
    // What only left the client goes with its leader, unless somebody else has seen it: then either may stand there.
    if (this.random.below(4) === 0) return files.flush(inode);
    await files.sync(inode);
    durable();
  }
}

function rangeOf({ space, at }: Place, exclusive: boolean): LockRange {
  const from = BigInt(space === 'whole' ? 0 : at);
  const to = space === 'whole' ? 2n ** 63n : from + BigInt(placeBytes);
  return { from, to, mode: exclusive ? 'exclusive' : 'shared', pid: 1 };
}

function textBytes(text: string): Buffer {
  return utf8(text.padEnd(placeBytes));
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString().trim();
}
