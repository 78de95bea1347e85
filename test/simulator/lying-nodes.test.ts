// One storage node of five lies: it corrupts, withholds, replays, hangs, says it stored what it did not, or has a wrong clock. What
// clients read stays right, and what they write stays writable (docs/protocols.md 0, 2.8, I1; DESIGN: a node can refuse or
// forget, never read or forge). It is one of three copies at most, which is what the failure model allows to be lost.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { utf8 } from '../../src/core/base/bytes.ts';
import { InfinitError } from '../../src/core/base/errors.ts';
import { journalAppend, journalFence, journalRead } from '../../src/core/consensus/journal/messages.ts';
import { registerBatch } from '../../src/core/consensus/register/messages.ts';
import { blockCopy, blockGet, blockHave, blockPut, blockRange, blockTouch } from '../../src/core/store/messages.ts';
import type { KeyStore } from '../../src/core/volume/keys.ts';
import { Liar } from './liar.ts';
import { DatabaseShelf } from './runtime/databases.ts';
import { createWorld, type World } from './runtime/world.ts';
import { type Cluster, type Device, makeCluster, openStore, startNodes } from './whole.ts';

const keys = 24;

interface Scene {
  world: World;
  cluster: Cluster;
  nodes: Device[];
  clients: Device[];
  open(client: Device): Promise<KeyStore>;
}

async function scene(t: TestContext): Promise<Scene> {
  const world = createWorld({ seed: t.name });
  const cluster = await makeCluster(world, { nodes: 5, clients: 3 });
  const [nodes, clients] = [cluster.devices.slice(0, 5), cluster.devices.slice(5)];
  const [first] = nodes as [Device, ...Device[]];
  await startNodes(world, nodes);
  await world.runFor(10_000);
  const open = async (client: Device) => {
    await world.settle(client.startClient([first.endpoint]));
    return (await world.settle(openStore(client, cluster, false))).keys;
  };
  return { world, cluster, nodes, clients, open };
}

/** Of sizes that travel inline, in the journal, in packs and in chunks of their own. */
function value(key: number, version: number): Buffer {
  const size = [16, 400, 20_000, 300_000][key % 4] as number;
  return utf8(`${key}.${version} `.padEnd(size, `${key}`));
}

async function write({ world }: Scene, store: KeyStore, version: number): Promise<void> {
  for (let key = 0; key < keys; key++) await world.settle(store.put(utf8(`k${key}`), value(key, version)));
}

async function check({ world }: Scene, store: KeyStore, version: number): Promise<void> {
  for (let key = 0; key < keys; key++) {
    const got = await world.settle(store.get(utf8(`k${key}`)));
    assert.ok(value(key, version).equals(got.value), `k${key} reads ${got.value.subarray(0, 16)}`);
  }
}

/** The client goes, and what it led with it; the next one starts with empty caches. */
async function leave({ world }: Scene, client: Device): Promise<void> {
  client.crash(false);
  await world.runFor(10_000);
}

/** Written before and while the node lies; read by another client with nothing in its caches; written and read once more. */
async function lied(all: Scene, tell: (liar: Liar) => void): Promise<Liar> {
  const [writer, reader, last] = all.clients as [Device, Device, Device];
  const first = await all.open(writer);
  await write(all, first, 1);
  const liar = new Liar((all.nodes[2] as Device).linked as NonNullable<Device['linked']>);
  tell(liar);
  await check(all, first, 1);
  await write(all, first, 2);
  await leave(all, writer);
  const second = await all.open(reader);
  await check(all, second, 2);
  await write(all, second, 3);
  await leave(all, reader);
  await check(all, await all.open(last), 3);
  return liar;
}

function told(liar: Liar, ...names: string[]): void {
  for (const name of names)
    assert.ok((liar.told[name] ?? 0) > 0, `${name} was never asked: ${JSON.stringify(liar.told)}`);
}

/** Another byte in the middle. */
function damaged(bytes: Uint8Array): Buffer {
  const copy = Buffer.from(bytes);
  const at = copy.length >> 1;
  if (copy.length > 0) copy[at] = (copy[at] as number) ^ 0xff;
  return copy;
}

test('a node that damages what it sends: blocks, ranges, records of journals', async (t) => {
  const liar = await lied(await scene(t), (liar) => {
    liar.tell(blockGet, async (_, truth) => {
      const answer = await truth();
      return { ...answer, block: damaged(answer.block) };
    });
    liar.tell(blockRange, async (_, truth) => ({ part: damaged((await truth()).part) }));
    liar.tell(journalRead, async (_, truth) => {
      const { store, answer } = await truth();
      if (answer.type !== 'batches') return { store, answer };
      const batches = answer.batches.map((batch) => ({ ...batch, signature: damaged(batch.signature) }));
      return { store, answer: { ...answer, batches } };
    });
  });
  told(liar, 'block.get', 'block.range');
});

test('a node that says it stored and holds everything, and hands out nothing', async (t) => {
  const liar = await lied(await scene(t), (liar) => {
    liar.tell(blockPut, () => ({}));
    liar.tell(blockCopy, () => ({}));
    liar.tell(blockHave, ({ addresses }) => ({ held: addresses.map(() => true) }));
    liar.tell(blockTouch, ({ addresses }) => ({ held: addresses.map(() => true) }));
    const absent = () => {
      throw new InfinitError('not-found', 'no such block');
    };
    liar.tell(blockGet, absent);
    liar.tell(blockRange, absent);
  });
  told(liar, 'block.put');
});

