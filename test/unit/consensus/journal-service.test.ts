// A store's side of journals over a silo whose writes fail (docs/protocols.md 4.3): what was not durable was never acknowledged,
// and what is in memory afterwards is what is on the disk, once.

import assert from 'node:assert/strict';
import test from 'node:test';
import { toHex } from '../../../src/core/base/bytes.ts';
import { encode } from '../../../src/core/base/codec.ts';
import { InfinitError } from '../../../src/core/base/errors.ts';
import { type Deferred, deferred } from '../../../src/core/base/lifecycle.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { registerAddress } from '../../../src/core/block/address.ts';
import { accessInClear } from '../../../src/core/block/register.ts';
import { signBatch } from '../../../src/core/block/register-batch.ts';
import { imageOf, registerValueHash, signAccessList, signGenesis } from '../../../src/core/block/register-validity.ts';
import {
  type JournalSegment,
  type RegisterSnapshot,
  type RootHeader,
  rootHeader,
} from '../../../src/core/consensus/consensus.ts';
import { nextChain, segmentStart, signChain } from '../../../src/core/consensus/journal/chain.ts';
import { loadJournal } from '../../../src/core/consensus/journal/member-store.ts';
import {
  type JournalMethod,
  type JournalResponse,
  journalAppend,
  journalOpen,
  type SignedBatch,
} from '../../../src/core/consensus/journal/messages.ts';
import { serveJournals } from '../../../src/core/consensus/journal/service.ts';
import { hash } from '../../../src/core/crypto/hash.ts';
import { keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import type { CallContext, Handler, Peers } from '../../../src/core/peer/peer.ts';
import type { Runtime } from '../../../src/core/runtime/runtime.ts';
import { openMemorySilo } from '../../../src/core/silo/memory.ts';
import type { Silo } from '../../../src/core/silo/silo.ts';

const networkId = hash(Buffer.from('network'));
const owner = keyPairFromSeed(hash(Buffer.from('owner')));
const salt = Buffer.alloc(16, 1);
const tree = registerAddress(owner.publicKey, salt);
const member = { node: Buffer.alloc(32, 1), store: Buffer.alloc(8, 1) };
const segment: JournalSegment = { id: 1, epoch: 1, start: 1, members: [member] };

const header: RootHeader = {
  format: 1,
  treeId: Buffer.alloc(16),
  epoch: 1,
  state: 'active',
  leader: undefined,
  applied: 0,
  segments: [segment],
  gcGeneration: 0,
  sealed: Buffer.alloc(0),
};

/** A signed root of epoch 1 that lists the segment. */
function proof(): Buffer {
  const payload = encode(rootHeader, header);
  const access = signAccessList(owner, networkId, tree, accessInClear(owner.publicKey));
  const genesis = signGenesis(owner, networkId, salt, [member]);
  const head = { version: 1, lineage: [], aclVersion: 1, payload, deleted: false };
  const unsigned = { ...head, author: owner.publicKey, passportHash: Buffer.alloc(32) };
  const [signature] = signBatch(owner, [registerValueHash(networkId, tree, unsigned)]);
  assert.ok(signature);
  const config = { generation: 0, current: [member], previous: undefined };
  return imageOf(networkId, tree, { config, access, genesis, value: { ...unsigned, signature } }).bytes as Buffer;
}

function batches(count: number): SignedBatch[] {
  let previous = segmentStart(networkId, tree, segment).chain;
  return Array.from({ length: count }, (_, i) => {
    const record = { first: i + 1, last: i + 1, data: Buffer.from(`record ${i + 1}`) };
    const batch = { ...record, previous, signature: signChain(owner, nextChain(previous, record)) };
    previous = nextChain(previous, record);
    return batch;
  });
}

/** The service, and its writes: each waits in `writes` while `slow`. */
function served(
  silo: Silo = openMemorySilo({ type: 'memory' }, { random: { bytes: () => member.store } } as unknown as Runtime),
) {
  const writes: Deferred<void>[] = [];
  const held = { slow: false };
  const slowSilo: Silo = Object.assign(Object.create(silo) as Silo, {
    batch: async (entries: Parameters<Silo['batch']>[0]) => {
      if (held.slow) {
        const write = deferred();
        writes.push(write);
        await write.promise;
      }
      await silo.batch(entries);
    },
  });
  const handlers = new Map<string, Handler<never, JournalResponse>>();
  const peers = {
    serve: ({ name }: { name: string }, handler: Handler<never, JournalResponse>) => handlers.set(name, handler),
  } as unknown as Peers;
  const runtime = { clock: { monotonic: () => 0, sleep: async () => {} } } as unknown as Runtime;
  const authors = { mayWrite: () => true, mayStore: () => true };
  const service = serveJournals({ runtime, peers, silo: slowSilo, member: () => member, networkId, authors });
  const call = async <Q>(method: JournalMethod<Q>, request: Q) => {
    const handler = handlers.get(method.name) as unknown as Handler<Q, JournalResponse>;
    return (await handler(request, { from: { userKey: owner.publicKey } } as unknown as CallContext)).answer;
  };
  const append = (batch: SignedBatch | undefined) => {
    assert.ok(batch);
    return call(journalAppend, { tree, segment: 1, epoch: 1, batch });
  };
  return { append, open: () => call(journalOpen, { tree, segment: 1, proof: proof() }), writes, held, service, silo };
}

const turns = () => new Promise((resolve) => setImmediate(resolve));
const full = () => new InfinitError('full', 'the disk is full');

test('after several failed writes there is one journal in memory, and it is that of the disk', async () => {
  const { append, open, writes, held } = served();
  const [first, second, third] = batches(3);
  assert.deepEqual(await open(), { type: 'ok', last: 0 });
  held.slow = true;
  const lost = [append(first), append(second), append(third)];
  const outcomes = Promise.allSettled(lost);
  await turns();
  assert.equal(writes.length, 3);
  writes[0]?.reject(full());
  await turns();
  held.slow = false;
  // Asked between the failures: it waits for what is still being written.
  const again = append(first);
  await turns();
  writes[1]?.reject(full());
  await turns();
  writes[2]?.reject(full());
  assert.deepEqual(await again, { type: 'ok', last: 1 });
  assert.deepEqual(await append(second), { type: 'ok', last: 2 });
  assert.deepEqual(
    (await outcomes).map(({ status }) => status),
    ['rejected', 'rejected', 'rejected'],
  );
});

test('an answer waits for all that was asked before, also when its own write was faster', async () => {
  const { append, open, writes, held } = served();
  const [first, second] = batches(2);
  await open();
  held.slow = true;
  const answered: string[] = [];
  const both = [first, second].map((batch, i) => append(batch).then(() => answered.push(`${i + 1}`)));
  await turns();
  writes[1]?.resolve();
  await turns();
  assert.deepEqual(answered, []);
  writes[0]?.resolve();
  await Promise.all(both);
  assert.deepEqual(answered, ['1', '2']);
});

/** The root as it is agreed, with another header. */
const agreed = (change: Partial<RootHeader>, deleted = false) =>
  ({
    address: tree,
    payload: encode(rootHeader, { ...header, ...change }),
    deleted,
    author: owner.publicKey,
    access: { version: 1 } as RegisterSnapshot['access'],
  }) as Partial<RegisterSnapshot> as RegisterSnapshot;

test('what an agreed root does not list goes, the fence stays (L7); nothing goes by a root that is recovering', async () => {
  const { append, open, service, silo } = served();
  const [first, second] = batches(2);
  await open();
  await append(first);
  const kept = async () => (await loadJournal(silo, tree)) as { fence: number; segments: unknown[] };
  assert.equal(await service.follow(agreed({})), true);
  assert.equal(await service.follow(agreed({ epoch: 2, state: 'recovering' })), true);
  assert.equal(await service.follow(agreed({ epoch: 2, state: 'recovering', segments: [] })), false);
  assert.equal((await kept()).segments.length, 1);
  const others = [{ ...segment, id: 2, epoch: 2, start: 2, members: [{ ...member, node: Buffer.alloc(32, 9) }] }];
  assert.equal(await service.follow(agreed({ epoch: 2, applied: 1, segments: others })), false);
  const after = await kept();
  assert.deepEqual([after.fence, after.segments.length], [1, 0]);
  assert.deepEqual(await append(second), { type: 'closed' });
});

test('a root of an epoch before the fence changes nothing', async () => {
  const { append, open, service, silo } = served();
  await open();
  await append(batches(1)[0]);
  assert.equal(await service.follow(agreed({ epoch: 0, state: 'idle', segments: [] })), false);
  assert.equal((await loadJournal(silo, tree))?.segments.length, 1);
});

test('the journal of a deleted tree goes whole', async () => {
  const { append, open, service, silo } = served();
  await open();
  await append(batches(1)[0]);
  const trees: string[] = [];
  for await (const address of service.trees()) trees.push(toHex(address));
  assert.deepEqual(trees, [toHex(tree)]);
  assert.equal(await service.follow(agreed({}, true)), false);
  assert.equal(await loadJournal(silo, tree), undefined);
  for await (const key of silo.list('journal')) assert.fail(`left: ${toHex(key)}`);
});

test('the journal of a deleted tree leaves its place to the next one of its writer', async (t) => {
  const adjustable = limits as { journalsPerUserMax: number };
  const { journalsPerUserMax } = limits;
  adjustable.journalsPerUserMax = 1;
  t.after(() => (adjustable.journalsPerUserMax = journalsPerUserMax));
  const { open, service } = served();
  assert.deepEqual(await open(), { type: 'ok', last: 0 });
  await service.remove(tree);
  assert.deepEqual(await open(), { type: 'ok', last: 0 });
});

for (const [rotten, where] of [
  [2, 'in the middle'],
  [3, 'at the end'],
] as const)
  test(`a batch ${where} whose name has rotted is no hole: nothing is shortened, nothing removed`, async () => {
    const { append, open, silo } = served();
    await open();
    for (const batch of batches(3)) await append(batch);
    // As a silo on a disk that has a damaged header: no list shows the record, and reading it fails.
    const names = [];
    for await (const key of silo.list('journal')) names.push(toHex(key));
    const hidden = names[rotten - 1];
    const damaged: Silo = Object.assign(Object.create(silo) as Silo, {
      async *list(...words: Parameters<Silo['list']>) {
        for await (const key of silo.list(...words)) if (toHex(key) !== hidden) yield key;
      },
    });
    await assert.rejects(loadJournal(damaged, tree), { kind: 'corrupt' });
    assert.equal((await loadJournal(silo, tree))?.segments[0]?.batches.length, 3);
    const restarted = served(damaged);
    await assert.rejects(restarted.open(), { kind: 'corrupt' });
    // The leader takes another ensemble; then this store is not waited for.
    await assert.rejects(restarted.service.follow(agreed({})), { kind: 'corrupt' });
    assert.equal(await restarted.service.follow(agreed({ epoch: 2, applied: 3, segments: [] })), false);
  });

test('what stands behind a hole that was never written goes', async () => {
  const { append, open, silo } = served();
  await open();
  for (const batch of batches(3)) await append(batch);
  const names = [];
  for await (const key of silo.list('journal')) names.push(key);
  await silo.delete('journal', names[1] as Buffer);
  assert.equal((await loadJournal(silo, tree))?.segments[0]?.batches.length, 1);
  assert.equal(await silo.size('journal', names[2] as Buffer), undefined);
});

async function* none(): AsyncGenerator<{ address: Uint8Array }> {}

/** A silo of which values rot when told, and are sound again when they are put. */
function rottable() {
  const silo = openMemorySilo({ type: 'memory' }, { random: { bytes: () => member.store } } as unknown as Runtime);
  const rotten = new Set<string>();
  const sound = (key: Uint8Array) => {
    if (rotten.has(toHex(key))) throw new InfinitError('corrupt', 'a stored journal fails its checksum');
  };
  const wrapped: Silo = Object.assign(Object.create(silo) as Silo, {
    get: async (...words: Parameters<Silo['get']>) => silo.get(...words).finally(() => sound(words[1])),
    getRange: async (...words: Parameters<Silo['getRange']>) => silo.getRange(...words).finally(() => sound(words[1])),
    batch: async (entries: Parameters<Silo['batch']>[0]) => {
      await silo.batch(entries);
      for (const { key } of entries) rotten.delete(toHex(key));
    },
  });
  return { silo: wrapped, rotten };
}

test('a batch that has rotted is replaced by what its writer signed in that place, and by nothing else', async () => {
  const { silo, rotten } = rottable();
  const { append, open } = served(silo);
  await open();
  const sent = batches(3);
  for (const batch of sent) await append(batch);
  const names: Buffer[] = [];
  for await (const key of silo.list('journal')) names.push(Buffer.from(key));
  const [, second] = names as [Buffer, Buffer];
  rotten.add(toHex(second));
  const { service } = served(silo);
  assert.deepEqual(await service.treeOf(second, none()), tree);
  const stranger = keyPairFromSeed(hash(Buffer.from('stranger')));
  const [first, good, third] = sent as [SignedBatch, SignedBatch, SignedBatch];
  const other = { ...good, data: Buffer.from('record X') };
  const forged = { ...other, signature: signChain(stranger, nextChain(other.previous, other)) };
  for (const shown of [undefined, first, third, other, forged, { ...third, first: 2, last: 2 }]) {
    await service.mend(agreed({}), second, async () => shown);
    await assert.rejects(silo.get('journal', second), { kind: 'corrupt' }, 'it stays until there is a good one');
  }
  const asked: unknown[] = [];
  await service.mend(agreed({}), second, async (place, members) => {
    asked.push(place, members);
    return good;
  });
  assert.deepEqual(asked, [{ segment: 1, first: 2, last: 2 }, segment.members]);
  assert.equal((await loadJournal(silo, tree))?.segments[0]?.batches.length, 3);
  assert.ok((await silo.get('journal', second)).includes('record 2'));
});

test('a batch that has rotted goes when the root needs its segment no more, and not before', async () => {
  const { silo, rotten } = rottable();
  const { append, open } = served(silo);
  await open();
  for (const batch of batches(2)) await append(batch);
  const names: Buffer[] = [];
  for await (const key of silo.list('journal')) names.push(Buffer.from(key));
  const [first] = names as [Buffer];
  rotten.add(toHex(first));
  const { service } = served(silo);
  const nobody = async () => undefined;
  const later = { epoch: 2, applied: 2, segments: [] };
  for (const root of [{}, { ...later, epoch: 1 }, { ...later, state: 'recovering' as const }])
    await service.mend(agreed(root), first, nobody);
  await assert.rejects(silo.get('journal', first), { kind: 'corrupt' });
  await service.mend(agreed(later), first, nobody);
  assert.equal(await silo.size('journal', first), undefined);
  assert.equal(await service.follow(agreed(later)), false);
});

test('the record of a journal that has rotted, its fence with it, is written anew from memory', async () => {
  const { silo, rotten } = rottable();
  const { append, open, service } = served(silo);
  await open();
  for (const batch of batches(2)) await append(batch);
  const names: Buffer[] = [];
  for await (const key of silo.list('journal')) names.push(Buffer.from(key));
  const meta = names.at(-1) as Buffer;
  rotten.add(toHex(meta));
  assert.deepEqual(await service.treeOf(meta, none()), tree);
  await service.mend(agreed({}), meta, async () => undefined);
  assert.equal((await loadJournal(silo, tree))?.fence, 1);
});

test('nobody remembers it: the journal begins anew behind the agreed root, once that does not count on this store', async () => {
  const { silo, rotten } = rottable();
  const { append, open } = served(silo);
  await open();
  for (const batch of batches(2)) await append(batch);
  const names: Buffer[] = [];
  for await (const key of silo.list('journal')) names.push(Buffer.from(key));
  const meta = names.at(-1) as Buffer;
  rotten.add(toHex(meta));
  const { service } = served(silo);
  const mend = (root: Partial<RootHeader>) => service.mend(agreed(root), meta, async () => undefined);
  assert.equal(await service.treeOf(meta, none()), undefined);
  async function* held() {
    yield* [{ address: hash(Buffer.from('another')) }, { address: tree }];
  }
  assert.deepEqual(await service.treeOf(meta, held()), tree);
  for (const root of [{}, { epoch: 5, segments: [], state: 'recovering' as const }]) await mend(root);
  await assert.rejects(loadJournal(silo, tree), { kind: 'corrupt' }, 'it would answer with a shorter tail');
  await mend({ epoch: 5, applied: 2, segments: [] });
  assert.deepEqual(await loadJournal(silo, tree), { fence: 5, access: 1, segments: [] });
  for (const name of names.slice(0, -1)) assert.equal(await silo.size('journal', name), undefined);
});
