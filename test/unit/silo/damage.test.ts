// Folders that a broken disk or somebody hostile left: whatever stands in the files, opening gives a typed error or a silo,
// and a silo gives back what was put or an error, never other bytes.

import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import { InfinitError, isError } from '../../../src/core/base/errors.ts';
import { clearFilesystemSilo, openFilesystemSilo } from '../../../src/core/silo/filesystem/filesystem.ts';
import type { LogSilo } from '../../../src/core/silo/filesystem/log-silo.ts';
import type { Silo } from '../../../src/core/silo/silo.ts';
import { fails, keyOf, keysOf } from '../../conformance/silo.ts';
import { siloRuntime } from './runtime.ts';

const root = await fs.mkdtemp(join(tmpdir(), 'infinit-damage-'));
after(() => fs.rm(root, { recursive: true, force: true }));
let folders = 0;
const capacity = 4 * 1024 * 1024;

async function open(path: string): Promise<LogSilo> {
  return (await openFilesystemSilo({ type: 'filesystem', path, capacity }, siloRuntime())) as LogSilo;
}

function sampleValue(i: number): Buffer {
  return Buffer.alloc(100 + ((i * 977) % 9000), `value ${i};`);
}

/** A folder with a checkpoint, a tail behind it, replaced and deleted values; as a crash leaves it when not closed. */
async function sample(): Promise<string> {
  const path = join(root, String(folders++));
  let silo = await open(path);
  for (let i = 0; i < 30; i++) await silo.put('block', keyOf(i), sampleValue(i));
  await silo.close();
  silo = await open(path);
  for (let i = 30; i < 60; i++) await silo.put('block', keyOf(i), sampleValue(i));
  await silo.delete('block', keyOf(3));
  await copyFolder(path, `${path}-crashed`);
  await silo.close();
  return `${path}-crashed`;
}

async function copyFolder(from: string, to: string): Promise<void> {
  await fs.mkdir(to);
  for (const name of await fs.readdir(from)) {
    if (!name.startsWith('lock')) await fs.copyFile(join(from, name), join(to, name));
  }
}

/** Every value is right, missing or corrupt; returns how many are right. */
async function checkValues(silo: Silo): Promise<number> {
  let right = 0;
  for (let i = 0; i < 60; i++) {
    try {
      assert.ok(sampleValue(i).equals(await silo.get('block', keyOf(i))), `wrong bytes for ${i}`);
      right++;
    } catch (error) {
      if (!isError(error, 'not-found', 'corrupt')) throw error;
    }
  }
  await keysOf(silo, 'block');
  return right;
}

async function flip(path: string, position: number, mask: number, bytes = 1): Promise<void> {
  const handle = await fs.open(path, 'r+');
  const buffer = Buffer.alloc(bytes);
  await handle.read(buffer, 0, bytes, position);
  for (let i = 0; i < bytes; i++) buffer[i] = (buffer[i] ?? 0) ^ mask;
  await handle.write(buffer, 0, bytes, position);
  await handle.close();
}

/** The last place in the segments, in the order of the log, where the bytes stand. */
async function findLast(path: string, bytes: Buffer): Promise<{ file: string; position: number }> {
  const names = (await fs.readdir(path)).filter((name) => name.startsWith('segment-')).sort();
  for (const name of names.reverse()) {
    const file = join(path, name);
    const position = (await fs.readFile(file)).lastIndexOf(bytes);
    if (position >= 0) return { file, position };
  }
  throw new Error('not in the segments');
}

const pristine = await sample();

async function damaged(): Promise<string> {
  const path = join(root, String(folders++));
  await copyFolder(pristine, path);
  return path;
}

