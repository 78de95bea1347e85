// When the watcher of blocks calls a swept block lost (docs/protocols.md 5): sweeps take single copies at different times, so a
// copy that went says nothing of a block that was marked since, and everything of one that was not.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { concatBytes, toHex, u32Bytes } from '../../src/core/base/bytes.ts';
import { encode } from '../../src/core/base/codec.ts';
import { blockAddress } from '../../src/core/block/address.ts';
import { encodeImmutable, treeTagOf } from '../../src/core/block/immutable.ts';
import { BaseTree } from '../../src/core/tree/base/base-tree.ts';
import { NodeStore } from '../../src/core/tree/base/node-store.ts';
import { chunkKey, chunkRecord } from '../../src/core/tree/keys.ts';
import { MemoryBlocks, memoryRuntime } from '../unit/tree/memory-blocks.ts';
import { BlockChecker } from './watch/blocks.ts';
import { Coverage } from './watch/coverage.ts';
import { Stores } from './watch/stores.ts';

const quorum = 2;

function scene() {
  const found: string[] = [];
  const report = (rule: string, what: string) => void found.push(`${rule}: ${what}`);
  const stores = new Stores(report as never, () => 0);
  const tree = randomBytes(32);
  const checker = new BlockChecker({
    ...{ stores, report: report as never, coverage: new Coverage(), replicas: () => 3 },
    generationOf: () => 2,
  });
  const lives = ['a', 'b', 'c'].map((name) => ({ host: { name } }) as never);
  let order: { tree: string; generation: number } | undefined;
  stores.onRemoved = (mirror, space, key, had) => {
    if (space === 'block') checker.removed(mirror, key, had, order);
  };
  const block = encodeImmutable(treeTagOf(tree), 'clear', [randomBytes(50)]);
  const address = blockAddress(block);
  const life = (at: number) => lives[at] as never;
  const keep = (at: number, generation: number, one: Uint8Array = block) =>
    stores.stored(life(at), [
      { space: 'block', key: blockAddress(one), value: concatBytes([u32Bytes(generation), one]) },
    ]);
  let version = 0;
  return {
    found,
    keep,
    mark: (at: number, generation: number) =>
      stores.stored(life(at), [{ space: 'generation', key: address, value: u32Bytes(generation) }]),
    sweep(at: number, generation: number) {
      order = { tree: toHex(tree), generation };
      const spaces = ['block', 'generation'] as const;
      stores.stored(
        life(at),
        spaces.map((space) => ({ space, key: address, value: undefined })),
      );
      order = undefined;
    },
    confirmed: (generation: number) => checker.confirmed(address, { generation, quorum }),
    /** A root that names the block is chosen. */
    async root() {
      const blocks = new MemoryBlocks();
      const putOptions = () => ({ generation: 2, quorum });
      const put = async (node: Uint8Array) => {
        for (const at of [0, 1, 2]) keep(at, 2, node);
        checker.confirmed(blockAddress(node), putOptions());
        return blocks.put(node as never, putOptions());
      };
      const options = { runtime: memoryRuntime(), treeTag: treeTagOf(tree), putOptions };
      const nodes = new NodeStore({ ...options, blocks: { put } as never });
      const record = { address, key: Buffer.alloc(32), stored: 50, live: 50, coding: 0, generation: 1, plain: 50 };
      const effect = { type: 'put' as const, key: chunkKey(1), value: encode(chunkRecord, record) };
      const body = await new BaseTree(nodes).merge([effect]);
      await checker.rooted(toHex(tree), { header: {}, body, snapshot: { version: ++version } } as never);
    },
    check: () => checker.check(),
  };
}

test('a copy that was swept before enough others were marked is no loss', async () => {
  const { found, keep, mark, sweep, confirmed, root, check } = scene();
  for (const at of [0, 1, 2]) keep(at, 1);
  confirmed(1);
  sweep(0, 2);
  for (const at of [1, 2]) mark(at, 2);
  confirmed(2);
  await root();
  check();
  assert.deepEqual(found, []);
});

test('nor is one that the mark did not reach and that is swept later', async () => {
  const { found, keep, mark, sweep, confirmed, root, check } = scene();
  for (const at of [0, 1, 2]) keep(at, 1);
  confirmed(1);
  for (const at of [1, 2]) mark(at, 2);
  confirmed(2);
  await root();
  sweep(0, 2);
  check();
  assert.deepEqual(found, []);
});

test('a block named though nobody marked it since a sweep took a copy is one, also when it was put in an older generation', async () => {
  const { found, keep, sweep, confirmed, root } = scene();
  for (const at of [0, 1, 2]) keep(at, 1);
  sweep(0, 2);
  confirmed(1);
  await root();
  assert.match(found.join(), /^E1: chunk .* was swept$/);
});

test('a reachable block of which a copy goes is one when it was not marked in the generation of the sweep', async () => {
  const { found, keep, sweep, confirmed, root } = scene();
  for (const at of [0, 1, 2]) keep(at, 1);
  confirmed(1);
  await root();
  assert.deepEqual(found, []);
  sweep(0, 2);
  assert.match(found.join(), /^E1: a swept block .* reaches$/);
});

test('a marked copy is taken by no sweep of its generation, and a mark is on enough disks', () => {
  const { found, keep, mark, sweep, confirmed } = scene();
  for (const at of [0, 1, 2]) keep(at, 1);
  confirmed(1);
  for (const at of [1, 2]) mark(at, 3);
  sweep(1, 3);
  assert.match(found.splice(0).join(), /^E1: b swept block .* of generation 3 by a sweep of generation 3,E3/);
  confirmed(3);
  assert.match(found.join(), /^I2: .* 1 of 2 copies of generation 3$/);
});
