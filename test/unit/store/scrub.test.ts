// Bytes that rot at rest are found within the period, replaced by good ones, and reported where nobody here can replace them.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { concatBytes, toHex, u32Bytes } from '../../../src/core/base/bytes.ts';
import { InfinitError } from '../../../src/core/base/errors.ts';
import { type Address, blockAddress } from '../../../src/core/block/address.ts';
import { encodeImmutable } from '../../../src/core/block/immutable.ts';
import { Scrub } from '../../../src/core/store/scrub.ts';
import { Throttle } from '../../../src/core/store/throttle.ts';
import { TestNetwork, type TestNode, testRuntime } from './nodes.ts';

const hour = 60 * 60_000;

async function setup(blocks: number) {
  const net = new TestNetwork();
  const node = await net.add();
  const { silo, held, inventory } = node;
  const time = { ms: 0 };
  const logged: string[] = [];
  const runtime = {
    ...testRuntime,
    clock: { ...testRuntime.clock, monotonic: () => time.ms },
    log: { write: (level: string, _: string, message: string) => logged.push(`${level} ${message}`) },
  };
  const addresses: Address[] = [];
  for (let i = 0; i < blocks; i++) {
    const block = encodeImmutable(Buffer.alloc(16, 7), 'clear', [randomBytes(60)]);
    await held.put(blockAddress(block), block, 1);
    addresses.push(blockAddress(block));
  }
  const throttle = new Throttle({ clock: runtime.clock });
  const scrub = new Scrub({ runtime, silo, held, inventory, throttle, periodMs: 100 * hour });
  const run = async (laterMs = 0) => {
    time.ms += laterMs;
    while (await scrub.step(new AbortController().signal));
  };
  return { node, scrub, run, addresses, logged };
}

const rot = (node: TestNode, address: Address) =>
  node.silo.put('block', address, concatBytes([u32Bytes(1), randomBytes(82)]));

test('a pass is spread evenly over its period and reads everything once', async () => {
  const { scrub, run, addresses } = await setup(1000);
  for (let passed = 1; passed <= 99; passed++) {
    await run(hour);
    const due = (addresses.length * passed) / 100;
    const { read } = scrub.counters;
    assert.ok(read <= due && read > due - 16, `${read} of ${due} after ${passed} hours`);
  }
  await run(hour);
  assert.equal(scrub.counters.passes, 1);
  assert.equal(scrub.counters.read, 1000);
  assert.equal(scrub.counters.bad, 0);
});

test('a rotten block is found once, counts as missing, and is told', async () => {
  const { node, scrub, run, addresses, logged } = await setup(100);
  const [first, second] = addresses as [Address, Address];
  const told: string[] = [];
  node.held.events.on('bad', (address) => told.push(toHex(address)));
  await rot(node, first);
  await rot(node, second);
  assert.equal(await node.held.has(first), true);
  scrub.now();
  await run();
  assert.deepEqual(told.sort(), [first, second].map(toHex).sort());
  assert.equal(await node.held.has(first), false);
  assert.ok((await node.silo.size('block', first)) !== undefined, 'nothing is thrown away');
  assert.equal(logged.filter((line) => line.startsWith('error')).length, 2);
  scrub.now();
  await run();
  assert.equal(scrub.counters.bad, 2, 'known ones are not counted again');
});

test('records of registers and journals that have rotted are reported until they are sound again', async () => {
  const { node, scrub, run } = await setup(10);
  const [good, bad] = [randomBytes(32), randomBytes(32)];
  for (const key of [good, bad]) await node.silo.put('register', key, randomBytes(50));
  let rotten = true;
  const verify = node.silo.verify.bind(node.silo);
  node.silo.verify = async (space, key) => {
    if (rotten && toHex(key) === toHex(bad)) throw new InfinitError('corrupt', 'a stored register fails its checksum');
    return verify(space, key);
  };
  for (let pass = 0; pass < 2; pass++) {
    scrub.now();
    await run();
    assert.deepEqual(scrub.rottenRecords(), [{ space: 'register', key: toHex(bad) }]);
    assert.equal(scrub.counters.rottenRecords, 1);
    assert.ok((await node.silo.size('register', bad)) !== undefined);
  }
  rotten = false;
  scrub.now();
  await run();
  assert.deepEqual(scrub.rottenRecords(), []);
});