describe('a damaged silo', () => {
  it('is whole when nothing happened to it', async () => {
    const silo = await open(await damaged());
    assert.equal(await checkValues(silo), 59);
    assert.equal(silo.replacedStoreId, undefined);
    assert.equal(silo.sequence(), 61);
    await silo.close();
  });

  it('reads back a tail of many windows, records over their edges too', async () => {
    const path = join(root, 'long');
    const config = { type: 'filesystem', path };
    const silo = await openFilesystemSilo(config, siloRuntime());
    await Promise.all(
      Array.from({ length: 3000 }, (_, i) => silo.put('block', keyOf(i), Buffer.alloc(1 + (i % 1500), i))),
    );
    await copyFolder(path, `${path}-crashed`);
    await silo.close();
    const again = await openFilesystemSilo({ ...config, path: `${path}-crashed` }, siloRuntime());
    assert.equal(again.usage().entries, 3000);
    for (let i = 0; i < 3000; i++)
      assert.ok((await again.get('block', keyOf(i))).equals(Buffer.alloc(1 + (i % 1500), i)));
    await again.close();
  });

  it('takes a torn tail for the end of the log', async () => {
    const path = await damaged();
    // The deletion was the last change.
    const { file, position } = await findLast(path, keyOf(3));
    await flip(file, position, 0xff);
    const silo = await open(path);
    assert.equal(silo.replacedStoreId, undefined);
    assert.equal((await silo.get('block', keyOf(3))).length, sampleValue(3).length, 'the deletion was torn off');
    await silo.put('block', keyOf('new'), Buffer.from('after the crash'));
    await silo.close();
    const again = await open(path);
    assert.equal((await again.get('block', keyOf('new'))).toString(), 'after the crash');
    assert.equal(again.replacedStoreId, undefined);
    await again.close();
  });

  it('becomes another silo when something acknowledged is missing', async () => {
    const path = await damaged();
    const { file, position } = await findLast(path, keyOf(45));
    await flip(file, position, 1);
    const silo = await open(path);
    assert.ok(silo.replacedStoreId);
    assert.notDeepEqual(silo.storeId, silo.replacedStoreId);
    assert.equal(await checkValues(silo), 58);
    await silo.close();
    const again = await open(path);
    assert.deepEqual(again.storeId, silo.storeId);
    assert.equal(again.replacedStoreId, undefined);
    await again.close();
  });

  it('is read in full when its checkpoints are gone', async () => {
    const path = await damaged();
    await fs.rm(join(path, 'checkpoint-0'), { force: true });
    await fs.rm(join(path, 'checkpoint-1'), { force: true });
    const silo = await open(path);
    assert.ok(silo.replacedStoreId);
    assert.equal(await checkValues(silo), 59);
    await silo.close();
  });

  it('refuses a damaged superblock and folders of others', async () => {
    const path = await damaged();
    await flip(join(path, 'silo.json'), 30, 1);
    await fails('corrupt', open(path));
    await clearFilesystemSilo({ type: 'filesystem', path }, siloRuntime());
    const silo = await open(path);
    assert.equal(silo.usage().entries, 0);
    await fails('exists', open(path));
    await fails('exists', clearFilesystemSilo({ type: 'filesystem', path }, siloRuntime()));
    await silo.close();
    const strange = join(root, 'strange');
    await fs.mkdir(strange);
    await fs.writeFile(join(strange, 'letter.txt'), 'mine');
    await fails('corrupt', open(strange));
    await fails('corrupt', clearFilesystemSilo({ type: 'filesystem', path: strange }, siloRuntime()));
    assert.deepEqual(await fs.readdir(strange), ['letter.txt']);
  });

  it('gives an error or right bytes whatever is changed', async (context) => {
    let [opened, refused, replaced] = [0, 0, 0];
    const names = (await fs.readdir(pristine)).sort();
    const damage = fc.record({
      name: fc.constantFrom(...names),
      place: fc.oneof(fc.double({ min: 0, max: 0.9999, noNaN: true }), fc.double({ min: 0, max: 0.001, noNaN: true })),
      mask: fc.integer({ min: 1, max: 255 }),
      bytes: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 20_000 })),
      cut: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 4 }), async (list) => {
        const path = await damaged();
        for (const { name, place, mask, bytes, cut } of list) {
          const file = join(path, name);
          const { size } = await fs.stat(file);
          const position = Math.floor(place * size);
          if (cut) await fs.truncate(file, position);
          else if (position < size) await flip(file, position, mask, Math.min(bytes, size - position));
        }
        try {
          const silo = await open(path);
          opened++;
          if (silo.replacedStoreId) replaced++;
          await checkValues(silo);
          await silo.put('block', keyOf('new'), Buffer.from('still takes changes'));
          await silo.close();
          const again = await open(path);
          assert.equal((await again.get('block', keyOf('new'))).toString(), 'still takes changes');
          await checkValues(again);
          await again.close();
        } catch (error) {
          if (!(error instanceof InfinitError) || error.kind === 'internal') throw error;
          refused++;
        }
        await fs.rm(path, { recursive: true, force: true });
      }),
      { numRuns: 40 },
    );
    assert.ok(opened > 5);
    context.diagnostic(`${opened} opened, of them ${replaced} as another silo; ${refused} refused`);
  });
});
