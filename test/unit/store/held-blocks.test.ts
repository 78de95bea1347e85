// What a holder keeps: generations as a maximum, copies found rotten count as missing until a good one replaces them, deletion
// only by agreement.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { concatBytes, equalBytes, toHex, u32Bytes } from '../../../src/core/base/bytes.ts';
import { InfinitError, isError } from '../../../src/core/base/errors.ts';
import { type Address, blockAddress } from '../../../src/core/block/address.ts';
import { encodeImmutable } from '../../../src/core/block/immutable.ts';
import { openSilo } from '../../../src/core/silo/registry.ts';
import { HeldBlocks } from '../../../src/core/store/held-blocks.ts';
import { testRuntime } from './nodes.ts';

async function holder() {
  const silo = await openSilo({ type: 'memory' }, testRuntime);
  const held = new HeldBlocks(silo);
  const changes: [string, number | undefined][] = [];
  held.events.on('changed', ({ address, generation }) => changes.push([toHex(address), generation]));
  const block = encodeImmutable(Buffer.alloc(16, 7), 'clear', [randomBytes(500)]);
  const address: Address = blockAddress(block);
  const rot = () => silo.put('block', address, concatBytes([u32Bytes(2), randomBytes(block.length)]));
  return { silo, held, block, address, changes, rot };
}

test('the generation of a block is the highest it was put or touched with, also for who asks for the block', async () => {
  const { held, block, address, changes } = await holder();
  assert.equal(await held.touch(address, 3), false);
  assert.equal(await held.generation(address), undefined);
  await held.put(address, block, 2);
  assert.equal(await held.touch(address, 9), true);
  assert.equal(await held.touch(address, 5), true);
  await held.put(address, block, 4);
  assert.equal(await held.generation(address), 9);
  assert.equal((await held.get(address)).generation, 9);
  assert.deepEqual(changes, [
    [toHex(address), 2],
    [toHex(address), 9],
  ]);
});

test('a rotten copy counts as missing, stays, and is replaced by a good one with what was touched', async () => {
  const { silo, held, block, address, changes, rot } = await holder();
  await held.put(address, block, 2);
  await held.touch(address, 6);
  assert.deepEqual(await held.verify(address), { sound: true, bytes: block.length });
  await rot();
  assert.equal(await held.has(address), true, 'nobody has looked yet');
  assert.equal((await held.verify(address)).sound, false);
  assert.equal(await held.has(address), false);
  assert.equal(await held.touch(address, 7), false);
  assert.equal(held.badCopies, 1);
  assert.ok((await silo.size('block', address)) !== undefined, 'the bad copy is not thrown away');
  await held.put(address, block, 3);
  assert.equal(held.badCopies, 0);
  const got = await held.get(address);
  assert.ok(equalBytes(got.block, block));
  assert.equal(got.generation, 6);
  assert.deepEqual(
    changes.map(([, generation]) => generation),
    [2, 6, undefined, 6],
  );
});

test('a copy whose generation nobody can read counts as missing, is told, and is replaced', async () => {
  const { silo, held, block, address } = await holder();
  await held.put(address, block, 2);
  await held.touch(address, 6);
  const bad: string[] = [];
  held.events.on('bad', (which) => bad.push(toHex(which)));
  const get = silo.get.bind(silo);
  silo.get = async (space, key) => {
    if (space === 'generation') throw new InfinitError('corrupt', 'a stored generation fails its checksum');
    return get(space, key);
  };
  assert.equal(await held.confirm(address, 2), false);
  assert.equal(await held.generation(address), undefined);
  assert.deepEqual([bad, held.badCopies], [[toHex(address)], 1]);
  await held.put(address, block, 3);
  silo.get = get;
  assert.deepEqual([await held.generation(address), held.badCopies], [3, 0]);
});

test('a block goes only when it is agreed to with the generation it has then', async () => {
  const { silo, held, block, address } = await holder();
  assert.equal(await held.drop(address, () => true), false, 'there is nothing');
  await held.put(address, block, 2);
  assert.equal(await held.drop(address, (generation) => generation < 2), false);
  const touched = held.touch(address, 8);
  const dropped = held.drop(address, (generation) => generation < 8);
  assert.equal(await touched, true);
  assert.equal(await dropped, false, 'the touch was first');
  assert.equal(await held.drop(address, (generation) => generation === 8), true);
  assert.equal(await silo.size('generation', address), undefined);
  assert.equal(await held.has(address), false);
  await assert.rejects(held.get(address), (error: unknown) => isError(error, 'not-found'));
  await held.put(address, block, 1);
  assert.equal(await held.generation(address), 1, 'nothing of the former life is left');
});
