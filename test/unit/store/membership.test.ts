// Members of registers: who is to change a configuration, and to what.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { equalBytes, toHex } from '../../../src/core/base/bytes.ts';
import { InfinitError } from '../../../src/core/base/errors.ts';
import type { Member } from '../../../src/core/block/address.ts';
import type { Registers } from '../../../src/core/consensus/consensus.ts';
import type { HeldRegister } from '../../../src/core/consensus/register/service.ts';
import type { NodeRecord } from '../../../src/core/overlay/overlay.ts';
import type { Runtime } from '../../../src/core/runtime/runtime.ts';
import { Membership } from '../../../src/core/store/membership.ts';
import { wantedMembers } from '../../../src/core/store/wanted-members.ts';

const id = (byte: number) => Buffer.alloc(32, byte);
const storeId = (byte: number) => Buffer.alloc(8, byte);
const members: Member[] = [1, 2, 3].map((byte) => ({ node: id(byte), store: storeId(byte) }));
const emptied = storeId(9);

interface Asked {
  /** Configurations, and registers agreed on once more. */
  wanted: Member[] | undefined;
  settled: number;
}

interface Told {
  /** Registers nobody leads to. */
  lost?: number[];
  /** Node 1 has a new store. */
  emptied?: boolean;
  behind?: () => Member[];
  silent?: () => Member[];
}

/** The worker of a node that holds the register above, and what it asks for; `pass` lets that much time go by, and it looks. */
function worker(self: number, { lost = [], emptied: isEmptied = false, behind, silent }: Told = {}) {
  const replaced = (byte: number) => isEmptied && byte === 1;
  const records = members.map(({ node, store }) => ({
    id: node,
    stores: [replaced(node[0] as number) ? emptied : store],
  }));
  const asked: Asked = { wanted: undefined, settled: 0 };
  let now = 1e6;
  const membership = new Membership({
    runtime: { clock: { monotonic: () => now } } as unknown as Runtime,
    self: () => ({ node: id(self), store: replaced(self) ? emptied : storeId(self) }),
    overlay: {
      record: (node: Uint8Array) => records.find((record) => equalBytes(record.id, node)) as NodeRecord | undefined,
      liveness: () => 'alive',
    },
    absence: {
      holders: async (address) => {
        if (lost.includes(address[0] as number)) throw new InfinitError('unavailable', 'nobody leads there');
        return records as NodeRecord[];
      },
      isEvicted: () => false,
    },
    service: {
      async *held() {
        const config = { generation: 0, current: members, previous: undefined };
        for (const address of [6, 7])
          yield { address: id(address), image: { state: { config } }, committed: true } as unknown as HeldRegister;
      },
      retire: async () => false,
      forget: async () => 0,
    },
    registers: {
      read: async (address: Uint8Array) => ({ address, generation: 0, members, joint: false, deleted: false }),
      reconfigure: async (_: unknown, to: Member[]) => {
        asked.wanted = to;
      },
      lagging: async ({ address }: { address: Uint8Array }) => ({
        behind: address[0] === 6 ? (behind?.() ?? []) : [],
        silent: address[0] === 6 ? (silent?.() ?? []) : [],
      }),
      settle: async () => {
        asked.settled++;
      },
    } as unknown as Registers,
    replicationFactor: 3,
  });
  const pass = async (ms: number) => {
    now += ms;
    while (await membership.step(new AbortController().signal));
  };
  return { asked, pass, membership };
}

/** What is wanted when node 1 has a new store. */
async function asked(self: number, lost: number[] = []): Promise<Member[] | undefined> {
  const { asked, pass } = worker(self, { lost, emptied: true });
  await pass(0);
  return asked.wanted;
}

test('an emptied first member leaves the change to the next one', async () => {
  const wanted = await asked(2);
  assert.deepEqual(
    wanted?.map(({ store }) => toHex(store)),
    [emptied, storeId(2), storeId(3)].map(toHex),
  );
  assert.equal(await asked(3), undefined);
  assert.equal(await asked(1), undefined);
});

test('members that do not change one take their turns', async () => {
  const { asked, pass } = worker(3, { emptied: true });
  const wanted = () => asked.wanted?.length;
  await pass(0);
  await pass(29_000);
  assert.equal(wanted(), undefined);
  await pass(2_000);
  assert.equal(wanted(), 3);
});

test('a member that missed what was agreed on gets it, by the first member that knows', async () => {
  const isBehind = { behind: () => [members[2] as Member] };
  const [first, second] = [worker(1, isBehind), worker(2, isBehind)];
  const settled = () => [first.asked.settled, second.asked.settled];
  const pass = (ms: number) => Promise.all([first, second].map((one) => one.pass(ms)));
  await pass(0);
  await pass(4_000);
  assert.deepEqual(settled(), [0, 0]); // it may be on its way
  await pass(2_000);
  assert.deepEqual(settled(), [1, 0]);
  await pass(25_000);
  assert.deepEqual(settled(), [1, 0]);
  // It still is: not asked without end.
  for (let i = 0; i < 40; i++) await pass(1_000);
  assert.deepEqual(settled(), [2, 1]);
});

