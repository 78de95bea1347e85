// Copies come back: to who joined, lost them, holds bad ones; from whoever has them; and nothing moves before a node is evicted.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { concatBytes, toHex, u32Bytes } from '../../../src/core/base/bytes.ts';
import { InfinitError, isError } from '../../../src/core/base/errors.ts';
import { type Address, blockAddress } from '../../../src/core/block/address.ts';
import { encodeImmutable } from '../../../src/core/block/immutable.ts';
import type { Silo } from '../../../src/core/silo/silo.ts';
import { ownArcs } from '../../../src/core/store/arcs.ts';
import { BlockTransfer } from '../../../src/core/store/block-transfer.ts';
import { Fetching } from '../../../src/core/store/fetching.ts';
import { blockGet } from '../../../src/core/store/messages.ts';
import { Repair } from '../../../src/core/store/repair.ts';
import { Throttle } from '../../../src/core/store/throttle.ts';
import { TestNetwork, type TestNode, testRuntime } from './nodes.ts';

const factor = 3;

async function network(count: number) {
  const net = new TestNetwork();
  for (let i = 0; i < count; i++) await net.add();
  return net;
}

/** The repair of a node, on a clock that only the test moves. */
function repairOf(net: TestNetwork, { record, held, inventory }: TestNode) {
  const time = { ms: 0 };
  const runtime = { ...testRuntime, clock: { ...testRuntime.clock, monotonic: () => time.ms } };
  const { overlay, absence } = net;
  const throttle = new Throttle({ clock: runtime.clock });
  const transfer = new BlockTransfer({ overlay, held, throttle });
  const fetching = new Fetching({ self: record.id, overlay, held, throttle, unwanted: () => false });
  const parts = {
    runtime,
    self: record.id,
    overlay,
    absence,
    held,
    inventory,
    transfer,
    fetching,
    replicationFactor: factor,
  };
  const repair = new Repair(parts);
  const run = async (laterMs = 0) => {
    time.ms += laterMs;
    while (await repair.step(new AbortController().signal));
  };
  return { repair, run };
}

async function store(net: TestNetwork, generation = 1, nodes?: readonly TestNode[]): Promise<Address> {
  const block = encodeImmutable(Buffer.alloc(16, 7), 'clear', [randomBytes(60)]);
  const address = blockAddress(block);
  const holders = nodes ?? (await holdersOf(net, address));
  for (const node of holders) await node.held.put(address, block, generation);
  return address;
}

async function holdersOf(net: TestNetwork, address: Address): Promise<TestNode[]> {
  const records = await net.absence.holders(address, factor);
  return records.map((record) => net.nodes.find((node) => node.record === record) as TestNode);
}

async function storeMany(net: TestNetwork, count: number): Promise<Address[]> {
  const addresses: Address[] = [];
  for (let i = 0; i < count; i++) addresses.push(await store(net));
  return addresses;
}

test('the arcs of all nodes cover every address as often as it has holders, exactly where placement says', async () => {
  for (const count of [1, 2, 4, 7, 14]) {
    const net = await network(count);
    const arcsOf = await Promise.all(
      net.nodes.map(({ record }) =>
        ownArcs({ clock: testRuntime.clock, self: record.id, ...net, replicationFactor: factor }),
      ),
    );
    for (let i = 0; i < 200; i++) {
      const address = randomBytes(32);
      const name = toHex(address);
      const holders = (await holdersOf(net, address)).map(({ record }) => record);
      for (const [at, arcs] of arcsOf.entries()) {
        const own = arcs.filter(({ ranges }) =>
          ranges.some(({ from, to }) => name >= toHex(from) && name <= toHex(to)),
        );
        const is = holders.includes((net.nodes[at] as TestNode).record);
        assert.equal(own.length, is ? 1 : 0);
        if (is)
          assert.deepEqual(
            own[0]?.holders.map(({ id }) => toHex(id)),
            holders.map(({ id }) => toHex(id)),
          );
      }
    }
  }
});

test('who joins gets what it is to hold, and nothing else, with its generation', async () => {
  const net = await network(4);
  const addresses = await storeMany(net, 80);
  await (net.nodes[0] as TestNode).held.touch(addresses[0] as Address, 1);
  const joined = await net.add();
  const { run, repair } = repairOf(net, joined);
  await run();
  for (const address of addresses) {
    const mine = (await holdersOf(net, address)).includes(joined);
    assert.equal(await joined.held.generation(address), mine ? 1 : undefined);
  }
  assert.ok((repair.counters.fetched ?? 0) > 0);
  assert.equal(repair.backlog(), 0);
});

test('a node that lost everything is filled by any one of the others, and by itself', async () => {
  const net = await network(3);
  const addresses = await storeMany(net, 60);
  const [emptied, other] = net.nodes as [TestNode, TestNode];
  const empty = async () => {
    for (const address of addresses) await emptied.held.drop(address, () => true);
  };
  await empty();
  const others = repairOf(net, other);
  await others.run();
  for (const address of addresses) assert.equal(await emptied.held.has(address), true);
  assert.deepEqual(
    [...others.repair.lacks.values()].map(({ size }) => size),
    [0, 0],
    'all was confirmed',
  );
  await empty();
  await repairOf(net, emptied).run();
  for (const address of addresses) assert.equal(await emptied.held.has(address), true);
});

