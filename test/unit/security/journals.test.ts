// Journal members against writers of other trees: every passport that allows writing may call them, so what they are shown and
// who shows it decides. Roots are no secret: whoever may ask an acceptor sees them, also those that were never chosen.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encode } from '../../../src/core/base/codec.ts';
import { isError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { nodeIdOf } from '../../../src/core/block/address.ts';
import { type RootHeader, rootHeader } from '../../../src/core/consensus/consensus.ts';
import { nextChain, segmentStart, signChain } from '../../../src/core/consensus/journal/chain.ts';
import {
  type JournalMethod,
  type JournalResponse,
  journalAppend,
  journalFence,
  journalHold,
  journalOpen,
  journalRead,
  journalSkip,
  journalTrim,
} from '../../../src/core/consensus/journal/messages.ts';
import { serveJournals } from '../../../src/core/consensus/journal/service.ts';
import type { KeyPair } from '../../../src/core/crypto/keys.ts';
import type { Handler, Method, Peers } from '../../../src/core/peer/peer.ts';
import { openMemorySilo } from '../../../src/core/silo/memory.ts';
import type { Silo } from '../../../src/core/silo/silo.ts';
import { imageOfState, keyOf, member, networkId, registerStateOf } from '../../fuzz/subjects.ts';
import { siloRuntime } from '../silo/runtime.ts';

const mallory = keyOf('mallory');
const self = { node: nodeIdOf(keyOf('node').publicKey), store: Buffer.alloc(8, 4) };
const segment = { id: 1, epoch: 1, start: 1, members: [self] };

interface JournalMember {
  silo: Silo;
  ask<Q>(as: KeyPair, method: JournalMethod<Q>, request: Q): Promise<JournalResponse['answer']>;
}

function journalMember(silo: Silo = openMemorySilo({ type: 'memory' }, siloRuntime())): JournalMember {
  const handlers = new Map<string, Handler<unknown, JournalResponse>>();
  const serve = (method: Method<unknown, unknown>, handler: Handler<unknown, JournalResponse>) =>
    void handlers.set(method.name, handler);
  const runtime = siloRuntime();
  serveJournals({
    runtime,
    peers: { serve } as unknown as Peers,
    silo,
    member: () => self,
    networkId,
    authors: { mayWrite: () => true, mayStore: () => true },
  });
  return {
    silo,
    ask: async (as, method, request) => {
      const handler = handlers.get(method.name);
      assert.ok(handler);
      const context = { from: { userKey: as.publicKey } } as unknown as Parameters<typeof handler>[1];
      return (await handler(request, context)).answer;
    },
  };
}

function root(changes: Partial<RootHeader> = {}, salt = Buffer.alloc(32, 1)): { tree: Uint8Array; proof: Uint8Array } {
  const header: RootHeader = {
    format: 1,
    treeId: Buffer.alloc(16, 1),
    epoch: 1,
    state: 'active',
    leader: undefined,
    applied: 0,
    segments: [segment],
    gcGeneration: 1,
    sealed: Buffer.alloc(0),
    ...changes,
  };
  const { address, bytes } = imageOfState(registerStateOf(salt, 2, encode(rootHeader, header)));
  return { tree: address, proof: bytes };
}

function batch(tree: Uint8Array, count: number) {
  const previous = segmentStart(networkId, tree, segment).chain;
  const body = { first: 1, last: count, data: Buffer.alloc(100, 1) };
  return { ...body, previous, signature: signChain(member, nextChain(previous, body)) };
}

const denied = (error: unknown) => isError(error, 'denied');

async function opened() {
  const journal = journalMember();
  const { tree, proof } = root();
  assert.equal((await journal.ask(member, journalOpen, { tree, segment: 1, proof })).type, 'ok');
  const appended = await journal.ask(member, journalAppend, { tree, segment: 1, epoch: 1, batch: batch(tree, 9) });
  assert.deepEqual(appended, { type: 'ok', last: 9 });
  return { journal, tree };
}

test('a root that somebody else signed neither opens, fences, trims nor skips', async () => {
  const { journal, tree } = await opened();
  const unchosen = root({ applied: 9 }).proof;
  const next = root({ epoch: 2, state: 'recovering' }).proof;
  await assert.rejects(journal.ask(mallory, journalTrim, { tree, proof: unchosen }), denied);
  await assert.rejects(journal.ask(mallory, journalFence, { tree, proof: next }), denied);
  await assert.rejects(journal.ask(mallory, journalOpen, { tree, segment: 1, proof: unchosen }), denied);
  const place = { through: 9, chain: Buffer.alloc(32), signature: Buffer.alloc(64) };
  await assert.rejects(journal.ask(mallory, journalSkip, { tree, segment: 1, proof: unchosen, ...place }), denied);
  const reading = { tree, epoch: 1, segment: 1, from: 1 };
  const read = await journal.ask(member, journalRead, reading);
  assert.equal(read.type === 'batches' && read.batches.length, 1);
  assert.deepEqual(await journal.ask(member, journalTrim, { tree, proof: unchosen }), { type: 'ok', last: 9 });
});

test('somebody else neither appends nor renews grants', async () => {
  const { journal, tree } = await opened();
  const request = { tree, segment: 1, epoch: 1 };
  await assert.rejects(journal.ask(mallory, journalHold, request), denied);
  await assert.rejects(journal.ask(mallory, journalAppend, { ...request, batch: batch(tree, 3) }), denied);
});

test('records are read by whoever fenced them, not by any passport', async () => {
  const { journal, tree } = await opened();
  const reading = { tree, epoch: 1, segment: 1, from: 1 };
  await assert.rejects(journal.ask(mallory, journalRead, reading), denied);
  assert.equal((await journal.ask(member, journalRead, reading)).type, 'batches');
  const restarted = journalMember(journal.silo);
  const unavailable = (error: unknown) => isError(error, 'unavailable');
  await assert.rejects(restarted.ask(mallory, journalRead, reading), unavailable);
  await assert.rejects(restarted.ask(member, journalRead, reading), unavailable);
});

test('a root of another tree proves nothing', async () => {
  const { journal, tree } = await opened();
  const { proof } = root({}, Buffer.alloc(32, 2));
  await assert.rejects(journal.ask(member, journalTrim, { tree, proof }), (error) => isError(error, 'corrupt'));
});

test('signed roots that name other members take no room', async (t) => {
  const adjustable = limits as { journalsPerMemberMax: number };
  const { journalsPerMemberMax } = limits;
  adjustable.journalsPerMemberMax = 3;
  t.after(() => (adjustable.journalsPerMemberMax = journalsPerMemberMax));
  const journal = journalMember();
  const open = (changes: Partial<RootHeader>, salt: number) => {
    const { tree, proof } = root(changes, Buffer.alloc(32, salt));
    return journal.ask(member, journalOpen, { tree, segment: 1, proof });
  };
  const elsewhere = { segments: [{ ...segment, members: [{ ...self, store: Buffer.alloc(8, 5) }] }] };
  for (let salt = 1; salt <= 6; salt++) assert.equal((await open(elsewhere, salt)).type, 'closed');
  for (let salt = 7; salt <= 9; salt++) assert.equal((await open({}, salt)).type, 'ok');
  await assert.rejects(open({}, 10), (error) => isError(error, 'full'));
});

test('a user has a share of the journals a node keeps, and no more', async (t) => {
  const adjustable = limits as { journalsPerUserMax: number };
  const { journalsPerUserMax } = limits;
  adjustable.journalsPerUserMax = 2;
  t.after(() => (adjustable.journalsPerUserMax = journalsPerUserMax));
  const journal = journalMember();
  const open = (salt: number) => {
    const { tree, proof } = root({}, Buffer.alloc(32, salt));
    return journal.ask(member, journalOpen, { tree, segment: 1, proof });
  };
  for (const salt of [1, 2, 1]) assert.equal((await open(salt)).type, 'ok');
  await assert.rejects(open(3), (error) => isError(error, 'full'));
  assert.equal((await open(2)).type, 'ok');
});
