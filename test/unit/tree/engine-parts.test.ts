// Parts of the engine by themselves: the table of answers, the batcher, the marks of what is unacknowledged, the root.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Bytes, utf8 } from '../../../src/core/base/bytes.ts';
import { decode, encode } from '../../../src/core/base/codec.ts';
import { InfinitError, isError } from '../../../src/core/base/errors.ts';
import { type Deferred, deferred } from '../../../src/core/base/lifecycle.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { type JournalBatch, type JournalWriter, rootHeader } from '../../../src/core/consensus/consensus.ts';
import { keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import { boxKeyPair } from '../../../src/core/crypto/sealed-box.ts';
import { mayRead, mayWrite, openSecret } from '../../../src/core/tree/access.ts';
import { BaseTree } from '../../../src/core/tree/base/base-tree.ts';
import { LayeredReader } from '../../../src/core/tree/base/layered-reader.ts';
import type { NodeStore } from '../../../src/core/tree/base/node-store.ts';
import { ClientSession } from '../../../src/core/tree/client-session.ts';
import { needed } from '../../../src/core/tree/committer.ts';
import { JournalBatcher } from '../../../src/core/tree/journal-batcher.ts';
import { Memtable } from '../../../src/core/tree/memtable.ts';
import type { Change } from '../../../src/core/tree/messages.ts';
import { createTreeRoot, deriveTreeKeys, openRootBody } from '../../../src/core/tree/root.ts';
import { Sessions } from '../../../src/core/tree/sessions.ts';
import { TrackingReader, Unacknowledged } from '../../../src/core/tree/unacknowledged.ts';
import { Process, World } from '../../fakes/world.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));
const put = (key: string, sequence: number): Change => ({
  sequence,
  effects: [{ type: 'put', key: utf8(key), value: utf8('x') }],
});

describe('table of answers', () => {
  const client = Buffer.alloc(16, 7);
  const table = () => {
    const memtable = new Memtable();
    const reader = new LayeredReader([memtable], new BaseTree({} as NodeStore));
    let sessions = new Sessions();
    const execute = async (opSeq: number, ackedThrough: number, changes = true, now = 1000) => {
      const admitted = await sessions.admit(reader, client, opSeq, ackedThrough);
      if (admitted.type !== 'new') return admitted;
      const answer = { sequence: opSeq, reply: utf8(`r${opSeq}`) };
      const effects = sessions.effects(client, opSeq, ackedThrough, answer, changes, now);
      memtable.apply(effects);
      sessions.applied(client, opSeq, answer, effects);
      return admitted;
    };
    const restart = () => {
      sessions = new Sessions();
    };
    return { execute, restart, reader, expired: (now: number) => sessions.expired(reader, now), memtable };
  };

  test('an operation is answered from the table, by the same leader and by the next', async () => {
    const { execute, restart } = table();
    assert.equal((await execute(1, 0)).type, 'new');
    for (let i = 0; i < 2; i++) {
      const again = await execute(1, 0);
      assert.equal(again.type === 'answered' && Buffer.from(again.answer.reply).toString(), 'r1');
      restart();
    }
  });

  test('answers the client has are dropped, and their operations refused', async () => {
    const { execute, restart, reader } = table();
    for (let i = 1; i <= 100; i++) assert.equal((await execute(i, i - 1)).type, 'new');
    let records = 0;
    for await (const _ of reader.scan(utf8('s'), utf8('t'))) records++;
    assert.ok(records <= limits.sessionWindowMax / 4 + 1, `${records} records`);
    for (let i = 0; i < 2; i++) {
      await assert.rejects(execute(3, 2), (error) => isError(error, 'conflict'));
      restart();
    }
    await assert.rejects(execute(100 + limits.sessionWindowMax + 2, 100), (error) => isError(error, 'full'));
  });

  test('a session is forgotten after an hour of silence, and says so; one that changes nothing is recorded too', async () => {
    const { execute, restart, expired, memtable } = table();
    await execute(1, 0, false);
    restart();
    assert.equal((await execute(2, 1, false)).type, 'new');
    assert.deepEqual(await expired(1000 + 59 * 60_000), []);
    memtable.apply(await expired(1000 + 61 * 60_000));
    assert.equal((await execute(3, 2)).type, 'expired');
    assert.equal((await execute(1, 0)).type, 'new');
  });

  test('a client never runs a window ahead of its oldest open operation', async () => {
    const session = new ClientSession(client);
    for (let i = 1; i <= limits.sessionWindowMax; i++) assert.equal(await session.take(), i);
    let taken = 0;
    const next = session.take().then((value) => (taken = value));
    session.end(2);
    await turn();
    assert.equal(taken, 0);
    assert.equal(session.ackedThrough, 0);
    session.end(1);
    await next;
    assert.equal(taken, limits.sessionWindowMax + 1);
    assert.equal(session.ackedThrough, 2);
  });
});

class ManualWriter {
  readonly sent: { batch: JournalBatch; done: Deferred<void> }[] = [];
  append(batch: JournalBatch): Promise<void> {
    const done = deferred<void>();
    this.sent.push({ batch, done });
    return done.promise;
  }
}

function batcher() {
  const process = new Process(new World(), 'a');
  const writer = new ManualWriter();
  const told: number[] = [];
  const ended: InfinitError[] = [];
  const made = new JournalBatcher({
    clock: process.runtime.clock,
    writer: writer as unknown as JournalWriter,
    sequence: 0,
    seal: async () => Buffer.alloc(1),
    onAcknowledged: (changes) => told.push(...changes.map(({ sequence }) => sequence)),
    onEnded: (error) => ended.push(error),
  });
  return { made, writer, told, ended, world: process.world };
}

describe('journal batcher', () => {
  test('those of one turn leave together, and so does what comes meanwhile', async () => {
    const { made, writer, told, world } = batcher();
    made.add(put('k', 1), 10, true);
    await turn();
    assert.equal(writer.sent.length, 0);
    made.add(put('k', 2), 10, true);
    await world.run(0);
    for (let i = 3; i <= 5; i++) made.add(put('k', i), 10, true);
    await world.run(1);
    assert.deepEqual(
      writer.sent.map(({ batch }) => [batch.first, batch.last]),
      [[1, 2]],
    );
    writer.sent[0]?.done.resolve();
    await turn();
    assert.deepEqual(writer.sent.at(-1)?.batch.last, 5);
    assert.deepEqual(told, [1, 2]);
    const waited = made.wait(4);
    writer.sent[1]?.done.resolve();
    await waited;
    assert.deepEqual(told, [1, 2, 3, 4, 5]);
  });

  test('full batches do not wait, up to the bound in flight', async () => {
    const { made, writer } = batcher();
    for (let i = 1; i <= 30; i++) made.add(put('k', i), 600_000, true);
    await turn();
    assert.equal(writer.sent.length, limits.journalBatchesInFlightMax);
    assert.ok(made.unappendedBytes > limits.unappendedBytesMax);
    writer.sent[0]?.done.resolve();
    await turn();
    assert.equal(writer.sent.length, limits.journalBatchesInFlightMax + 1);
  });

  test('what is not durable waits a second, or for somebody who needs it', async () => {
    const { made, writer, world } = batcher();
    made.add(put('k', 1), 10, false);
    await world.run(900);
    assert.equal(writer.sent.length, 0);
    await world.run(200);
    assert.equal(writer.sent.length, 1);
    writer.sent[0]?.done.resolve();
    made.add(put('k', 2), 10, false);
    await turn();
    assert.equal(writer.sent.length, 1);
    void made.wait(2);
    await world.run(0);
    assert.equal(writer.sent.length, 2);
  });

  test('a commit acknowledges what it contains, in order, once', async () => {
    const { made, writer, told, world } = batcher();
    made.add(put('k', 1), 10, true);
    await world.run(0);
    for (let i = 2; i <= 3; i++) made.add(put('k', i), 10, true);
    const waited = made.wait(3);
    made.committed(3);
    await waited;
    assert.deepEqual(told, [1, 2, 3]);
    for (let i = 0; i < 2; i++) {
      writer.sent[i]?.done.resolve();
      await turn();
    }
    assert.deepEqual(told, [1, 2, 3]);
    assert.deepEqual(writer.sent.at(-1)?.batch.last, 3);
  });

  test('a fenced writer ends everything that waits', async () => {
    const { made, writer, ended, world } = batcher();
    made.add(put('k', 1), 10, true);
    await world.run(0);
    made.add(put('k', 2), 10, true);
    const waits = [made.wait(1), made.wait(2)];
    writer.sent[0]?.done.reject(new InfinitError('conflict', 'fenced'));
    for (const wait of waits) await assert.rejects(wait, (error) => isError(error, 'conflict'));
    assert.equal(ended.length, 1);
    await assert.rejects(made.wait(2), (error) => isError(error, 'conflict'));
  });
});

describe('what is unacknowledged', () => {
  test('a reader depends on just what it read', async () => {
    const marks = new Unacknowledged();
    marks.add(put('a', 1), true);
    marks.add(put('b', 2), false);
    marks.add({ sequence: 3, effects: [{ type: 'deleteRange', from: utf8('m'), to: utf8('p') }] }, true);
    const depends = async (read: (reader: TrackingReader) => unknown, volatileToo = true) => {
      const below = new LayeredReader([new Memtable()], new BaseTree({} as NodeStore));
      const reader = new TrackingReader(below, marks, volatileToo);
      await read(reader);
      return reader.dependsOn;
    };
    const get = (key: string) => (reader: TrackingReader) => reader.get(utf8(key));
    const scan = (from: string, to: string) => (reader: TrackingReader) => reader.scan(utf8(from), utf8(to));
    assert.equal(await depends(get('a')), 1);
    assert.equal(await depends(get('b')), 2);
    assert.equal(await depends(get('b'), false), 0);
    assert.equal(await depends(get('c')), 0);
    assert.equal(await depends(get('n')), 3);
    assert.equal(await depends(get('p')), 0);
    assert.equal(await depends(scan('a', 'b')), 1);
    assert.equal(await depends(scan('o', 'z')), 3);
    for (let i = 0; i < 300; i++) marks.add(put(`w${i}`, 3), false);
    assert.equal(await depends(scan('a', 'b')), 3);
    marks.add(put('a', 4), true);
    marks.acknowledged(put('a', 1));
    assert.equal(await depends(get('a')), 4);
    for (const sequence of [2, 3, 4])
      marks.acknowledged({ sequence, effects: put(sequence === 2 ? 'b' : 'a', 0).effects });
    assert.equal(await depends(scan('a', 'z')), 0);
  });
});

describe('root', () => {
  const random = new Process(new World(), 'a').runtime.random;
  const user = () => keyPairFromSeed(random.bytes(32));

  test('the secret opens for readers and, when world-readable, for members; for nobody else', () => {
    const [owner, reader, other] = [user(), user(), user()];
    const members = boxKeyPair(random.bytes(32));
    const base = { owner, treeId: random.bytes(16), users: [{ key: reader.publicKey, write: false }] };
    const closed = createTreeRoot(base, random);
    for (const one of [owner, reader]) assert.ok(openSecret(closed.access, one).equals(closed.secret));
    assert.throws(
      () => openSecret(closed.access, other, members),
      (error) => isError(error, 'denied'),
    );
    const world = createTreeRoot({ ...base, worldReader: members.publicKey }, random);
    assert.ok(openSecret(world.access, other, members).equals(world.secret));
    assert.throws(
      () => openSecret(world.access, other, boxKeyPair(random.bytes(32))),
      (error) => isError(error, 'corrupt'),
    );
  });

  test('the sealed part opens under the keys of its tree alone', () => {
    const made = createTreeRoot({ owner: user(), treeId: random.bytes(16) }, random);
    const header = decode(rootHeader, made.payload);
    assert.equal(header.state, 'idle');
    assert.equal(openRootBody(deriveTreeKeys(made.secret), header).height, 0);
    const refuse = (task: () => unknown) => assert.throws(task, (error) => isError(error, 'corrupt'));
    refuse(() => openRootBody(deriveTreeKeys(random.bytes(32)), header));
    refuse(() => openRootBody(deriveTreeKeys(made.secret), { ...header, treeId: random.bytes(16) }));
    refuse(() => openRootBody(deriveTreeKeys(made.secret), { ...header, sealed: header.sealed.subarray(0, 5) }));
    assert.ok(encode(rootHeader, header).equals(made.payload));
  });

  test('rights: owner, writers, the world, readers', () => {
    const [owner, writer, reader, other] = [user(), user(), user(), user()];
    const users = [
      { key: writer.publicKey, write: true },
      { key: reader.publicKey, write: false },
    ];
    const { access } = createTreeRoot({ owner, treeId: random.bytes(16), users }, random);
    const as = ({ publicKey }: { publicKey: Bytes }, write = true) => ({
      userKey: publicKey,
      rights: { write, storage: false, sign: false },
    });
    assert.deepEqual(
      [owner, writer, reader, other].map((one) => [mayWrite(access, as(one)), mayRead(access, as(one))]),
      [
        [true, true],
        [true, true],
        [false, true],
        [false, false],
      ],
    );
    assert.equal(mayWrite(access, as(writer, false)), false);
    assert.equal(mayWrite({ ...access, worldWrite: true }, as(other)), true);
    assert.equal(mayWrite({ ...access, worldWrite: true }, as(other, false)), false);
  });

  test('a segment is dropped from the root only when the root holds all of it', () => {
    const segment = (id: number, start: number) => ({ id, epoch: 1, start, members: [] });
    const segments = [segment(1, 1), segment(2, 11), segment(3, 11), segment(4, 21)];
    const ids = (applied: number) => needed(segments, applied).map(({ id }) => id);
    assert.deepEqual(ids(9), [1, 2, 3, 4]);
    assert.deepEqual(ids(10), [3, 4]);
    assert.deepEqual(ids(20), [4]);
    assert.deepEqual(ids(99), [4]);
  });
});
