// What a client with a journal of its own knows of the network: over a restart too, in a log that is written anew when most of it is
// outdated; when it is damaged nothing is known, and nothing else is lost.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { InfinitError, isError } from '../../../../src/core/base/errors.ts';
import { limits } from '../../../../src/core/base/limits.ts';
import { systemFiles } from '../../../../src/core/runtime/system/files.ts';
import { KnownRecords, type Records } from '../../../../src/core/tree/async/known.ts';
import { KnownLog } from '../../../../src/core/tree/async/known-log.ts';
import { World } from '../../../fakes/world.ts';

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

const key = (name: string) => Buffer.from(`e${name}`);
const [first, last] = [key('a'), key('z')];

class Scene {
  readonly folder: string;
  readonly network = new Map<string, string>();
  nowMs = 0;
  isReached = true;
  /** The network does not answer, and nobody knows yet. */
  isSilent = false;
  asked = 0;
  private readonly world = new World();

  constructor() {
    const parent = mkdtempSync(join(tmpdir(), 'infinit-known-'));
    folders.push(parent);
    this.folder = join(parent, 'known');
  }

  async open(): Promise<{ known: KnownRecords; log: KnownLog }> {
    const known = new KnownRecords({
      clock: { monotonic: () => this.nowMs },
      fetch: async (from, to) => this.fetch(from, to),
      isReached: () => this.isReached,
      isOurs: () => false,
    });
    const runtime = {
      files: systemFiles(),
      random: { bytes: (count: number) => this.world.bytes(count) },
      log: { write: () => {} },
    } as never;
    return {
      known,
      log: await KnownLog.open({ runtime, folder: this.folder, key: Buffer.alloc(32, 4), kept: () => {} }, known),
    };
  }

  bytes(): number {
    return readdirSync(this.folder).reduce((sum, name) => sum + statSync(join(this.folder, name)).size, 0);
  }

  private fetch(from: Uint8Array, to: Uint8Array): Records {
    this.asked++;
    if (this.isSilent) this.isReached = false;
    if (!this.isReached) throw new InfinitError('unavailable', 'cut');
    const entries = [...this.network]
      .map(([name, value]) => ({ key: key(name), value: Buffer.from(value) }))
      .filter((entry) => Buffer.compare(entry.key, from) >= 0 && Buffer.compare(entry.key, to) < 0)
      .sort((a, b) => Buffer.compare(a.key, b.key));
    return { entries, through: Buffer.from(to) };
  }
}

async function listed(known: KnownRecords): Promise<string> {
  const found: string[] = [];
  for await (const { node, first: from, end } of known.leaves(first, last))
    for (let i = from; i < end; i++)
      found.push(`${Buffer.from(node.keyAt(i)).subarray(1)}=${Buffer.from(node.valueAt(i))}`);
  return found.join(' ');
}

test('what was seen is believed while the network is not reached, from the moment that it does not answer', async () => {
  const scene = new Scene();
  const { known } = await scene.open();
  scene.network.set('b', '1').set('c', '2');
  assert.equal(await listed(known), 'b=1 c=2');
  scene.network.set('b', '3');
  scene.nowMs += limits.asyncKnownMs + 1;
  assert.equal(await listed(known), 'b=3 c=2');
  scene.nowMs += limits.asyncKnownMs + 1;
  scene.isSilent = true;
  assert.equal(await listed(known), 'b=3 c=2');
  assert.equal(String(await known.get(key('b'))), '3');
  assert.equal(await known.get(key('d')), undefined, 'that there is none was seen');
  await assert.rejects(known.get(key('zz')), (error) => isError(error, 'unavailable'));
});

test('after a restart it is known, with what was supposed, and without what was given up', async () => {
  const scene = new Scene();
  const { known } = await scene.open();
  scene.network.set('b', '1').set('c', '2').set('d', '3');
  assert.equal(await listed(known), 'b=1 c=2 d=3');
  await known.suppose(
    [
      { type: 'put', key: key('e'), value: Buffer.from('4') },
      { type: 'delete', key: key('b') },
      { type: 'put', key: key('c'), value: Buffer.from('5') },
    ],
    (at) => !key('c').equals(at),
  );
  // The process ends without a word.
  scene.isReached = false;
  const { known: again } = await scene.open();
  assert.equal(String(await again.get(key('e'))), '4');
  assert.equal(await again.get(key('b')), undefined);
  await assert.rejects(again.get(key('c')), (error) => isError(error, 'unavailable'), 'not known any more');
  scene.isReached = true;
  assert.equal(await listed(again), 'b=1 c=2 d=3', 'asked for again');
});

test('what is seen again as it was takes no room, and outdated pages do not stay', async () => {
  const scene = new Scene();
  const { known } = await scene.open();
  scene.network.set('b', 'x'.repeat(400_000));
  await listed(known);
  const before = scene.bytes();
  for (let i = 0; i < 5; i++) {
    scene.nowMs += limits.asyncKnownMs + 1;
    await listed(known);
  }
  assert.equal(scene.bytes(), before);
  for (let i = 0; i < 60; i++) {
    scene.network.set('b', String(i).padEnd(400_000, 'y'));
    scene.nowMs += limits.asyncKnownMs + 1;
    await listed(known);
  }
  assert.ok(scene.bytes() < 3 * limits.asyncSegmentBytes, `${scene.bytes()}`);
  scene.isReached = false;
  const { known: again } = await scene.open();
  assert.equal((await listed(again)).slice(0, 4), 'b=59');
});

test('a damaged log is begun anew: nothing is known', async () => {
  const scene = new Scene();
  const { known, log } = await scene.open();
  scene.network.set('b', '1');
  await listed(known);
  await log.close();
  const [name] = readdirSync(scene.folder);
  const path = join(scene.folder, name as string);
  const damaged = readFileSync(path);
  damaged[20] = (damaged[20] as number) ^ 1;
  writeFileSync(path, damaged);
  scene.isReached = false;
  const { known: again } = await scene.open();
  await assert.rejects(listed(again), (error) => isError(error, 'unavailable'));
  scene.isReached = true;
  assert.equal(await listed(again), 'b=1');
});