test('a node that never answers, though it is alive', async (t) => {
  const liar = await lied(await scene(t), (liar) => {
    const never = () => new Promise<never>(() => {});
    for (const method of [blockGet, blockRange, blockPut, blockHave]) liar.tell(method as typeof blockGet, never);
    liar.tell(registerBatch, never);
    liar.tell(journalAppend, never);
    liar.tell(journalFence, never);
  });
  told(liar, 'reg.batch');
});

test('a node that replays the first answer it gave about each register', async (t) => {
  const liar = await lied(await scene(t), (liar) => {
    const first = new Map<string, unknown>();
    liar.tell(registerBatch, async ({ calls }, truth) => {
      const answer = await truth();
      const replies = answer.replies.map((reply, i) => {
        const call = calls[i];
        if (call?.message.type !== 'read' || reply.type !== 'entry') return reply;
        const name = Buffer.from(call.address).toString('hex');
        if (!first.has(name)) first.set(name, { ...reply, committed: true });
        return first.get(name) as typeof reply;
      });
      return { ...answer, replies };
    });
  });
  told(liar, 'reg.batch');
});

test('a node that throws whatever comes to mind', async (t) => {
  const kinds = [
    'corrupt',
    'denied',
    'conflict',
    'full',
    'exists',
    'not-found',
    'lost',
    'internal',
    'unavailable',
  ] as const;
  await lied(await scene(t), (liar) => {
    let next = 0;
    const throws = () => {
      throw new InfinitError(kinds[next++ % kinds.length] as (typeof kinds)[number], 'so I say');
    };
    for (const method of [blockGet, blockRange, blockPut, blockHave, blockTouch])
      liar.tell(method as typeof blockGet, throws);
    liar.tell(registerBatch, throws);
    liar.tell(journalAppend, throws);
    liar.tell(journalFence, throws);
    liar.tell(journalRead, throws);
  });
});

for (const [days, name] of [
  [40, 'ahead'],
  [-40, 'behind'],
] as const)
  test(`a node whose clock is forty days ${name} harms nobody`, async (t) => {
    const all = await scene(t);
    const [writer, reader] = all.clients as [Device, Device];
    const first = await all.open(writer);
    await write(all, first, 1);
    const wrong = all.nodes[2] as Device;
    wrong.host.wallOffsetMs += days * 24 * 60 * 60 * 1000;
    await all.world.runFor(60_000);
    await write(all, first, 2);
    wrong.crash(false);
    wrong.host.restart();
    // It may come in or be refused; either is fine.
    const [other] = all.nodes as [Device];
    await all.world.settle(wrong.startNode([other.endpoint]).catch(() => {}));
    await all.world.runFor(60_000);
    await write(all, first, 3);
    await leave(all, writer);
    const second = await all.open(reader);
    await check(all, second, 3);
    await write(all, second, 4);
    await check(all, second, 4);
  });

test('a network whose every disk was set back is found out by a client that remembers', async (t) => {
  const all = await scene(t);
  const { world, nodes, clients, cluster } = all;
  const [writer, stranger] = clients as [Device, Device];
  const folder = '/home/data/blocks/disk';
  const copies = new Map<Device, { name: string; content: Buffer }[]>();
  const first = await all.open(writer);
  await write(all, first, 1);
  await leave(all, writer);
  for (const node of nodes) {
    node.crash(false);
    const { files } = node.host.restart();
    const names = (await world.settle(files.list(folder))).filter((name) => !name.startsWith('lock'));
    const read = async (name: string) => ({ name, content: await files.read(`${folder}/${name}`) });
    copies.set(node, await world.settle(Promise.all(names.map(read))));
  }
  const startAll = () => Promise.all(nodes.map((node) => node.startNode(nodes.map(({ endpoint }) => endpoint))));
  await world.settle(startAll());
  await world.runFor(10_000);
  writer.host.restart();
  const second = await all.open(writer);
  await write(all, second, 2);
  await world.runFor(5_000); // what was seen is on its disk
  await leave(all, writer);
  for (const node of nodes) {
    node.crash(false);
    const { files } = node.host.restart();
    for (const { name, content } of copies.get(node) ?? [])
      await world.settle(files.replace(`${folder}/${name}`, content));
    // What they remember of each other's stores goes too: nobody among them knows better.
    Object.assign(node.host, { databases: new DatabaseShelf() });
  }
  await world.settle(startAll());
  await world.runFor(10_000);
  writer.host.restart();
  await world.settle(writer.startClient([nodes[0]?.endpoint as Device['endpoint']]));
  await assert.rejects(
    world.settle(openStore(writer, cluster, false).then(({ keys }) => keys.get(utf8('k0')))),
    (error) => error instanceof InfinitError && error.kind === 'corrupt' && /rollback detected/.test(error.message),
  );
  // Who was never there cannot know.
  const innocent = await all.open(stranger);
  await check(all, innocent, 1);
});
