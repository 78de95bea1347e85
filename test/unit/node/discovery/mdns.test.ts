import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeMessage, encodeMessage } from '../../../../src/core/node/discovery/dns-message.ts';
import { Mdns } from '../../../../src/core/node/discovery/mdns.ts';
import { formatEndpoint } from '../../../../src/core/runtime/endpoint.ts';
import { createWorld, type World } from '../../../simulator/runtime/world.ts';

const group = { host: '224.0.0.251', port: 5353 };

function searcher(world: World, name: string, options: { network?: string; port?: number } = {}) {
  const found: string[] = [];
  const mdns = new Mdns({
    runtime: world.host(name).runtime,
    networkId: Buffer.from(options.network ?? 'net'),
    nodeId: Buffer.from(name),
    port: () => options.port,
    found: (place) => found.push(formatEndpoint(place)),
  });
  return { mdns, found };
}

/** Everything said to the group. */
async function listener(world: World) {
  const said: Buffer[] = [];
  const socket = await world.settle(
    world.host('ear').runtime.datagrams.open({ port: group.port, group: { address: group.host, by: 'ear' } }),
  );
  socket.onMessage((bytes) => said.push(bytes));
  return { said, socket };
}

test('nodes of one network find each other, whoever begins; those of another do not', async () => {
  const world = createWorld({ seed: 1 });
  const a = searcher(world, 'a', { port: 4000 });
  const b = searcher(world, 'b', { port: 5000 });
  const client = searcher(world, 'client');
  const other = searcher(world, 'other', { network: 'another', port: 6000 });
  for (const { mdns } of [a, other, b, client]) {
    assert.equal(await world.settle(mdns.start()), 1);
    await world.runFor(5000);
  }
  await world.runFor(5000);
  assert.deepEqual(a.found, ['b:5000']);
  assert.deepEqual(b.found, ['a:4000']);
  assert.deepEqual([...client.found].sort(), ['a:4000', 'b:5000']);
  assert.deepEqual(other.found, []);
  for (const { mdns } of [a, b, client, other]) mdns.stop();
});

test('messages that get lost come again', async () => {
  const world = createWorld({ seed: 2, link: { loss: 0.5 } });
  const a = searcher(world, 'a', { port: 4000 });
  const b = searcher(world, 'b');
  await world.settle(Promise.all([a.mdns.start(), b.mdns.start()]));
  await world.run(() => b.found.length > 0);
  a.mdns.stop();
  b.mdns.stop();
});

test('nothing but hashes is said, and goodbye at the end', async () => {
  const world = createWorld({ seed: 3 });
  const { said } = await listener(world);
  const a = searcher(world, 'a', { network: 'alice/secret-plans', port: 4000 });
  await world.settle(a.mdns.start());
  await world.runFor(3000);
  a.mdns.stop();
  await world.runFor(100);
  const all = Buffer.concat(said).toString('latin1');
  for (const word of ['alice', 'secret', Buffer.from('alice').toString('hex')]) assert.ok(!all.includes(word), word);
  const last = decodeMessage(said.at(-1) as Buffer);
  assert.ok(last.isAnswer && last.records.length === 3 && last.records.every(({ ttlSeconds }) => ttlSeconds === 0));
});

test('a plain asker is answered alone; one who knows, and a flood, are not', async () => {
  const world = createWorld({ seed: 4 });
  const { said, socket } = await listener(world);
  const a = searcher(world, 'a', { port: 4000 });
  await world.settle(a.mdns.start());
  await world.runFor(20_000);
  const name = ['_infinit', '_tcp', 'local'];
  const question = { name, type: 12, unicast: false };
  const answers = () => said.filter((bytes) => decodeMessage(bytes).isAnswer);
  const [known] = answers().map((bytes) => decodeMessage(bytes).records);
  said.length = 0;
  for (let i = 0; i < 100; i++)
    socket.send(encodeMessage({ id: 0, isAnswer: false, questions: [question], records: [] }), group);
  await world.runFor(1000);
  assert.equal(answers().length, 1);
  said.length = 0;
  socket.send(encodeMessage({ id: 0, isAnswer: false, questions: [question], records: known ?? [] }), group);
  await world.runFor(3000);
  assert.equal(answers().length, 0);
  const plain = await world.settle(world.host('plain').runtime.datagrams.open({ port: 0 }));
  const alone: Buffer[] = [];
  plain.onMessage((bytes) => alone.push(bytes));
  plain.send(encodeMessage({ id: 77, isAnswer: false, questions: [question], records: [] }), group);
  await world.runFor(1000);
  assert.equal(alone.length, 1);
  assert.equal(decodeMessage(alone[0] as Buffer).id, 77);
  assert.equal(answers().length, 0);
  a.mdns.stop();
});

test('liars are dialled where they are only, and rubbish does no harm', async () => {
  const world = createWorld({ seed: 5 });
  const a = searcher(world, 'a', { port: 4000 });
  const b = searcher(world, 'b');
  const { said, socket } = await listener(world);
  await world.settle(Promise.all([a.mdns.start(), b.mdns.start()]));
  await world.runFor(5000);
  const own = said.map((bytes) => decodeMessage(bytes)).find(({ isAnswer }) => isAnswer);
  assert.ok(own);
  const lie = own.records.map((record) => {
    const renamed = record.name.map((label, i) =>
      i === 0 && label.includes('-') ? `${label.slice(0, 17)}0123456789abcdef` : label,
    );
    return {
      ...record,
      name: renamed,
      data: record.data.type === 'a' ? { type: 'a' as const, address: '192.0.2.66' } : record.data,
    };
  });
  socket.send(encodeMessage({ ...own, records: lie }), group);
  const parts = fc.sample(fc.uint8Array({ maxLength: 400 }), { numRuns: 300, seed: 1 });
  for (const bytes of parts) socket.send(bytes, group);
  await world.runFor(2000);
  assert.deepEqual([...new Set(b.found)].sort(), ['a:4000', 'ear:4000']);
  a.mdns.stop();
  b.mdns.stop();
});
