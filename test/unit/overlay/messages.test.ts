import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Codec, decode, encode, fixed, list, struct, text } from '../../../src/core/base/codec.ts';
import { InfinitError } from '../../../src/core/base/errors.ts';
import { keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import { ringFind, ringLeave, ringNotify, ringState } from '../../../src/core/overlay/chord/messages.ts';
import { checkedAnswer, checkedRequest, outdates, unknownIn } from '../../../src/core/overlay/chord/trust.ts';
import { ringAbsent, ringCompare, ringTell } from '../../../src/core/overlay/kouncil/messages.ts';
import { ringGossip, ringRecords } from '../../../src/core/overlay/messages.ts';
import { signRecord } from '../../../src/core/overlay/node-record.ts';
import { entryOf } from '../../../src/core/overlay/ring.ts';

const node = (i: number) => i.toString(16).padStart(64, '0');
const a = entryOf(node(1), 0);
const b = entryOf(node(2), 63);
const record = signRecord(keyPairFromSeed(Buffer.alloc(32, 1)), {
  userKey: Buffer.alloc(32),
  endpoints: [],
  positions: 4,
  zone: undefined,
  capacityBytes: 0,
  freeBytes: 0,
  stores: [],
  closed: false,
  leaving: false,
  credentials: Buffer.alloc(0),
  serial: 1,
});

const values: [Codec<never>, unknown][] = [
  [
    ringState.request,
    {
      items: [
        { target: 3, held: '' },
        { target: 63, held: '0123456789abcdef' },
      ],
    },
  ],
  [
    ringState.response,
    {
      items: [undefined, { list: [a, b], pred: undefined }, { list: undefined, pred: b }],
      known: [node(3)],
      leaving: true,
    },
  ],
  [ringNotify.request, { items: [{ from: 1, target: 2, changed: true }] }],
  [ringFind.request, { keys: [node(9)], strict: true, want: 2 }],
  [
    ringFind.response,
    { answers: [undefined, { type: 'owners', after: a, entries: [b] }, { type: 'closer', entries: [a], behind: [] }] },
  ],
  [ringLeave.request, { positions: [{ self: a, list: [b], pred: undefined }], drained: true }],
  [
    ringGossip.request,
    {
      about: node(4),
      incarnation: 1_700_000_000_000,
      serial: 3,
      news: [
        { node: node(1), state: 'left', incarnation: 5, by: undefined },
        { node: node(2), state: 'suspect', incarnation: 5, by: node(1) },
      ],
    },
  ],
  [ringGossip.response, { reached: false, incarnation: 0, serial: 0, news: [] }],
  [
    ringCompare.request,
    {
      items: [
        { prefix: '', digest: '00000000000000aa' },
        { prefix: 'a0f', digest: '00000000000000ab' },
      ],
    },
  ],
  [
    ringCompare.response,
    {
      items: [
        { type: 'same' },
        { type: 'children', digests: ['00000000000000aa'] },
        { type: 'leaves', leaves: [{ node: node(1), serial: 5, mark: '00000000000000ff' }] },
      ],
    },
  ],
  [ringTell.request, { known: [] }],
  [ringAbsent.request, { held: '' }],
  [ringAbsent.response, { digest: '00000000000000aa', absent: [{ node: node(1), liveness: 'suspect' }] }],
  [ringRecords.request, { ids: [node(1)], held: 'ffffffffffffffff' }],
  [ringRecords.response, { known: undefined, whole: true, digest: '00000000000000aa' }],
] as never;

test('every message survives its encoding', () => {
  for (const [codec, value] of values) assert.deepEqual(decode(codec, encode(codec, value as never)), value);
  const full = { known: [{ record, liveness: 'suspect' as const }], whole: false, digest: '00000000000000aa' };
  const back = decode(ringRecords.response, encode(ringRecords.response, full));
  assert.deepEqual(encode(ringRecords.response, back), encode(ringRecords.response, full));
});

test('bytes of anybody never do more than throw `corrupt`', () => {
  fc.assert(
    fc.property(fc.nat(values.length - 1), fc.uint8Array({ maxLength: 200 }), fc.nat(60), (which, noise, at) => {
      const [codec, value] = values[which] as [Codec<never>, never];
      const bytes = encode(codec, value);
      for (const hostile of [noise, Buffer.concat([bytes.subarray(0, at), noise])])
        try {
          decode(codec, hostile);
        } catch (error) {
          assert.ok(error instanceof InfinitError && error.kind === 'corrupt', String(error));
        }
    }),
  );
});

test('a position index above the limit is corrupt', () => {
  const bytes = encode(ringState.request, { items: [{ target: 1, held: '' }] });
  bytes[4] = 128;
  assert.throws(() => decode(ringState.request, bytes), /limit/);
});

test('a branch is named by up to 16 hexadecimal digits', () => {
  for (const prefix of ['g', 'A', '0'.repeat(17)]) {
    const item = struct({ prefix: text(99), digest: fixed(8) });
    const bytes = encode(struct({ items: list(item, 9) }), { items: [{ prefix, digest: Buffer.alloc(8) }] });
    assert.throws(() => decode(ringCompare.request, bytes), { kind: 'corrupt' });
  }
});

test('positions nobody declared are dropped from what is heard', () => {
  const recordOf = (name: string) => (name === node(1) ? record : undefined);
  const ghost = entryOf(node(1), 4);
  const state = { items: [{ list: [a, ghost, b], pred: ghost }, undefined], known: [node(1), node(2)], leaving: false };
  assert.deepEqual(
    unknownIn('state', state, recordOf),
    [node(1), node(2)],
    'its record may be older than the position',
  );
  const declaredOnly = { ...state, items: [{ list: [a], pred: a }], known: [node(1)] };
  assert.deepEqual(unknownIn('state', declaredOnly, recordOf), []);
  const call = { method: 'state' as const, request: { items: [{ target: 0, held: '' }] } };
  assert.deepEqual(checkedAnswer(call, state, recordOf), {
    items: [{ list: [a], pred: undefined }],
    known: [node(1)],
    leaving: false,
  });
  const find = { method: 'find' as const, request: { keys: [node(5)], strict: false, want: 1 } };
  const heard = { answers: [{ type: 'owners' as const, after: ghost, entries: [a] }] };
  assert.deepEqual(checkedAnswer(find, heard, recordOf), { answers: [undefined] });

  const notify = {
    items: [
      { from: 3, target: 0, changed: false },
      { from: 4, target: 0, changed: false },
    ],
  };
  assert.equal(checkedRequest(node(1), 'notify', notify, recordOf).items.length, 1);
  assert.equal(checkedRequest(node(2), 'notify', notify, recordOf).items.length, 0);
  const leave = {
    positions: [
      { self: b, list: [a], pred: undefined },
      { self: a, list: [b, a], pred: b },
    ],
    drained: true,
  };
  assert.deepEqual(checkedRequest(node(1), 'leave', leave, recordOf), {
    positions: [{ self: a, list: [a], pred: undefined }],
    drained: true,
  });
});

test('who says goodbye for good, or speaks of places nobody knows, has another record than the one held', () => {
  const positions = record.positions;
  const notify = (from: number) => ({ items: [{ from, target: 0, changed: false }] });
  assert.equal(outdates('notify', notify(positions - 1), record), false);
  assert.equal(outdates('notify', notify(positions), record), true);
  const leave = (drained: boolean) => ({ positions: [], drained });
  assert.equal(outdates('leave', leave(false), record), false);
  assert.equal(outdates('leave', leave(true), record), true);
  assert.equal(outdates('leave', leave(true), { ...record, leaving: true }), false);
});
