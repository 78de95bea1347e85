// Sessions of clients with the leader over hours (docs/protocols.md 4.6): they expire by decision of the leader, what belongs to an
// expired one is never executed again in silence, and new work begins a new one.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decode, encode, struct, text, u64, union } from '../../../src/core/base/codec.ts';
import { InfinitError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { BaseTree } from '../../../src/core/tree/base/base-tree.ts';
import { LayeredReader } from '../../../src/core/tree/base/layered-reader.ts';
import type { NodeStore } from '../../../src/core/tree/base/node-store.ts';
import { Memtable } from '../../../src/core/tree/memtable.ts';
import { type Outcome, treeDo } from '../../../src/core/tree/messages.ts';
import { Sessions } from '../../../src/core/tree/sessions.ts';
import { add, get, type Opened, TreeWorld } from '../../fakes/fake-tree.ts';

const minute = 60_000;
const counting = union({ add: struct({ key: text(64) }) });

async function pair() {
  const w = new TreeWorld({ delayMs: [5, 10] });
  await w.found();
  const a = await w.open('a');
  const b = await w.open('b');
  await w.world.until(add(a.tree, 'x'));
  return { w, a, b, until: <T>(task: Promise<T>) => w.world.until(task) };
}

/** The leader is at work, as the time goes on. */
async function busyFor(w: TreeWorld, { tree }: Opened, timeMs: number): Promise<void> {
  for (const end = w.world.now + timeMs; w.world.now < end; ) {
    await w.world.until(add(tree, 'load'));
    await w.world.run(20_000);
  }
}

/** What a client of that name would send, said by this process. */
async function ask(w: TreeWorld, { peers }: Opened, leader: Opened, name: number, opSeq: number, acked: number) {
  const client = Buffer.alloc(16, 1);
  client.writeUInt32BE(name);
  const peer = await w.world.until(peers.connect({ id: leader.peers.self.id, endpoints: [leader.peers.endpoint] }));
  const operation = encode(counting, { type: 'add', key: `of ${name}` });
  const request = { treeId: w.treeId, client, opSeq, ackedThrough: acked, operation, generation: 0, chunks: [] };
  return peer.call(treeDo, { ...request, guard: undefined }, { timeoutMs: 60_000 });
}

describe('sessions over hours', () => {
  test('a client that was away for long goes on in a new session', async () => {
    const { w, a, b, until } = await pair();
    for (let i = 1; i <= 3; i++) assert.equal(await until(add(b.tree, 'y')), i);
    b.process.pause();
    await busyFor(w, a, 80 * minute);
    b.process.resume();
    assert.equal(await until(add(b.tree, 'y')), 4);
    assert.equal(await until(get(a.tree, 'y')), 4);
  });

  test('what is asked again after its session has expired is an error, and not executed', async () => {
    const { w, a, b, until } = await pair();
    assert.equal(await until(add(b.tree, 'y')), 1);
    // It expires with a sweep, which the leader makes every ten minutes; what is asked shortly before gets lost on the way.
    let isLost = false;
    const { connect } = b.peers;
    b.peers.connect = async (contact) => {
      const peer = await connect.call(b.peers, contact);
      const call: typeof peer.call = async (method, request, options) => {
        if (!isLost || method.name !== treeDo.name) return peer.call(method, request, options);
        await b.process.runtime.clock.sleep(2000);
        throw new InfinitError('unavailable', 'lost on the way');
      };
      return { ...peer, call };
    };
    await busyFor(w, a, 69.5 * minute);
    isLost = true;
    const asked = add(b.tree, 'y');
    asked.catch(() => {});
    await w.world.run(50_000);
    isLost = false;
    await assert.rejects(until(asked), /forgotten this client/);
    assert.equal(await until(get(a.tree, 'y')), 1);
    assert.equal(await until(add(b.tree, 'y')), 2);
  });

  test('thousands expire in time, while others are served, and none of what they ask again is executed', async () => {
    const { w, a, b, until } = await pair();
    const clients = 3000;
    for (let from = 0; from < clients; from += 100) {
      const some = Array.from({ length: 100 }, (_, i) => ask(w, b, a, from + i, 1, 0));
      for (const outcome of await until(Promise.all(some))) assert.equal(outcome.type, 'done');
    }
    await busyFor(w, a, 75 * minute);
    const again = Array.from({ length: clients }, (_, i) => ask(w, b, a, i, 2, 1));
    const outcomes: Outcome[] = await until(Promise.all(again));
    assert.deepEqual([...new Set(outcomes.map(({ type }) => type))], ['expired']);
    for (const name of [0, 1500, 2999]) assert.equal(await until(get(a.tree, `of ${name}`)), 1);
  });

  test('a client has a window of operations under way, and no more', async () => {
    const { w, a, b, until } = await pair();
    const values = await until(Promise.all(Array.from({ length: 300 }, () => add(b.tree, 'y'))));
    assert.deepEqual(
      [...values].sort((one, other) => one - other),
      Array.from({ length: 300 }, (_, i) => i + 1),
    );
    const outside = await until(ask(w, b, a, 7, limits.sessionWindowMax + 2, 0));
    assert.equal(outside.type, 'done', 'a client that is not known yet begins where it is');
    const further = await until(ask(w, b, a, 7, 2 * limits.sessionWindowMax + 9, 0));
    assert.ok(further.type === 'failed' && further.kind === 'full', further.type);
  });

  test('a leader keeps only so many at hand; what the others were answered it finds in the tree', async () => {
    const memtable = new Memtable({ bytesMax: limits.memtableBytesMax });
    const reader = new LayeredReader([memtable], new BaseTree({} as NodeStore));
    const sessions = new Sessions();
    const nameOf = (i: number) => {
      const client = Buffer.alloc(16);
      client.writeUInt32BE(i);
      return client;
    };
    for (let i = 0; i < limits.sessionsMax + 10; i++) {
      assert.equal((await sessions.admit(reader, nameOf(i), 1, 0)).type, 'new');
      const answer = { sequence: i, reply: encode(u64, i) };
      const effects = sessions.effects(nameOf(i), 1, 0, answer, true, 1000);
      memtable.apply(effects);
      sessions.applied(nameOf(i), 1, answer, effects);
    }
    for (const i of [0, 5, 9, 10, limits.sessionsMax]) {
      const again = await sessions.admit(reader, nameOf(i), 1, 0);
      assert.ok(again.type === 'answered' && decode(u64, again.answer.reply) === i);
    }
  });
});
