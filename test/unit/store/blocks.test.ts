import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { equalBytes, u32Bytes } from '../../../src/core/base/bytes.ts';
import { isError } from '../../../src/core/base/errors.ts';
import { blockAddress } from '../../../src/core/block/address.ts';
import { encodeImmutable } from '../../../src/core/block/immutable.ts';
import { BlockClient } from '../../../src/core/store/block-client.ts';
import { blockPut } from '../../../src/core/store/messages.ts';
import { TestNetwork, type TestNode, testRuntime } from './nodes.ts';

const tag = Buffer.alloc(16, 7);

async function network(count: number) {
  const net = new TestNetwork();
  for (let i = 0; i < count; i++) await net.add();
  const client = new BlockClient({ runtime: testRuntime, overlay: net.overlay, replicationFactor: 3 });
  return { net, client };
}

function someBlock(size = 1000): Buffer {
  return encodeImmutable(tag, 'clear', [randomBytes(size)]);
}

async function holders(nodes: TestNode[], address: Uint8Array): Promise<TestNode[]> {
  const sizes = await Promise.all(nodes.map((node) => node.silo.size('block', address)));
  return nodes.filter((_, i) => sizes[i] !== undefined);
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail('condition never held');
}

test('a put block is on the responsible nodes and comes back verified', async () => {
  const { net, client } = await network(5);
  const block = someBlock();
  const address = await client.put(block, { generation: 1, quorum: 2 });
  assert.ok(equalBytes(address, blockAddress(block)));
  await until(async () => (await holders(net.nodes, address)).length === 3);
  assert.ok(equalBytes(await client.get(address), block));
  assert.ok(equalBytes(await client.getRange(address, 10, 20), block.subarray(10, 30)));
});

test('an unreachable node is replaced by the next clockwise', async () => {
  const { net, client } = await network(5);
  const block = someBlock();
  const [first] = await net.overlay.owners(blockAddress(block), 1);
  const down = net.nodes.find((node) => node.record === first) as TestNode;
  down.up = false;
  const address = await client.put(block, { generation: 1, quorum: 3 });
  assert.equal((await holders(net.nodes, address)).length, 3);
  assert.ok(equalBytes(await client.get(address), block));
});

test('nodes that all take no more data are full, not away', async () => {
  const { net, client } = await network(3);
  for (const { record } of net.nodes) (record as { closed: boolean }).closed = true;
  const put = client.put(someBlock(), { generation: 1, quorum: 2 });
  await assert.rejects(put, (error) => isError(error, 'full') && /take no more data/.test(error.message));
});

test('a client that reaches fewer nodes than the quorum fails instead of lowering the bar', {
  timeout: 60_000,
}, async () => {
  const { net, client } = await network(3);
  for (const node of net.nodes.slice(1)) node.up = false;
  let clockMs = 0;
  const hurried = { ...testRuntime, clock: { ...testRuntime.clock, monotonic: () => (clockMs += 5000) } };
  const impatient = new BlockClient({ runtime: hurried, overlay: net.overlay, replicationFactor: 3 });
  await assert.rejects(impatient.put(someBlock(), { generation: 1, quorum: 2 }), (error: unknown) =>
    isError(error, 'unavailable'),
  );
  for (const node of net.nodes) node.up = true;
  await client.put(someBlock(), { generation: 1, quorum: 2 });
});

test('a read mends what a responsible node lacks', async () => {
  const { net, client } = await network(3);
  const block = someBlock();
  const address = await client.put(block, { generation: 4, quorum: 3 });
  const [first] = await net.overlay.owners(address, 1);
  const emptied = net.nodes.find((node) => node.record === first) as TestNode;
  await emptied.silo.delete('block', address);
  // A client without measured round trips asks in ring order.
  const reader = new BlockClient({ runtime: testRuntime, overlay: net.overlay, replicationFactor: 3 });
  assert.ok(equalBytes(await reader.get(address), block));
  await until(async () => (await emptied.silo.size('block', address)) !== undefined);
  assert.deepEqual((await emptied.silo.get('block', address)).subarray(0, 4), u32Bytes(4));
});

test('a block nobody has is lost, a network nobody answers in is unavailable', async () => {
  const { net } = await network(3);
  let clockMs = 0;
  const hurried = { ...testRuntime, clock: { ...testRuntime.clock, monotonic: () => (clockMs += 1000) } };
  const client = new BlockClient({ runtime: hurried, overlay: net.overlay, replicationFactor: 3 });
  await assert.rejects(client.get(randomBytes(32)), (error: unknown) => isError(error, 'lost'));
  for (const node of net.nodes) node.up = false;
  await assert.rejects(client.get(randomBytes(32)), (error: unknown) => isError(error, 'unavailable'));
});

test('who sees only one of the nodes does not call a block lost that he cannot find', async () => {
  const { net, client } = await network(3);
  const address = await client.put(someBlock(), { generation: 1, quorum: 3 });
  const [first] = await net.overlay.owners(address, 1);
  const seen = net.nodes.find((node) => node.record === first) as TestNode;
  await seen.silo.delete('block', address);
  let clockMs = 0;
  const hurried = { ...testRuntime, clock: { ...testRuntime.clock, monotonic: () => (clockMs += 1000) } };
  const overlay = { ...net.overlay, owners: async () => [seen.record] };
  const cutOff = new BlockClient({ runtime: hurried, overlay, replicationFactor: 3 });
  await assert.rejects(cutOff.get(address), (error: unknown) => isError(error, 'unavailable'));
});

test('a holder refuses bytes that are no block or do not hash to the address', async () => {
  const { net } = await network(1);
  const peer = await net.overlay.peer((net.nodes[0] as TestNode).record.id);
  const block = someBlock();
  const wrong = { address: randomBytes(32), generation: 1, block };
  await assert.rejects(peer.call(blockPut, wrong), (error: unknown) => isError(error, 'corrupt'));
  const noise = randomBytes(200);
  await assert.rejects(
    peer.call(blockPut, { address: blockAddress(noise), generation: 1, block: noise }),
    (error: unknown) => isError(error, 'corrupt'),
  );
});

test('touch raises the generation where the block is, and tells where it is not', async () => {
  const { net, client } = await network(3);
  const block = someBlock();
  const address = await client.put(block, { generation: 1, quorum: 3 });
  assert.deepEqual(await client.touch([address, randomBytes(32)], { generation: 9, quorum: 2 }), [true, false]);
  for (const node of net.nodes) assert.deepEqual(await node.silo.get('generation', address), u32Bytes(9));
  await client.put(block, { generation: 3, quorum: 3 });
  for (const node of net.nodes) assert.deepEqual(await node.silo.get('generation', address), u32Bytes(9));
});
