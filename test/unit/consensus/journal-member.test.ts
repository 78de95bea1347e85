// The rules of a journal member, one by one (docs/protocols.md 4.2, 4.3), and what it finds again on its disk.

import assert from 'node:assert/strict';
import test from 'node:test';
import { isError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import type { JournalSegment, RootHeader } from '../../../src/core/consensus/consensus.ts';
import { nextChain, segmentStart, signChain } from '../../../src/core/consensus/journal/chain.ts';
import {
  type JournalChange,
  MemberJournal,
  tailOf,
  type VerifiedRoot,
} from '../../../src/core/consensus/journal/member.ts';
import { entriesOf, loadJournal, readBatches } from '../../../src/core/consensus/journal/member-store.ts';
import type { SignedBatch } from '../../../src/core/consensus/journal/messages.ts';
import { hash } from '../../../src/core/crypto/hash.ts';
import { keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import type { Runtime } from '../../../src/core/runtime/runtime.ts';
import { openMemorySilo } from '../../../src/core/silo/memory.ts';
import type { Silo } from '../../../src/core/silo/silo.ts';

const networkId = hash(Buffer.from('network'));
const tree = hash(Buffer.from('tree'));
const author = keyPairFromSeed(hash(Buffer.from('author')));
const user = author.publicKey;
const members = [{ node: Buffer.alloc(32, 1), store: Buffer.alloc(8, 1) }];
const segmentOf = (id: number, epoch: number, start: number): JournalSegment => ({ id, epoch, start, members });
const startOf = (segment: JournalSegment) => segmentStart(networkId, tree, segment);

function rootOf(epoch: number, segments: JournalSegment[], header: Partial<RootHeader> = {}): VerifiedRoot {
  return {
    author: user,
    access: 1,
    mine: segments,
    header: {
      format: 1,
      treeId: Buffer.alloc(16),
      epoch,
      state: 'active',
      leader: undefined,
      applied: 0,
      segments,
      gcGeneration: 0,
      sealed: Buffer.alloc(0),
      ...header,
    },
  };
}

/** Batches of one record each, chained. */
function chain(segment: JournalSegment, count: number): SignedBatch[] {
  let previous = startOf(segment).chain;
  return Array.from({ length: count }, (_, i) => {
    const first = segment.start + i;
    const data = Buffer.from(`record ${first}`);
    const after = nextChain(previous, { first, last: first, data });
    const batch = { first, last: first, previous, data, signature: signChain(author, after) };
    previous = after;
    return batch;
  });
}

function memorySilo(): Silo {
  let serial = 0;
  const random = { bytes: (count: number) => Buffer.alloc(count, ++serial) };
  return openMemorySilo({ type: 'memory' }, { random } as unknown as Runtime);
}

function opened(segment = segmentOf(1, 1, 1)): MemberJournal {
  const journal = new MemberJournal(startOf);
  assert.equal(journal.open(rootOf(segment.epoch, [segment]), segment.id, 0).answer.type, 'ok');
  return journal;
}
const append = (journal: MemberJournal, batch: SignedBatch, now = 0, epoch = 1, segment = 1) =>
  journal.append({ tree, segment, epoch, batch }, user, now).answer;

test('appends follow each other; what is held already is acknowledged again, what comes too soon is a gap', () => {
  const journal = opened();
  const [a, b, c] = chain(segmentOf(1, 1, 1), 3) as [SignedBatch, SignedBatch, SignedBatch];
  assert.deepEqual(append(journal, a), { type: 'ok', last: 1 });
  assert.deepEqual(append(journal, c), { type: 'gap', last: 1 });
  assert.deepEqual(append(journal, b), { type: 'ok', last: 2 });
  assert.deepEqual(append(journal, a), { type: 'ok', last: 2 });
  assert.throws(() => append(journal, { ...c, data: Buffer.from('forged') }), /not signed/);
  assert.throws(() => append(journal, { ...c, previous: a.previous }), /does not fit/);
  assert.throws(() => journal.append({ tree, segment: 1, epoch: 1, batch: c }, Buffer.alloc(32), 0), /another user/);
  assert.deepEqual(append(journal, c, 0, 1, 2), { type: 'closed' });
});

test("another writer's records in the same place are not acknowledged to this one (L1)", () => {
  const segment = segmentOf(1, 1, 1);
  const [a, b] = chain(segment, 2) as [SignedBatch, SignedBatch];
  const data = Buffer.from('other record 1');
  const after = nextChain(a.previous, { first: 1, last: 1, data });
  const other: SignedBatch = { ...a, data, signature: signChain(author, after) };
  const journal = opened(segment);
  append(journal, a);
  assert.deepEqual(append(journal, other), { type: 'fenced', epoch: 1 });
  append(journal, b);
  assert.deepEqual(append(journal, other), { type: 'fenced', epoch: 1 });
  assert.deepEqual(append(journal, { ...a, last: 2 }), { type: 'fenced', epoch: 1 });
  journal.trim(rootOf(1, [segment], { applied: 1 }));
  assert.deepEqual(append(journal, a), { type: 'ok', last: 2 });
  assert.deepEqual(append(journal, other), { type: 'fenced', epoch: 1 });
});

test('a fence waits for grants of lower epochs, then lower epochs are refused for good', () => {
  const segment = segmentOf(1, 1, 1);
  const journal = opened(segment);
  const [a, b] = chain(segment, 2) as [SignedBatch, SignedBatch];
  append(journal, a, 1000);
  const fencing = rootOf(2, [segment], { state: 'recovering' });
  assert.deepEqual(journal.fenceAt(fencing, 2000).answer, { type: 'wait', ms: limits.grantMs - 1000 });
  assert.equal(journal.fence, 1);
  const { answer } = journal.fenceAt(fencing, 1000 + limits.grantMs);
  assert.ok(answer.type === 'tails' && answer.tails[0]?.last === 1);
  assert.deepEqual(append(journal, b, 6000), { type: 'fenced', epoch: 2 });
  assert.deepEqual(journal.hold(1, 1, user, 6000).answer, { type: 'fenced', epoch: 2 });
  assert.deepEqual(journal.fenceAt(rootOf(1, [segment]), 6000).answer, { type: 'fenced', epoch: 2 });
  assert.deepEqual(journal.open(rootOf(1, [segment]), 1, 6000).answer, { type: 'fenced', epoch: 2 });
});

test('a released grant holds nobody up; records are read behind the fence only', () => {
  const segment = segmentOf(1, 1, 1);
  const journal = opened(segment);
  assert.throws(
    () => journal.mayRead(2, user),
    (error) => isError(error, 'denied'),
  );
  journal.release(1, 1, user);
  assert.equal(journal.fenceAt(rootOf(2, [segment]), 1).answer.type, 'tails');
  assert.equal(journal.mayRead(2, user), undefined);
  assert.deepEqual(journal.mayRead(1, user), { type: 'fenced', epoch: 2 });
});

test('only what the root contains is dropped or skipped', () => {
  const segment = segmentOf(1, 1, 1);
  const journal = opened(segment);
  const batches = chain(segment, 6);
  for (const batch of batches.slice(0, 3)) append(journal, batch);
  journal.trim(rootOf(1, [segment], { applied: 2 }));
  const kept = journal.segments.get(1);
  assert.deepEqual([kept?.base.last, kept?.batches.length], [2, 1]);
  const fifth = batches[4] as SignedBatch;
  const chained = nextChain(fifth.previous, fifth);
  const skip = { tree, segment: 1, through: 5, chain: chained, signature: fifth.signature, proof: Buffer.alloc(0) };
  assert.throws(() => journal.skip(skip, rootOf(1, [segment], { applied: 4 }), user), /only what the root contains/);
  assert.deepEqual(journal.skip(skip, rootOf(1, [segment], { applied: 5 }), user).answer, { type: 'ok', last: 5 });
  assert.deepEqual(append(journal, batches[5] as SignedBatch), { type: 'ok', last: 6 });
});

test('segments that a served root does not list are dropped, newer ones and those of a recovery are not', () => {
  const old = segmentOf(1, 1, 1);
  const journal = opened(old);
  for (const batch of chain(old, 2)) append(journal, batch);
  const fresh = segmentOf(2, 2, 3);
  journal.fenceAt(rootOf(2, [old], { state: 'recovering' }), limits.grantMs);
  journal.trim(rootOf(2, [], { state: 'recovering', applied: 2 }));
  assert.ok(journal.segments.has(1));
  journal.open(rootOf(2, [fresh], { applied: 2 }), 2, 0);
  assert.deepEqual([...journal.segments.keys()], [2]);
  append(journal, chain(fresh, 1)[0] as SignedBatch, 0, 2, 2);
  journal.trim(rootOf(2, [], { applied: 2 }));
  assert.ok(journal.segments.has(2));
});

test('a journal is found again on the disk; what lies behind a hole was never acknowledged and goes', async () => {
  const silo = memorySilo();
  const segment = segmentOf(1, 1, 1);
  const journal = new MemberJournal(startOf);
  const changes: JournalChange[] = [...journal.open(rootOf(1, [segment]), 1, 0).changes];
  const batches = chain(segment, 4);
  for (const batch of batches) changes.push(...journal.append({ tree, segment: 1, epoch: 1, batch }, user, 0).changes);
  const entries = entriesOf(tree, journal, changes).flat();
  // The third batch did not reach the disk.
  await silo.batch(entries.filter((_, i) => i !== 3));
  const found = await loadJournal(silo, tree);
  const held = found?.segments[0];
  assert.ok(found && held);
  assert.deepEqual([found.fence, tailOf(held).last], [1, 2]);
  const again = await loadJournal(silo, tree);
  assert.equal(again?.segments[0]?.batches.length, 2);
  const read = await readBatches(silo, tree, held, 2);
  assert.deepEqual(
    read.map(({ data }) => Buffer.from(data).toString()),
    ['record 2'],
  );
  assert.equal(await loadJournal(silo, hash(Buffer.from('another tree'))), undefined);
});

test('a root under a later access list outranks whatever was fenced under earlier ones, and those count no more', async () => {
  const journal = opened();
  const [first] = chain(segmentOf(1, 1, 1), 1);
  assert.ok(first);
  journal.append({ tree, segment: 1, epoch: 1, batch: first }, user, 0);
  // Who may not write any more makes up an epoch under the list that named him.
  const planted = segmentOf(9, 1e9, 1);
  assert.equal(journal.open(rootOf(1e9, [segmentOf(1, 1, 1), planted]), 9, 0).answer.type, 'ok');
  assert.equal(journal.hold(1, 1, user, 0).answer.type, 'fenced');
  const next = segmentOf(2, 2, 2);
  const later = { ...rootOf(2, [segmentOf(1, 1, 1), next]), access: 2 };
  const step = journal.open(later, 2, 0);
  assert.equal(step.answer.type, 'ok');
  assert.deepEqual([journal.fence, journal.access, [...journal.segments.keys()]], [2, 2, [1, 2]]);
  const denied = (error: unknown) => isError(error, 'denied');
  for (const epoch of [2, 1e9]) {
    const old = rootOf(epoch, [segmentOf(9, epoch, 1)]);
    assert.throws(() => journal.open(old, 9, 0), denied);
    assert.throws(() => journal.fenceAt(old, 0), denied);
    assert.throws(() => journal.trim(old), denied);
  }
  assert.deepEqual(journal.tidy(rootOf(1, [])).changes, []);
  const silo = memorySilo();
  for (const entries of entriesOf(tree, journal, [{ type: 'meta' }])) await silo.batch(entries);
  assert.equal((await loadJournal(silo, tree))?.access, 2);
});