test('whether all have what was agreed on is asked after changes, and again while one does not say', async () => {
  let asks = 0;
  let quiet = true;
  const silent = () => {
    asks++;
    return quiet ? [members[2] as Member] : [];
  };
  const { pass, asked, membership } = worker(1, { silent });
  for (let i = 0; i < 130; i++) await pass(1_000);
  assert.equal(asks, 3);
  quiet = false;
  await pass(60_000);
  for (let i = 0; i < 30; i++) await pass(60_000);
  assert.deepEqual([asks, asked.settled], [4, 0]);
  membership.recheck();
  await pass(0);
  assert.equal(asks, 5);
});

test('a register nobody leads to at the moment holds up no other', async () => {
  assert.equal((await asked(2, [6]))?.length, 3);
  assert.equal(await asked(2, [6, 7]), undefined);
});

interface Given {
  current: number[];
  /** In the order of the ring from the address. */
  ring: number[];
  n?: number;
  dead?: number[];
  evicted?: number[];
  leaving?: number[];
  closed?: number[];
  emptied?: number[];
  moves?: boolean;
}

/** Names of the members wanted; `n'`: with its new store. */
function wanted({ current, ring, n = 3, moves = true, ...is }: Given): string {
  const has = (list: number[] | undefined, node: Uint8Array) => list?.includes(node[0] as number) ?? false;
  const record = (byte: number) =>
    ({
      id: id(byte),
      stores: [has(is.emptied, id(byte)) ? storeId(byte + 100) : storeId(byte)],
      leaving: has(is.leaving, id(byte)),
    }) as Partial<NodeRecord> as NodeRecord;
  const counted = ring.filter((byte) => !has(is.evicted, id(byte)));
  const open = counted.filter((byte) => !has(is.leaving, id(byte)) && !has(is.closed, id(byte)));
  const members = wantedMembers(
    current.map((byte) => ({ node: id(byte), store: storeId(byte) })),
    {
      replicationFactor: n,
      placed: open.slice(0, n).map(record),
      all: counted.slice(0, n).map(record),
      further: open.slice(0, n + current.length).map(record),
      record: (node) => record(node[0] as number),
      isAlive: (node) => !has(is.dead, node) && !has(is.evicted, node),
      isEvicted: (node) => has(is.evicted, node),
    },
    { moves },
  );
  return members.map(({ node, store }) => `${node[0]}${(store[0] as number) > 100 ? "'" : ''}`).join(' ');
}

test('which members are wanted (2.5, 2.10)', () => {
  const ring = [1, 2, 3, 4, 5];
  const cases: [Given, string][] = [
    [{ current: [1], ring }, '1 2 3'],
    [{ current: [1, 2, 3], ring }, '1 2 3'],
    // Away, not evicted: stays, and nobody away is taken in.
    [{ current: [1, 2, 3], ring, dead: [2] }, '1 2 3'],
    [{ current: [1], ring, dead: [2] }, '1 3 4'],
    [{ current: [1, 2, 3], ring, emptied: [2] }, "1 2' 3"],
    [{ current: [1, 2, 3], ring, evicted: [2] }, '1 3 4'],
    [{ current: [1, 2, 3], ring, leaving: [1] }, '2 3 4'],
    // Placement names another: only when that is a reason.
    [{ current: [1, 2, 4], ring }, '1 2 3'],
    [{ current: [1, 2, 4], ring, moves: false }, '1 2 4'],
    [{ current: [4, 5, 6], ring: [1, 2, 3, 4, 5, 6] }, '1 2 3'],
    // A full node keeps what it has and is given nothing.
    [{ current: [1, 2, 3], ring, closed: [2] }, '1 2 3'],
    [{ current: [1, 2], ring, closed: [3] }, '1 2 4'],
    // Nobody to take the place: who cannot come back is dropped where one more failure can be borne then.
    [{ current: [1, 2, 3], ring: [1, 2, 3], evicted: [3] }, '1 2 3'],
    [{ current: [1, 2, 3, 4, 5], ring, n: 5, evicted: [4, 5] }, '1 2 3'],
    [{ current: [1, 2, 3, 4, 5], ring, n: 5, evicted: [5] }, '1 2 3 4 5'],
    [{ current: [1, 2, 3], ring: [1, 2, 3], leaving: [3] }, '1 2'],
    [{ current: [1, 2], ring: [1, 2], leaving: [1] }, '2'],
    [{ current: [1], ring: [1], leaving: [1] }, '1'],
    [{ current: [1, 2, 3], ring, evicted: [1], leaving: [2] }, '3 4 5'],
  ];
  for (const [given, expected] of cases) assert.equal(wanted(given), expected, JSON.stringify(given));
});
