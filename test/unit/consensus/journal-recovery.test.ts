// Takeover steps T3 and T4 (docs/protocols.md 4.5) beside members that lie: one of three that damages, invents, contradicts or refuses
// delays a takeover, and no more; two histories signed by one writer are an alarm.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encode } from '../../../src/core/base/codec.ts';
import { InfinitError, isError } from '../../../src/core/base/errors.ts';
import { registerAddress } from '../../../src/core/block/address.ts';
import { accessInClear } from '../../../src/core/block/register.ts';
import {
  type JournalSegment,
  type RegisterSnapshot,
  type RootHeader,
  rootHeader,
} from '../../../src/core/consensus/consensus.ts';
import type { JournalParts } from '../../../src/core/consensus/journal/ask.ts';
import { nextChain, segmentStart, signChain } from '../../../src/core/consensus/journal/chain.ts';
import { type JournalAnswer, journalFence, type SignedBatch } from '../../../src/core/consensus/journal/messages.ts';
import { recoverJournal } from '../../../src/core/consensus/journal/recover.ts';
import { hash } from '../../../src/core/crypto/hash.ts';
import { keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import type { Runtime } from '../../../src/core/runtime/runtime.ts';

const networkId = hash(Buffer.from('network'));
const writer = keyPairFromSeed(hash(Buffer.from('writer')));
const stranger = keyPairFromSeed(hash(Buffer.from('stranger')));
const tree = registerAddress(writer.publicKey, Buffer.alloc(16, 1));
const members = [1, 2, 3].map((n) => ({ node: Buffer.alloc(32, n), store: Buffer.alloc(8, n) }));
const segment: JournalSegment = { id: 1, epoch: 1, start: 1, members };
const start = segmentStart(networkId, tree, segment).chain;

const header: RootHeader = {
  format: 1,
  treeId: Buffer.alloc(16),
  epoch: 2,
  state: 'active',
  leader: undefined,
  applied: 0,
  segments: [segment],
  gcGeneration: 0,
  sealed: Buffer.alloc(0),
};
const root = {
  address: tree,
  proof: Buffer.from('proof'),
  payload: encode(rootHeader, header),
  access: accessInClear(writer.publicKey),
} as unknown as RegisterSnapshot;

/** A history of one-record batches signed by the writer. */
function history(texts: readonly string[], author = writer): SignedBatch[] {
  let previous: Uint8Array = start;
  return texts.map((text, i) => {
    const record = { first: i + 1, last: i + 1, data: Buffer.from(text) };
    const after = nextChain(previous, record);
    const batch = { ...record, previous, signature: signChain(author, after) };
    previous = after;
    return batch;
  });
}

type Ask = (name: string, from: number) => JournalAnswer;

function tails(batches: readonly SignedBatch[], changes: { last?: number; chain?: Uint8Array } = {}): JournalAnswer {
  const end = batches.at(-1);
  const chain = end ? nextChain(end.previous, end) : start;
  const tail = { segment: 1, author: writer.publicKey, last: batches.length, chain, ...changes };
  return { type: 'tails', tails: [tail] };
}

function honest(batches: readonly SignedBatch[]): Ask {
  return (name, from) =>
    name === journalFence.name
      ? tails(batches)
      : { type: 'batches', batches: batches.filter(({ last }) => last >= from) };
}

/** The liar's answers to the two questions. */
function liar(batches: readonly SignedBatch[], changes: Parameters<typeof tails>[1] = {}): Ask {
  return (name, from) => (name === journalFence.name ? tails(batches, changes) : honest(batches)(name, from));
}

/** What is recovered when the members answer so, each after as many turns as it stands from the first. */
async function recover(...answers: (Ask | undefined)[]): Promise<string[]> {
  const late = setTimeout(() => {}, 60_000);
  const call = async (n: number, name: string, { from = 0 }: { from?: number }) => {
    for (let turn = 0; turn < n * 3; turn++) await Promise.resolve();
    const ask = answers[n];
    if (!ask) throw new InfinitError('unavailable', 'nobody there');
    return { store: members[n]?.store, answer: ask(name, from) };
  };
  const peers = {
    get: (node: Uint8Array) => {
      const n = members.findIndex((member) => member.node[0] === node[0]);
      return { call: ({ name }: { name: string }, request: { from?: number }) => call(n, name, request) };
    },
  };
  const waits = { sleep: () => new Promise((done) => setImmediate(done)), after: timer };
  const runtime = { clock: waits, random: { below: () => 0 } } as unknown as Runtime;
  const parts = { runtime, peers, overlay: {}, networkId } as unknown as JournalParts;
  try {
    return (await recoverJournal(parts, root)).map(({ data }) => Buffer.from(data).toString());
  } finally {
    clearTimeout(late);
  }
}

/** The longest wait of a recovery, made short. */
function timer(_: number, then: () => void): () => void {
  const set = setTimeout(then, 300);
  return () => clearTimeout(set);
}

const full = ['a', 'b', 'c'];
const damagedSignature = history(full).map((batch) => ({ ...batch, signature: Buffer.alloc(64, 7) }));
const lies: Record<string, Ask> = {
  'damages signatures': liar(damagedSignature),
  'claims more than it can show': liar(history(full), { last: 1000 }),
  'claims more and sends nothing': (name) =>
    name === journalFence.name ? tails(history(full), { last: 9 }) : { type: 'batches', batches: [] },
  'invents a history of its own': liar(history([...full, 'd', 'e'], stranger)),
  'contradicts at the same place': liar(history(full), { chain: Buffer.alloc(32, 5) }),
  'contradicts at an earlier place': liar(history(['a', 'x'], stranger)),
  'is always fenced': () => ({ type: 'fenced', epoch: 99 }),
  'answers another question': () => ({ type: 'closed' }),
};

for (const [what, lie] of Object.entries(lies))
  test(`one of three members ${what}: the others' history is recovered`, async () => {
    const batches = history(full);
    for (const place of [0, 1, 2]) {
      const answers: Ask[] = [honest(batches), honest(batches)];
      answers.splice(place, 0, lie);
      assert.deepEqual(await recover(...answers), full);
    }
  });

test('a member that has fewer records is not believed against one that proves more', async () => {
  assert.deepEqual(await recover(honest(history(['a'])), honest(history(full)), undefined), full);
});

test('where too few members are left that can prove what they report, the reason is told', async () => {
  await assert.rejects(recover(liar(damagedSignature), liar(damagedSignature), honest(history(full))), (error) =>
    isError(error, 'corrupt'),
  );
  await assert.rejects(
    recover(
      () => ({ type: 'fenced', epoch: 7 }),
      () => ({ type: 'fenced', epoch: 7 }),
      honest(history(full)),
    ),
    (error) => isError(error, 'conflict') && error.data?.fencedBy === 7,
  );
});

test('two histories signed by the writer are an alarm', async () => {
  await assert.rejects(
    recover(honest(history(['a', 'b', 'c'])), honest(history(['a', 'b', 'x'])), undefined),
    (error) => isError(error, 'corrupt') && error.data?.alarm === 'journal-fork',
  );
  await assert.rejects(
    recover(honest(history(['a', 'b', 'c'])), honest(history(['a', 'y'])), undefined),
    (error) => isError(error, 'corrupt') && error.data?.alarm === 'journal-fork',
  );
});

test('whatever one member says, what a majority of the others holds is in what is recovered', async () => {
  const batches = history(full);
  const own = history(['a', 'b', 'q', 'r'], stranger);
  const answers = fc.constantFrom<JournalAnswer>(
    tails(batches),
    tails(own),
    tails([]),
    tails(batches, { last: 2 }),
    { type: 'batches', batches },
    { type: 'batches', batches: own },
    { type: 'batches', batches: batches.slice(1) },
    { type: 'batches', batches: damagedSignature },
    { type: 'fenced', epoch: 3 },
    { type: 'closed' },
  );
  await fc.assert(
    fc.asyncProperty(fc.infiniteStream(answers), fc.nat(2), async (stream, place) => {
      const others = [honest(batches), honest(batches)];
      others.splice(place, 0, () => stream.next().value as JournalAnswer);
      assert.deepEqual(await recover(...others), full);
    }),
    { numRuns: 200 },
  );
});