test('generations end as the maximum, whoever has it', async () => {
  const net = await network(3);
  const [a, b, c] = net.nodes as [TestNode, TestNode, TestNode];
  const addresses = await storeMany(net, 3);
  await a.held.touch(addresses[0] as Address, 5);
  await b.held.touch(addresses[1] as Address, 6);
  await c.held.touch(addresses[2] as Address, 7);
  await repairOf(net, b).run();
  await repairOf(net, a).run();
  for (const node of net.nodes) {
    const generations = await Promise.all(addresses.map((address) => node.held.generation(address)));
    assert.deepEqual(generations, [5, 6, 7]);
  }
});

test('what is away is not replaced before it is evicted; then everything has all its copies again', async () => {
  const net = await network(5);
  const addresses = await storeMany(net, 60);
  const dead = net.nodes[0] as TestNode;
  dead.up = false;
  const repairs = net.nodes.slice(1).map((node) => repairOf(net, node));
  const copies = async () => {
    const counts = addresses.map(async (address) => {
      const held = await Promise.all(net.nodes.slice(1).map((node) => node.held.has(address)));
      return held.filter(Boolean).length;
    });
    return Promise.all(counts);
  };
  const before = await copies();
  assert.ok(before.some((count) => count === factor - 1));
  for (const { run } of repairs) await run(60_000);
  assert.deepEqual(await copies(), before);
  net.evicted.add(dead);
  for (const { run } of repairs) await run();
  for (const count of await copies()) assert.equal(count, factor);
});

test('a bad copy is replaced by a good one; while nobody has a good one it stays and is tried again', async () => {
  const net = await network(3);
  const [a, b, c] = net.nodes as [TestNode, TestNode, TestNode];
  const address = await store(net, 4);
  await a.silo.put('block', address, concatBytes([u32Bytes(4), randomBytes(82)]));
  assert.equal((await a.held.verify(address)).sound, false);
  const { repair, run } = repairOf(net, a);
  b.up = c.up = false;
  repair.want(address);
  await run();
  assert.equal(a.held.isBad(address), true);
  assert.ok((await a.silo.size('block', address)) !== undefined);
  b.up = true;
  await run();
  assert.equal(a.held.isBad(address), false);
  assert.equal((await a.held.get(address)).generation, 4);
  assert.equal(repair.counters.mended, 1);
});

test('a copy whose name has rotted, so that no list shows it, is found by comparing and replaced: nothing else is moved', async () => {
  const net = await network(3);
  const [a] = net.nodes as [TestNode];
  const addresses = await storeMany(net, 300);
  const [address] = addresses as [Address];
  hideRotten(a, address);
  // As the census finds it after a restart.
  a.inventory.delete(address);
  const { repair, run } = repairOf(net, a);
  await run();
  assert.equal((await a.held.get(address)).generation, 1);
  assert.equal(a.inventory.generation(address), 1);
  const { fetched = 0, mended = 0, sent = 0, compared = 0 } = repair.counters;
  assert.deepEqual({ fetched, mended, sent }, { fetched: 1, mended: 1, sent: 0 });
  assert.ok(compared <= 2 * 4, `${compared} questions for one block among 300`);
});

/** As a silo on a disk has it whose record header is damaged: known by its key, in no list, unreadable until it is put again. */
function hideRotten({ silo }: TestNode, address: Address): void {
  let rotten = true;
  const isIt = (space: string, key: Uint8Array) => rotten && space === 'block' && toHex(key) === toHex(address);
  const get = silo.get.bind(silo);
  const getRange = silo.getRange.bind(silo);
  const list = silo.list.bind(silo);
  const batch = silo.batch.bind(silo);
  const refuse = () => Promise.reject(new InfinitError('corrupt', 'a stored block fails its checksum'));
  Object.assign(silo, {
    get: (...words: Parameters<Silo['get']>) => (isIt(words[0], words[1]) ? refuse() : get(...words)),
    getRange: (...words: Parameters<Silo['getRange']>) => (isIt(words[0], words[1]) ? refuse() : getRange(...words)),
    async *list(...words: Parameters<Silo['list']>) {
      for await (const key of list(...words)) if (!isIt(words[0], key)) yield key;
    },
    put: (...[space, key, value]: Parameters<Silo['put']>) => {
      if (isIt(space, key)) rotten = false;
      return batch([{ space, key, value }]);
    },
  });
}

test('a reader who misses a block makes its holder fetch it; what a node is not to hold it does not fetch', async () => {
  const net = await network(5);
  const address = await store(net);
  const [holder] = (await holdersOf(net, address)) as [TestNode];
  const outside = net.nodes.find((node) => !node.inventory.generation(address)) as TestNode;
  await holder.held.drop(address, () => true);
  for (const node of [holder, outside]) {
    const { repair, run } = repairOf(net, node);
    node.held.events.on('missed', (missed) => repair.want(missed));
    const peer = await net.overlay.peer(node.record.id);
    await assert.rejects(peer.call(blockGet, { address }), (error: unknown) => isError(error, 'not-found'));
    assert.equal(repair.missing(), 1);
    net.nodes.forEach((other) => {
      other.inventory.complete = false; // no round: only what was asked for
    });
    await run();
    assert.equal(await node.held.has(address), node === holder);
  }
});

test('rounds in which nothing is found become rare, and cost one call a node', async () => {
  const net = await network(3);
  await storeMany(net, 200);
  const { repair, run } = repairOf(net, net.nodes[0] as TestNode);
  await run();
  const rounds = [];
  for (let second = 0; second < 3600; second++) {
    const before = repair.counters.rounds;
    await run(1000);
    if (repair.counters.rounds !== before) rounds.push(second);
  }
  assert.ok(rounds.length < 12, `${rounds.length} rounds in an hour`);
  assert.ok(rounds.length >= 6, `${rounds.length} rounds in an hour`);
  assert.equal(repair.counters.compared, 2 * (rounds.length + 1));
});
