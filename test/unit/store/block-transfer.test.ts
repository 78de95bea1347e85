// Others are made to hold what this node holds: what they have is marked, what they lack is sent, who confirmed is told.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { toHex } from '../../../src/core/base/bytes.ts';
import { InfinitError, isError } from '../../../src/core/base/errors.ts';
import { type Address, blockAddress } from '../../../src/core/block/address.ts';
import { encodeImmutable } from '../../../src/core/block/immutable.ts';
import { BlockTransfer } from '../../../src/core/store/block-transfer.ts';
import { Throttle } from '../../../src/core/store/throttle.ts';
import { TestNetwork, type TestNode, testRuntime } from './nodes.ts';

async function setup(others: number) {
  const net = new TestNetwork();
  const source = await net.add();
  for (let i = 0; i < others; i++) await net.add();
  const throttle = new Throttle({ clock: testRuntime.clock });
  const transfer = new BlockTransfer({ overlay: net.overlay, held: source.held, throttle });
  const keep = async (node: TestNode, generation: number, block = someBlock()): Promise<Address> => {
    await node.held.put(blockAddress(block), block, generation);
    return blockAddress(block);
  };
  const targets = net.nodes.slice(1) as TestNode[];
  return { net, source, targets, transfer, keep, holders: targets.map(({ record }) => record) };
}

function someBlock(): Buffer {
  return encodeImmutable(Buffer.alloc(16, 7), 'clear', [randomBytes(300)]);
}

const names = (stores: readonly { store: Uint8Array }[]) => stores.map(({ store }) => toHex(store)).sort();
const storesOf = (nodes: readonly TestNode[]) => nodes.map(({ silo }) => toHex(silo.storeId)).sort();

test('what others lack is sent, what they have is marked with the generation here, all confirm by store', async () => {
  const { source, targets, transfer, keep, holders } = await setup(3);
  const block = someBlock();
  const shared = await keep(source, 7, block);
  await keep(targets[0] as TestNode, 2, block);
  const fresh = await Promise.all(Array.from({ length: 600 }, () => keep(source, 3)));
  const answers = await transfer.ensureHeld([shared, ...fresh].map((address) => ({ address, holders })));
  for (const answer of answers) assert.deepEqual(names(answer.stores), storesOf(targets));
  assert.deepEqual(answers.map(({ generation }) => generation).slice(0, 2), [7, 3]);
  for (const node of targets) {
    assert.equal(await node.held.generation(shared), 7);
    for (const address of fresh) assert.equal(await node.held.generation(address), 3);
  }
  assert.equal(transfer.counters.sent, 2 + 3 * 600, 'what was there was not sent again');
  const calls = targets.map(({ calls }) => calls.get('block.confirm'));
  assert.deepEqual(calls, [6, 6, 6], 'batches of 256: 601 asked about and asked again');
});

test('who is away, full, or has another store than it tells confirms nothing; the others do', async () => {
  const { source, targets, transfer, keep, holders } = await setup(4);
  const [good, away, full, emptied] = targets as [TestNode, TestNode, TestNode, TestNode];
  away.up = false;
  const put = full.held.put.bind(full.held);
  full.handlers.set('block.copy', async () => {
    throw new InfinitError('full', 'no room');
  });
  emptied.record.stores = [randomBytes(8)];
  const addresses = await Promise.all([1, 2, 3].map((generation) => keep(source, generation)));
  const answers = await transfer.ensureHeld(addresses.map((address) => ({ address, holders })));
  for (const { stores } of answers) assert.deepEqual(names(stores), storesOf([good]));
  assert.ok(transfer.counters.failed > 0);
  // Asked again once they can, they hold everything.
  away.up = true;
  full.handlers.set('block.copy', (request) => {
    const { address, block, generation } = request as { address: Address; block: Uint8Array; generation: number };
    return put(address, block, generation).then(() => ({}));
  });
  emptied.record.stores = [emptied.silo.storeId];
  const again = await transfer.ensureHeld(addresses.map((address) => ({ address, holders })));
  for (const { stores } of again) assert.deepEqual(names(stores), storesOf(targets));
});

test('who knows a block to be garbage does not take it, says so, and still takes others', async () => {
  const { source, targets, transfer, keep, holders } = await setup(2);
  const [knowing, other] = targets as [TestNode, TestNode];
  const [garbage, ...wanted] = await Promise.all([1, 2, 3, 4, 5, 6].map((generation) => keep(source, generation)));
  const copy = knowing.handlers.get('block.copy') as NonNullable<ReturnType<typeof knowing.handlers.get>>;
  knowing.handlers.set('block.copy', (request, context) => {
    if (toHex((request as { address: Address }).address) !== toHex(garbage as Address)) return copy(request, context);
    throw new InfinitError('conflict', 'a sweep says the block is garbage');
  });
  const asked = [garbage as Address, ...wanted].map((address) => ({ address, holders }));
  const [first, ...rest] = await transfer.ensureHeld(asked);
  assert.deepEqual(first?.unwanted.map(toHex), [toHex(knowing.record.id)]);
  assert.deepEqual(names(first?.stores ?? []), storesOf([other]));
  for (const { unwanted, stores } of rest) assert.deepEqual([unwanted, names(stores)], [[], storesOf(targets)]);
});

test('a block that is not here is confirmed by nobody, whoever has it', async () => {
  const { targets, transfer, keep, holders } = await setup(2);
  const address = await keep(targets[0] as TestNode, 5);
  const [answer] = await transfer.ensureHeld([{ address, holders }]);
  assert.deepEqual(answer, { address, generation: undefined, unwanted: [], stores: [] });
});

test('a copy about to be given up confirms nothing to others until that is over', async () => {
  const { source, targets, transfer, keep, holders } = await setup(1);
  const [other] = targets as [TestNode];
  const block = someBlock();
  const address = await keep(source, 1, block);
  await keep(other, 1, block);
  const over = other.held.giveUp([address]);
  const alsoOver = other.held.giveUp([address]);
  assert.deepEqual((await transfer.ensureHeld([{ address, holders }]))[0]?.stores, []);
  over();
  over();
  assert.deepEqual(
    (await transfer.ensureHeld([{ address, holders }]))[0]?.stores,
    [],
    'somebody else still gives it up',
  );
  alsoOver();
  assert.equal((await transfer.ensureHeld([{ address, holders }]))[0]?.stores.length, 1);
});

test('a transfer ends when it is cancelled', async () => {
  const { source, transfer, keep, holders } = await setup(2);
  const addresses = await Promise.all(Array.from({ length: 300 }, () => keep(source, 1)));
  const abort = new AbortController();
  const wanted = addresses.map((address) => ({ address, holders }));
  const done = transfer.ensureHeld(wanted, { signal: abort.signal });
  abort.abort();
  await assert.rejects(done, (error: unknown) => isError(error, 'cancelled'));
});
