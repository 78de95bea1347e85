// What does not belong here goes only when all who are to hold it have confirmed it; never while they are fewer.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { type Address, blockAddress } from '../../../src/core/block/address.ts';
import { encodeImmutable } from '../../../src/core/block/immutable.ts';
import { type Arc, ownArcs } from '../../../src/core/store/arcs.ts';
import { BlockTransfer } from '../../../src/core/store/block-transfer.ts';
import { Rebalance } from '../../../src/core/store/rebalance.ts';
import { Throttle } from '../../../src/core/store/throttle.ts';
import { TestNetwork, type TestNode, testRuntime } from './nodes.ts';

const factor = 3;
const minute = 60_000;

async function setup(count: number) {
  const net = new TestNetwork();
  for (let i = 0; i < count; i++) await net.add();
  const workers = new Map<TestNode, ReturnType<typeof rebalanceOf>>();
  const of = (node: TestNode) => {
    const known = workers.get(node) ?? rebalanceOf(net, node);
    workers.set(node, known);
    return known;
  };
  return { net, of };
}

function rebalanceOf(net: TestNetwork, { record, held, inventory }: TestNode) {
  const { overlay, absence } = net;
  const time = { ms: 0 };
  const runtime = { ...testRuntime, clock: { ...testRuntime.clock, monotonic: () => time.ms } };
  const transfer = new BlockTransfer({ overlay, held, throttle: new Throttle({ clock: runtime.clock }) });
  let arcs: readonly Arc[] | undefined;
  const parts = { runtime, self: record.id, overlay, absence, held, inventory, transfer, replicationFactor: factor };
  const rebalance = new Rebalance({ ...parts, arcs: () => arcs });
  const placed = async () => {
    arcs = await ownArcs({ clock: runtime.clock, self: record.id, overlay, absence, replicationFactor: factor });
  };
  const run = async (laterMs: number) => {
    arcs ?? (await placed());
    await rebalance.step(new AbortController().signal);
    time.ms += laterMs;
    while (await rebalance.step(new AbortController().signal));
  };
  return { rebalance, run, placed };
}

/** A block, its holders by placement, and all others. */
async function someBlock(net: TestNetwork) {
  const block = encodeImmutable(Buffer.alloc(16, 7), 'clear', [randomBytes(60)]);
  const address: Address = blockAddress(block);
  const records = await net.absence.holders(address, factor, { closed: true });
  const holders = records.map((record) => net.nodes.find((node) => node.record === record) as TestNode);
  return { block, address, holders, others: net.nodes.filter((node) => !holders.includes(node)) };
}

test('a surplus copy goes to who is to hold it, with its generation, and then goes, not before a while', async () => {
  const { net, of } = await setup(5);
  for (let i = 0; i < 30; i++) {
    const { block, address, holders, others } = await someBlock(net);
    const [surplus] = others as [TestNode];
    await surplus.held.put(address, block, 3);
    await (holders[0] as TestNode).held.put(address, block, 1);
    await of(surplus).run(1000);
    assert.equal(await surplus.held.has(address), true, 'the ring may change back');
    await of(surplus).run(2 * minute);
    assert.equal(await surplus.held.has(address), false);
    for (const holder of holders) assert.equal(await holder.held.generation(address), 3);
  }
});

test('who is to hold a block keeps it', async () => {
  const { net, of } = await setup(5);
  const blocks = await Promise.all(Array.from({ length: 40 }, () => someBlock(net)));
  for (const { block, address, holders } of blocks) for (const node of holders) await node.held.put(address, block, 1);
  for (const node of net.nodes) {
    await of(node).run(2 * minute);
    assert.equal(of(node).rebalance.counters.dropped, 0);
    assert.equal(of(node).rebalance.surplus(), 0);
  }
});

test('nothing goes while one of the holders is away, full, closed without it, or has another store than it tells', async () => {
  const { net, of } = await setup(5);
  const { block, address, holders, others } = await someBlock(net);
  const [surplus] = others as [TestNode];
  const [troubled, ...sound] = holders as [TestNode, ...TestNode[]];
  await surplus.held.put(address, block, 2);
  const stays = async (why: string) => {
    await of(surplus).run(20 * minute);
    assert.equal(await surplus.held.has(address), true, why);
  };
  troubled.up = false;
  await stays('away');
  troubled.up = true;
  troubled.record.closed = true;
  await stays('closed');
  for (const node of sound) assert.equal(await node.held.has(address), true, 'the others have it meanwhile');
  assert.equal(await troubled.held.has(address), false, 'who is closed is sent nothing');
  troubled.record.closed = false;
  const known = troubled.record.stores;
  troubled.record.stores = [randomBytes(8)];
  await stays('another store');
  troubled.record.stores = known;
  await of(surplus).run(20 * minute);
  assert.equal(await surplus.held.has(address), false);
  assert.equal(await troubled.held.generation(address), 2);
});

test('a touch while others are asked keeps the copy here', async () => {
  const { net, of } = await setup(5);
  const { block, address, holders, others } = await someBlock(net);
  const [surplus] = others as [TestNode];
  for (const node of [surplus, ...holders]) await node.held.put(address, block, 1);
  const last = holders[2] as TestNode;
  const confirm = last.handlers.get('block.confirm') as NonNullable<ReturnType<typeof last.handlers.get>>;
  last.handlers.set('block.confirm', async (request, context) => {
    await surplus.held.touch(address, 9);
    return confirm(request, context);
  });
  await of(surplus).run(2 * minute);
  assert.equal(await surplus.held.generation(address), 9);
  last.handlers.set('block.confirm', confirm);
  await of(surplus).run(20 * minute);
  assert.equal(await surplus.held.has(address), false);
  for (const node of holders) assert.equal(await node.held.generation(address), 9);
});

test('several who give up copies at once, each counting on the others, leave enough of them', async () => {
  const { net } = await setup(6);
  for (let i = 0; i < 20; i++) {
    const { block, address } = await someBlock(net);
    for (const node of net.nodes) await node.held.put(address, block, 1);
    // Every node believes that the three behind it are to hold everything: views could hardly differ more.
    const rebalances = net.nodes.map((node, at) => {
      const { record, held, inventory } = node;
      const believed = [1, 2, 3].map((next) => (net.nodes[(at + next) % 6] as TestNode).record);
      const absence = { holders: async () => believed };
      const time = { ms: 0 };
      const runtime = { ...testRuntime, clock: { ...testRuntime.clock, monotonic: () => time.ms } };
      const transfer = new BlockTransfer({
        overlay: net.overlay,
        held,
        throttle: new Throttle({ clock: runtime.clock }),
      });
      const parts = { runtime, self: record.id, overlay: net.overlay, absence, held, inventory, transfer };
      const none: Arc[] = [];
      const rebalance = new Rebalance({ ...parts, arcs: () => none, replicationFactor: factor });
      return async () => {
        await rebalance.step(new AbortController().signal);
        time.ms += 2 * minute;
        while (await rebalance.step(new AbortController().signal));
      };
    });
    await Promise.all(rebalances.map((run) => run()));
    const copies = await Promise.all(net.nodes.map((node) => node.held.has(address)));
    assert.ok(copies.filter(Boolean).length >= factor, `${copies.filter(Boolean).length} copies are left`);
  }
});
