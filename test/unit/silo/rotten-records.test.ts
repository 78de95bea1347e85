// One bit of one record flips on the disk, in each field of its header or in its value, while the silo is open or before it is opened
// again. What it was is never answered wrongly, and never as if it had not been: it is `corrupt`, and in the lists that scrub goes by.

import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { toHex } from '../../../src/core/base/bytes.ts';
import { recordHeaderBytes } from '../../../src/core/silo/entries.ts';
import { openFilesystemSilo } from '../../../src/core/silo/filesystem/filesystem.ts';
import type { LogSilo } from '../../../src/core/silo/filesystem/log-silo.ts';
import { type Silo, type Space, spaces } from '../../../src/core/silo/silo.ts';
import { fails, keyOf, keysOf } from '../../conformance/silo.ts';
import { siloRuntime } from './runtime.ts';

const root = await fs.mkdtemp(join(tmpdir(), 'infinit-rot-'));
after(() => fs.rm(root, { recursive: true, force: true }));
let folders = 0;

/** Where each field of a record begins (docs/formats-silo.md), and a place in its value. */
const parts = {
  ...{ magic: 0, flags: 4, space: 5, flush: 9, opening: 15, serial: 19, length: 23, sequence: 29, zeros: 31 },
  ...{ 'key, first byte': 32, key: 50, 'checksum of the value': 64, 'checksum of the header': 71 },
  ...{ value: recordHeaderBytes + 40, 'last byte of the value': recordHeaderBytes + 99 },
};
const fields = Object.entries(parts);
const kept: readonly Space[] = ['block', 'register', 'journal', 'meta'];
const neighbours = ['before', 'behind', 'last'];
const sample = (name: string) => Buffer.alloc(100, `value ${name};`);

function open(path: string): Promise<LogSilo> {
  return openFilesystemSilo({ type: 'filesystem', path, capacity: 4 << 20 }, siloRuntime()) as Promise<LogSilo>;
}

/** A silo with these values in each space, each in a flush of its own. */
async function filled(names: readonly string[]) {
  const path = join(root, String(folders++));
  const silo = await open(path);
  for (const name of names) for (const space of kept) await silo.put(space, keyOf(name), sample(name));
  return { path, silo };
}

/** As a crash leaves it. */
async function copied(path: string): Promise<string> {
  const copy = join(root, String(folders++));
  await fs.mkdir(copy);
  for (const name of await fs.readdir(path))
    if (!name.startsWith('lock')) await fs.copyFile(join(path, name), join(copy, name));
  return copy;
}

/** Flips a bit of the record of that value, at each place in it. */
async function rot(path: string, space: Space, name: string, ...places: number[]): Promise<void> {
  for (const segment of (await fs.readdir(path)).filter((file) => file.startsWith('segment-'))) {
    const bytes = await fs.readFile(join(path, segment));
    let start = bytes.indexOf(keyOf(name));
    while (start >= 0 && bytes[start - 27] !== spaces.indexOf(space)) start = bytes.indexOf(keyOf(name), start + 1);
    if (start < 0) continue;
    const handle = await fs.open(join(path, segment), 'r+');
    for (const at of places.map((place) => start - 32 + place))
      await handle.write(Buffer.of((bytes[at] as number) ^ (1 << (at % 8))), 0, 1, at);
    await handle.close();
    return;
  }
  throw new Error(`no ${space} ${name} on the disk`);
}

async function isKnownToBeRotten(silo: Silo, space: Space, name: string): Promise<void> {
  await fails('corrupt', silo.get(space, keyOf(name)));
  await fails('corrupt', silo.verify(space, keyOf(name)));
  assert.equal(await silo.size(space, keyOf(name)), 100);
}

async function areSound(silo: Silo, space: Space, names: readonly string[]): Promise<void> {
  for (const name of names) assert.ok(sample(name).equals(await silo.get(space, keyOf(name))));
}

describe('a bit of a record that rots', () => {
  it('in any field is known while the silo is open, and after it was closed and opened again', async () => {
    const names = fields.map(([name]) => name);
    const { path, silo } = await filled([...names, ...neighbours]);
    for (const space of kept) for (const [name, at] of fields) await rot(path, space, name, at);
    const look = async (opened: Silo) => {
      for (const space of kept) {
        for (const name of names) await isKnownToBeRotten(opened, space, name);
        await areSound(opened, space, neighbours);
        const all = [...names, ...neighbours].map((name) => toHex(keyOf(name)));
        assert.deepEqual(await keysOf(opened, space), all.sort(), 'whoever goes by lists meets them');
      }
    };
    await look(silo);
    await silo.close();
    const again = await open(path);
    assert.deepEqual(again.storeId, silo.storeId, 'it knows what it lost, so it keeps its name');
    await look(again);
    for (const space of kept) {
      for (const name of names) await again.put(space, keyOf(name), sample(name));
      await areSound(again, space, [...names, ...neighbours]);
    }
    await again.close();
  });

  it('in any field, when the index is made anew from the log after a crash, costs the silo its name', async () => {
    const { path, silo } = await filled(['rotten', ...neighbours]);
    for (const [i, [field, at]] of fields.entries()) {
      const crashed = await copied(path);
      const space = kept[i % kept.length] as Space;
      await rot(crashed, space, 'rotten', at);
      const again = await open(crashed);
      assert.notDeepEqual(again.storeId, silo.storeId, field);
      await fails('not-found', again.get(space, keyOf('rotten')));
      for (const other of kept) await areSound(again, other, neighbours);
      await again.close();
    }
    await silo.close();
  });

  it('twice in one key leaves nothing that could be listed; whoever asks by the key is told', async () => {
    const { path, silo } = await filled(['rotten', ...neighbours]);
    await rot(path, 'register', 'rotten', 40, 41);
    await isKnownToBeRotten(silo, 'register', 'rotten');
    assert.deepEqual(await keysOf(silo, 'register'), neighbours.map((name) => toHex(keyOf(name))).sort());
    await silo.close();
  });
});
