// Sweeps at a node: what goes, what stays, who may ask (docs/protocols.md 5, E2, E3).

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { encode } from '../../../src/core/base/codec.ts';
import { InfinitError, isError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { blockAddress } from '../../../src/core/block/address.ts';
import { encodeImmutable, treeTagOf } from '../../../src/core/block/immutable.ts';
import { accessInClear } from '../../../src/core/block/register.ts';
import { type RegisterSnapshot, rootHeader } from '../../../src/core/consensus/consensus.ts';
import { type KeyPair, keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import type { Handler, Method } from '../../../src/core/peer/peer.ts';
import { openSilo } from '../../../src/core/silo/registry.ts';
import { buildFilter, filterWords } from '../../../src/core/store/fuse-filter.ts';
import { HeldBlocks } from '../../../src/core/store/held-blocks.ts';
import {
  blockSweep,
  blockSwept,
  destroyedGeneration,
  type SweepOrder,
  signSweep,
} from '../../../src/core/store/sweep-messages.ts';
import { Sweeper } from '../../../src/core/store/sweeper.ts';
import { testRuntime } from './nodes.ts';

const networkId = randomBytes(32);
const owner = keyPairFromSeed(randomBytes(32));
const stranger = keyPairFromSeed(randomBytes(32));
const everywhere = { first: 0, last: 2 ** 32 - 1 };

interface Root {
  generation: number;
  worldWrite?: boolean;
  deleted?: boolean;
}

async function node(roots: Map<string, Root>) {
  const silo = await openSilo({ type: 'memory' }, testRuntime);
  const held = new HeldBlocks(silo);
  let clockMs = 0;
  const counts = { reads: 0, wakes: 0 };
  const read = async (address: Uint8Array) => {
    counts.reads++;
    const root = roots.get(Buffer.from(address).toString('hex'));
    if (root === undefined) throw new Error('no such register');
    return snapshotOf(address, root);
  };
  const clock = { monotonic: () => clockMs };
  const sweeper = new Sweeper({ clock, networkId, held, silo, registers: { read } });
  const handlers = new Map<string, Handler<never, never>>();
  const serve = (method: Method<never, never>, handler: Handler<never, never>) => handlers.set(method.name, handler);
  sweeper.serve({ serve } as never, () => counts.wakes++);
  const call = <Q, R>(method: Method<Q, R>, request: Q, user: KeyPair = owner): Promise<R> => {
    const handler = handlers.get(method.name) as unknown as Handler<Q, R>;
    return Promise.resolve(handler(request, { from: { userKey: user.publicKey } } as never));
  };
  const put = async (tree: Uint8Array, generation: number) => {
    const block = encodeImmutable(treeTagOf(tree), 'clear', [randomBytes(50)]);
    const address = blockAddress(block);
    await held.put(address, block, generation);
    return address;
  };
  const run = async () => {
    while (await sweeper.step(new AbortController().signal));
  };
  const pass = (timeMs: number) => {
    clockMs += timeMs;
  };
  const restart = () => new Sweeper({ clock, networkId, held, silo, registers: { read } });
  return { silo, held, sweeper, call, put, run, counts, pass, restart };
}

function snapshotOf(address: Uint8Array, { generation, worldWrite = false, deleted = false }: Root): RegisterSnapshot {
  const payload = encode(rootHeader, {
    format: 1,
    treeId: Buffer.alloc(16),
    epoch: 1,
    state: 'idle',
    leader: undefined,
    applied: 0,
    segments: [],
    gcGeneration: generation,
    sealed: Buffer.alloc(0),
  });
  const access = accessInClear(owner.publicKey, worldWrite);
  return { address, payload, access, deleted } as unknown as RegisterSnapshot;
}

function order(
  tree: Uint8Array,
  generation: number,
  marked: readonly Uint8Array[],
  arc = everywhere,
  author = owner,
): SweepOrder {
  const words = marked.map(filterWords);
  const keys = { high: Uint32Array.from(words, ([high]) => high), low: Uint32Array.from(words, ([, low]) => low) };
  const filter = buildFilter(keys, 32, Buffer.from('salt'));
  return signSweep(author, networkId, { tree, generation, ...arc, filter });
}

const hex = (address: Uint8Array) => Buffer.from(address).toString('hex');
const refused = (kind: Parameters<typeof isError>[1]) => (error: unknown) => isError(error, kind);

test('of the tree, older than the generation and not marked: that goes, and nothing else (E2)', async () => {
  const [tree, other] = [randomBytes(32), randomBytes(32)];
  const n = await node(new Map([[hex(tree), { generation: 5 }]]));
  const marked = await Promise.all(Array.from({ length: 300 }, () => n.put(tree, 4)));
  const garbage = await Promise.all(Array.from({ length: 700 }, () => n.put(tree, 4)));
  const young = await Promise.all(Array.from({ length: 50 }, () => n.put(tree, 5)));
  const touched = await Promise.all(Array.from({ length: 50 }, () => n.put(tree, 1)));
  for (const address of touched) await n.held.touch(address, 5);
  const foreign = await Promise.all(Array.from({ length: 50 }, () => n.put(other, 1)));
  await n.call(blockSweep, order(tree, 5, marked));
  assert.equal(n.counts.wakes, 1);
  assert.equal((await n.call(blockSwept, { tree, generation: 5, ...everywhere })).waiting, 1);
  await n.run();
  for (const address of [...marked, ...young, ...touched, ...foreign]) assert.ok(await n.held.has(address));
  for (const address of garbage) assert.ok(!(await n.held.has(address)));
  const told = await n.call(blockSwept, { tree, generation: 5, ...everywhere });
  assert.equal(told.done, 1);
  assert.equal(told.blocks, 700);
  assert.ok(told.bytes > 700 * 50);
  assert.equal(n.silo.usage().blocks, 450);
});

test('what was touched leaves no record behind when it goes', async () => {
  const tree = randomBytes(32);
  const n = await node(new Map([[hex(tree), { generation: 9 }]]));
  const address = await n.put(tree, 1);
  await n.held.touch(address, 3);
  await n.call(blockSweep, order(tree, 9, []));
  await n.run();
  assert.equal(n.silo.usage().entries, 0);
});

test('a sweep of an arc leaves the others alone; one pass serves all trees that wait', async () => {
  const trees = [randomBytes(32), randomBytes(32)] as const;
  const n = await node(new Map(trees.map((tree) => [hex(tree), { generation: 2 }])));
  const blocks = await Promise.all(Array.from({ length: 600 }, (_, i) => n.put(trees[(i & 1) as 0 | 1], 1)));
  const middle = 2 ** 31;
  await n.call(blockSweep, order(trees[0], 2, [], { first: middle, last: 2 ** 32 - 1 }));
  await n.call(blockSweep, order(trees[1], 2, [], { first: 0, last: middle - 1 }));
  await n.run();
  for (const [i, address] of blocks.entries()) {
    const low = Buffer.from(address).readUInt32BE(0) < middle;
    assert.equal(await n.held.has(address), (i & 1) === 0 ? low : !low);
  }
  assert.equal(n.sweeper.counters.passes, 1);
});

test('a block touched while the pass runs stays', async () => {
  const tree = randomBytes(32);
  const n = await node(new Map([[hex(tree), { generation: 2 }]]));
  const address = await n.put(tree, 1);
  await n.call(blockSweep, order(tree, 2, []));
  let touched: Promise<boolean> | undefined;
  const scan = n.silo.scan.bind(n.silo);
  n.silo.scan = async function* (...args: Parameters<typeof scan>) {
    for await (const one of scan(...args)) {
      touched = n.held.touch(address, 2); // between the look and the lock
      yield one;
    }
  };
  await n.run();
  assert.ok(await touched);
  assert.ok(await n.held.has(address));
});

test('a generation that is not in the chosen root is refused (E3), and taken once it is', async () => {
  const tree = randomBytes(32);
  const root = { generation: 4 };
  const n = await node(new Map([[hex(tree), root]]));
  await n.put(tree, 1);
  await assert.rejects(n.call(blockSweep, order(tree, 5, [])), refused('denied'));
  await n.run();
  assert.equal(n.silo.usage().blocks, 1);
  root.generation = 5;
  await n.call(blockSweep, order(tree, 5, []));
  await n.run();
  assert.equal(n.silo.usage().blocks, 0);
});

test('only writers of the tree, in their own name, by what they signed', async () => {
  const tree = randomBytes(32);
  const root: Root = { generation: 5 };
  const n = await node(new Map([[hex(tree), root]]));
  await n.put(tree, 1);
  const good = order(tree, 5, []);
  await assert.rejects(n.call(blockSweep, order(tree, 5, [], everywhere, stranger), stranger), refused('denied'));
  await assert.rejects(n.call(blockSweep, good, stranger), refused('denied'));
  await assert.rejects(n.call(blockSweep, { ...good, generation: 4 }), refused('denied'));
  await assert.rejects(n.call(blockSweep, { ...good, last: 7 }), refused('denied'));
  await assert.rejects(n.call(blockSweep, { ...good, first: 9, last: 7 }), refused('corrupt'));
  await assert.rejects(
    n.call(blockSweep, signSweep(owner, networkId, { ...good, filter: Buffer.alloc(40) })),
    (error) => isError(error, 'corrupt', 'unsupported'),
  );
  const elsewhere = signSweep(owner, randomBytes(32), { tree, generation: 5, ...everywhere, filter: good.filter });
  await assert.rejects(n.call(blockSweep, elsewhere), refused('denied'));
  await n.run();
  assert.equal(n.silo.usage().blocks, 1);
  // The list is asked for again after a while.
  root.worldWrite = true;
  n.pass(61_000);
  await n.call(blockSweep, order(tree, 5, [], everywhere, stranger), stranger);
});

test('the root is read once for all arcs of a cycle; a deleted tree sweeps nothing', async () => {
  const tree = randomBytes(32);
  const root: Root = { generation: 3 };
  const n = await node(new Map([[hex(tree), root]]));
  for (let i = 0; i < 16; i++)
    await n.call(blockSweep, order(tree, 3, [], { first: i * 2 ** 28, last: (i + 1) * 2 ** 28 - 1 }));
  assert.equal(n.counts.reads, 1);
  await n.run();
  assert.equal((await n.call(blockSwept, { tree, generation: 3, ...everywhere })).done, 16);
  assert.equal((await n.call(blockSwept, { tree, generation: 3, first: 1, last: 3 * 2 ** 28 - 1 })).done, 2);
  root.deleted = true;
  n.pass(61_000);
  await assert.rejects(n.call(blockSweep, order(tree, 3, [])), refused('denied'));
});

test('a later generation takes the place of an earlier one that still waits', async () => {
  const tree = randomBytes(32);
  const n = await node(new Map([[hex(tree), { generation: 7 }]]));
  const address = await n.put(tree, 1);
  await n.call(blockSweep, order(tree, 6, []));
  await n.call(blockSweep, order(tree, 7, [address]));
  await n.run();
  assert.ok(await n.held.has(address));
  assert.deepEqual(await n.call(blockSwept, { tree, generation: 6, ...everywhere }), {
    waiting: 0,
    done: 0,
    blocks: 0,
    bytes: 0,
  });
});

test('what waits is bounded for each user', async () => {
  const tree = randomBytes(32);
  const n = await node(new Map([[hex(tree), { generation: 7 }]]));
  const words = Uint32Array.from({ length: 700_000 }, (_, i) => Math.imul(i, 0x9e3779b1) >>> 0);
  const filter = buildFilter({ high: words, low: words }, 32, Buffer.from('salt'));
  assert.ok(filter.length > 3 * 2 ** 20);
  const hand = (i: number) =>
    n.call(blockSweep, signSweep(owner, networkId, { tree, generation: 7, first: i, last: i, filter }));
  let taken = 0;
  await assert.rejects(async () => {
    for (; taken < 20; taken++) await hand(taken);
  }, refused('full'));
  assert.ok(taken >= 8 && taken < 12, `${taken}`);
  await hand(0); // instead of the one that waits
});

test('what a sweep took is not wanted back from others for a while, unless it was touched since', async () => {
  const [tree, other] = [randomBytes(32), randomBytes(32)];
  const n = await node(
    new Map([
      [hex(tree), { generation: 5 }],
      [hex(other), { generation: 2 }],
    ]),
  );
  const [marked, garbage, foreign] = [await n.put(tree, 4), await n.put(tree, 4), await n.put(other, 1)];
  const blockOf = async (address: Uint8Array) => (await n.held.get(address)).block;
  const blocks = await Promise.all([marked, garbage, foreign].map(blockOf));
  const unwanted = (generation: number) =>
    [marked, garbage, foreign].map((address, at) => n.sweeper.isGarbage(address, blocks[at] as Uint8Array, generation));
  assert.deepEqual(unwanted(1), [false, false, false]);
  await n.call(blockSweep, order(tree, 5, [marked]));
  assert.deepEqual(unwanted(4), [false, true, false], 'it waits');
  await n.run();
  assert.equal(await n.held.has(garbage), false);
  assert.deepEqual(unwanted(4), [false, true, false], 'it is over');
  assert.deepEqual(unwanted(5), [false, false, false], 'put or touched in this generation');
  n.pass(3 * 60 * 60_000);
  await n.call(blockSweep, order(other, 2, [foreign]));
  await n.run();
  assert.deepEqual(unwanted(1), [false, false, false], 'long ago');
});

test('of a destroyed tree everything goes, rotten copies too, and nothing else; a restart need not look again', async () => {
  const [tree, other] = [randomBytes(32), randomBytes(32)];
  const n = await node(new Map());
  const gone = await Promise.all(Array.from({ length: 600 }, (_, i) => n.put(tree, i === 0 ? 2 ** 32 - 1 : i % 7)));
  const kept = await Promise.all(Array.from({ length: 50 }, () => n.put(other, 1)));
  await n.held.touch(gone[1] as Uint8Array, 9);
  const rotten = gone[2] as Uint8Array;
  const block = Buffer.from((await n.held.get(rotten)).block);
  await n.silo.put(
    'block',
    rotten,
    Buffer.concat([Buffer.alloc(4), block.subarray(0, block.length - 1), Buffer.of(1)]),
  );
  assert.ok(!(await n.held.verify(rotten)).sound);
  const question = { tree, generation: destroyedGeneration, ...everywhere };
  assert.deepEqual(await n.call(blockSwept, question), { waiting: 0, done: 0, blocks: 0, bytes: 0 });
  await n.sweeper.destroyed([tree]);
  await n.sweeper.destroyed([tree]);
  assert.equal(n.counts.wakes, 1);
  assert.equal((await n.call(blockSwept, question)).waiting, 1);
  assert.ok(n.sweeper.isDestroyed(block) && n.sweeper.isGarbage(rotten, block, 9), 'nothing of it is taken any more');
  await n.run();
  for (const address of gone) assert.equal(await n.silo.size('block', address), undefined);
  for (const address of kept) assert.ok(await n.held.has(address));
  const told = await n.call(blockSwept, question);
  assert.deepEqual([told.waiting, told.done, told.blocks], [0, 1, 600]);
  assert.ok(told.bytes > 600 * 50);
  assert.equal(n.held.badCopies, 0);
  // Another start of the same store.
  const again = n.restart();
  await again.destroyed([tree]);
  assert.equal(again.backlog(), 0);
  assert.ok(again.isDestroyed(block));
});

test('a tree that is destroyed while a pass runs has a pass of its own', async () => {
  const [first, second] = [randomBytes(32), randomBytes(32)];
  const n = await node(new Map());
  const blocks = await Promise.all(Array.from({ length: 700 }, (_, i) => n.put(i % 2 ? first : second, 1)));
  await n.sweeper.destroyed([first]);
  await n.sweeper.step(new AbortController().signal);
  await n.sweeper.destroyed([second]);
  await n.run();
  for (const address of blocks) assert.ok(!(await n.held.has(address)));
  assert.equal(n.sweeper.counters.passes, 2);
});

test('what a sweep took is remembered of so many sweeps, however small they are', async () => {
  const [tree, other] = [randomBytes(32), randomBytes(32)];
  const n = await node(new Map([tree, other].map((one) => [hex(one), { generation: 5 }])));
  const garbage = await n.put(tree, 4);
  const { block } = await n.held.get(garbage);
  await n.call(blockSweep, order(tree, 5, []));
  await n.run();
  for (let at = 0; at < limits.sweepsRememberedMax - 1; at++)
    await n.call(blockSweep, order(other, 5, [], { first: at, last: at }));
  await n.run();
  assert.ok(n.sweeper.isGarbage(garbage, block, 4));
  await n.call(blockSweep, order(other, 5, [], { first: 2 ** 31, last: 2 ** 31 }));
  await n.run();
  assert.ok(!n.sweeper.isGarbage(garbage, block, 4));
});

test('a store that could not be read when the first pass began is read again', async () => {
  const tree = randomBytes(32);
  const n = await node(new Map([[hex(tree), { generation: 5 }]]));
  const garbage = await n.put(tree, 4);
  await n.call(blockSweep, order(tree, 5, []));
  const { get } = n.silo;
  n.silo.get = () => Promise.reject(new InfinitError('unavailable', 'the store is away'));
  await assert.rejects(n.run(), refused('unavailable'));
  n.silo.get = get;
  await n.run();
  assert.ok(!(await n.held.has(garbage)));
});
