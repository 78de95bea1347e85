// Tables of Kouncil compared over a wire that counts bytes, with honest and with lying nodes at the other end.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex } from '../../../src/core/base/bytes.ts';
import { decode, encode } from '../../../src/core/base/codec.ts';
import { InfinitError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { hash } from '../../../src/core/crypto/hash.ts';
import { keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import { Directory } from '../../../src/core/overlay/directory.ts';
import type { Branch } from '../../../src/core/overlay/kouncil/hash-tree.ts';
import { type CompareRequest, ringCompare, ringTell } from '../../../src/core/overlay/kouncil/messages.ts';
import { Table } from '../../../src/core/overlay/kouncil/table.ts';
import { type RecordsRequest, ringRecords, type Standing } from '../../../src/core/overlay/messages.ts';
import { signRecord } from '../../../src/core/overlay/node-record.ts';
import type { NodeRecord, OverlayContext } from '../../../src/core/overlay/overlay.ts';
import type { Method, Peer } from '../../../src/core/peer/peer.ts';
import { createWorld } from '../../simulator/runtime/world.ts';

const { runtime } = createWorld({ seed: 1 }).host('here');

function recordOf(number: number, serial = 1): NodeRecord {
  const key = keyPairFromSeed(hash(Buffer.from(`key ${number}`)));
  return signRecord(key, {
    userKey: key.publicKey,
    endpoints: [{ host: 'somewhere', port: 1 }],
    positions: 4,
    zone: undefined,
    capacityBytes: 1,
    freeBytes: 1,
    stores: [],
    closed: false,
    leaving: false,
    credentials: Buffer.alloc(1200, number),
    serial,
  });
}

function tableOf(records: readonly NodeRecord[], certify: (record: NodeRecord) => void = () => {}) {
  const context = {
    runtime,
    peers: { self: { id: Buffer.alloc(32) } },
    self: () => undefined,
    certify,
  } as unknown as OverlayContext;
  const directory = new Directory(context, { liveness: () => 'alive', standing: () => ({ nodes: [], whole: false }) });
  const table = new Table(context, directory, () => 'alive');
  directory.onChange = (record) => table.enter(record);
  directory.learn(records, { known: true });
  return table;
}

/** The far end of a wire to the table; what it says may be another's. */
function wireTo(table: Table, lies: { compare?: (request: CompareRequest) => { items: Branch[] } } = {}) {
  const counted = { bytes: 0, calls: 0, told: 0 };
  const answers: Record<string, (request: never) => unknown> = {
    [ringCompare.name]: lies.compare ?? ((request: CompareRequest) => table.compare(request)),
    [ringRecords.name]: ({ ids }: RecordsRequest) => ({
      known: ids.flatMap((node) => {
        const record = table.directory.get(node);
        return record ? [{ record, liveness: 'alive' }] : [];
      }),
      whole: false,
      digest: '00'.repeat(8),
    }),
    [ringTell.name]: ({ known }: { known: Standing[] }) => {
      counted.told += known.length;
      table.directory.learn(known.map(({ record }) => record));
      return {};
    },
  };
  const call = async (method: Method<unknown, unknown>, request: unknown) => {
    const sent = encode(method.request, request);
    const answer = encode(method.response, answers[method.name]?.(decode(method.request, sent) as never));
    counted.calls++;
    counted.bytes += sent.length + answer.length;
    return decode(method.response, answer);
  };
  return { peer: { call } as unknown as Peer, counted };
}

async function merge(a: Table, peer: Peer): Promise<void> {
  const { theirs, ours } = await a.differences(peer);
  await a.take(theirs, peer);
  await a.tell(ours, peer);
}

test('two tables become one, and what travels is what they differ in', async () => {
  const common = Array.from({ length: 1000 }, (_, i) => recordOf(i));
  const costs: number[] = [];
  for (const differences of [0, 1, 10, 100]) {
    const a = tableOf(common);
    const b = tableOf(common);
    for (let i = 0; i < differences; i++) {
      const [table, record] = i % 2 ? [a, recordOf(i, 2)] : [b, recordOf(2000 + i)];
      table.directory.learn([record]);
    }
    const { peer, counted } = wireTo(b);
    await merge(a, peer);
    assert.equal(a.tree.digest(''), b.tree.digest(''));
    assert.equal(a.tree.size, 1000 + Math.ceil(differences / 2));
    costs.push(counted.bytes);
  }
  const record = encode(ringTell.request, { known: [{ record: recordOf(1), liveness: 'alive' }] }).length;
  const [none, one, ten, hundred] = costs as [number, number, number, number];
  assert.ok(none < 60, `nothing to say took ${none} bytes`);
  assert.ok(one < record + 1500, `one record of ${record} took ${one} bytes`);
  assert.ok(ten < 10 * (record + 1500), `ten took ${ten} bytes`);
  assert.ok(hundred < 100 * (record + 1500), `a hundred took ${hundred} bytes`);
});

test('an empty table takes everything over', async () => {
  const a = tableOf([]);
  const b = tableOf(Array.from({ length: 300 }, (_, i) => recordOf(i)));
  await merge(a, wireTo(b).peer);
  assert.equal(a.tree.digest(''), b.tree.digest(''));
});

test('a record that is refused is not asked for again, until there is another', async () => {
  const certify = (record: NodeRecord) => {
    if (record.serial % 2) throw new InfinitError('denied', 'nobody certified it');
  };
  const a = tableOf([], certify);
  const b = tableOf([recordOf(1, 3), recordOf(2, 4)]);
  const { peer, counted } = wireTo(b);
  await merge(a, peer);
  assert.equal(a.tree.size, 1);
  const before = counted.calls;
  await merge(a, peer);
  assert.equal(counted.calls, before + 1, 'one comparison, no request for records');
  b.directory.learn([recordOf(1, 6)]);
  await merge(a, peer);
  assert.equal(a.tree.digest(''), b.tree.digest(''));
});

test('two records of a liar with one serial end as one everywhere', async () => {
  const one = recordOf(1);
  const key = keyPairFromSeed(hash(Buffer.from('key 1')));
  const { id, publicKey, signature, ...statement } = one;
  const other = signRecord(key, { ...statement, positions: 9 });
  const [a, b] = [tableOf([one]), tableOf([other])];
  await merge(a, wireTo(b).peer);
  assert.equal(a.tree.digest(''), b.tree.digest(''));
  assert.equal(a.directory.get(toHex(id))?.positions, b.directory.get(toHex(id))?.positions);
});

test('a comparison ends, whatever the other answers', async () => {
  const a = tableOf(Array.from({ length: 100 }, (_, i) => recordOf(i)));
  const digests = Array.from({ length: 16 }, (_, i) => i.toString(16).repeat(16));
  const endless = wireTo(a, { compare: ({ items }) => ({ items: items.map(() => ({ type: 'children', digests })) }) });
  await a.differences(endless.peer);
  assert.ok(endless.counted.calls <= limits.compareCallsMax);
  const leaves = Array.from({ length: 16 }, (_, i) => ({
    node: toHex(hash(Buffer.from(`ghost ${i}`))),
    serial: 9,
    mark: 'ff'.repeat(8),
  }));
  const ghosts = wireTo(a, { compare: ({ items }) => ({ items: items.map(() => ({ type: 'leaves', leaves })) }) });
  await merge(a, ghosts.peer);
  assert.equal(a.tree.size, 100);
  const { theirs } = await a.differences(ghosts.peer);
  const before = ghosts.counted.calls;
  await a.take(theirs, ghosts.peer);
  assert.equal(ghosts.counted.calls, before, 'ghosts are asked for once');
});
