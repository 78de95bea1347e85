// What a node tells of copies that are too few: how many blocks, why, each counted once.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { toHex } from '../../../src/core/base/bytes.ts';
import { type Address, blockAddress } from '../../../src/core/block/address.ts';
import { encodeImmutable } from '../../../src/core/block/immutable.ts';
import { ownArcs } from '../../../src/core/store/arcs.ts';
import { blockRedundancy } from '../../../src/core/store/redundancy.ts';
import { TestNetwork, type TestNode, testRuntime } from './nodes.ts';

const factor = 3;

async function setup(count: number, blocks: number) {
  const net = new TestNetwork();
  for (let i = 0; i < count; i++) await net.add();
  const [self, ...others] = net.nodes as [TestNode, ...TestNode[]];
  const addresses: Address[] = [];
  for (let i = 0; i < blocks; i++) {
    const block = encodeImmutable(Buffer.alloc(16, 7), 'clear', [randomBytes(60)]);
    addresses.push(blockAddress(block));
    await self.held.put(blockAddress(block), block, 1);
  }
  const lacks = new Map<string, Set<string>>();
  const tell = async () => {
    const { overlay } = net;
    const parts = {
      self: self.record.id,
      overlay,
      held: self.held,
      inventory: self.inventory,
      replicationFactor: factor,
    };
    const arcs = await ownArcs({ ...parts, clock: testRuntime.clock, absence: net.absence });
    const absence = { awayMs: () => 70_000 };
    const known = { arcs, lacks, missing: 1, surplus: 2, comparedMs: 3 };
    return blockRedundancy({ ...parts, ...known, absence, evictionDelayMs: 100_000 });
  };
  return { net, self, others, addresses, lacks, tell };
}

test('everything where it belongs: nothing to tell', async () => {
  const { tell } = await setup(3, 20);
  const told = await tell();
  assert.deepEqual(told, {
    ...{ blocks: 20, counted: true, underReplicated: 0, shortages: [] },
    ...{ missing: 1, bad: 0, surplus: 2, comparedMs: 3 },
  });
});

test('fewer nodes than copies, and a bad copy', async () => {
  const { tell, self, addresses } = await setup(2, 20);
  await self.silo.put('block', addresses[0] as Address, randomBytes(90));
  await self.held.verify(addresses[0] as Address);
  const told = await tell();
  assert.deepEqual(told.shortages, [{ reason: 'few nodes', nodes: 2, blocks: 19 }]);
  assert.deepEqual([told.underReplicated, told.bad, told.blocks], [19, 1, 20]);
});

test('who is away, who lacks, who is closed: each is named, each block counted once', async () => {
  const { tell, others, addresses, lacks } = await setup(3, 20);
  const [a, b] = others as [TestNode, TestNode];
  const names = addresses.map(toHex);
  lacks.set(toHex(a.record.id), new Set(names.slice(0, 5)));
  lacks.set(toHex(b.record.id), new Set(names.slice(3, 8)));
  b.record.closed = true;
  const lacking = await tell();
  assert.equal(lacking.underReplicated, 8);
  assert.deepEqual(lacking.shortages, [
    { reason: 'node lacks', node: a.record.id, blocks: 5 },
    { reason: 'node closed', node: b.record.id, blocks: 5 },
  ]);
  a.up = false;
  const away = await tell();
  assert.equal(away.underReplicated, 20);
  assert.deepEqual(away.shortages, [
    { reason: 'node away', node: a.record.id, awayMs: 70_000, evictedInMs: 30_000, blocks: 20 },
    { reason: 'node closed', node: b.record.id, blocks: 5 },
  ]);
});
