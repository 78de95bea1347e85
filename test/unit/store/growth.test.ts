// Growth of registers: who is to change a configuration when the store of its first member was emptied.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { equalBytes, toHex } from '../../../src/core/base/bytes.ts';
import type { Member } from '../../../src/core/block/address.ts';
import type { Registers } from '../../../src/core/consensus/consensus.ts';
import type { RegisterService } from '../../../src/core/consensus/register/service.ts';
import type { NodeRecord, Overlay } from '../../../src/core/overlay/overlay.ts';
import { Growth } from '../../../src/core/store/growth.ts';

const id = (byte: number) => Buffer.alloc(32, byte);
const storeId = (byte: number) => Buffer.alloc(8, byte);
const members: Member[] = [1, 2, 3].map((byte) => ({ node: id(byte), store: storeId(byte) }));
const emptied = storeId(9);

/** What the growth of a node asks for when the register above is held there and node 1 has a new store. */
async function asked(self: number): Promise<Member[] | undefined> {
  const records = members.map(({ node, store }) => ({ id: node, stores: [node[0] === 1 ? emptied : store] }));
  let wanted: Member[] | undefined;
  const overlay = {
    owners: async () => records,
    record: (node: Uint8Array) => records.find((record) => equalBytes(record.id, node)),
    liveness: () => 'alive',
  } as unknown as Overlay & { record(node: Uint8Array): NodeRecord | undefined };
  const config = { generation: 0, current: members, previous: undefined };
  const service = {
    async *held() {
      yield { address: id(7), image: { state: { config } }, committed: true };
    },
  } as unknown as RegisterService;
  const registers = {
    read: async () => ({ members, joint: false }),
    reconfigure: async (_: unknown, to: Member[]) => {
      wanted = to;
    },
  } as unknown as Registers;
  const growth = new Growth({ self: id(self), overlay, service, registers, replicationFactor: 3 });
  while (await growth.step(new AbortController().signal));
  return wanted;
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
