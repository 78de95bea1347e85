// Leaving for good (docs/protocols.md 1.7): nothing is said to be safe before others have everything.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { InfinitError, isError } from '../../../src/core/base/errors.ts';
import type { Member } from '../../../src/core/block/address.ts';
import type { HeldRegister } from '../../../src/core/consensus/register/service.ts';
import type { NodeRecord } from '../../../src/core/overlay/overlay.ts';
import type { Runtime } from '../../../src/core/runtime/runtime.ts';
import { Drain } from '../../../src/core/store/drain.ts';

const id = (byte: number) => Buffer.alloc(32, byte);
const member = (byte: number): Member => ({ node: id(byte), store: Buffer.alloc(8, byte) });
const record = (byte: number) =>
  ({ id: id(byte), stores: [member(byte).store], leaving: false, closed: false }) as Partial<NodeRecord> as NodeRecord;

/** Node 1 among others; what happens between two looks is done by `onSleep`. */
class Around {
  others = [2, 3, 4];
  /** By block, the nodes that confirm it. */
  readonly confirming = new Map([10, 11, 12].map((block) => [block, new Set([2, 3, 4])]));
  readonly garbage = new Set<number>();
  /** By block, the nodes that know a sweep which does not want it. */
  readonly refusing = new Map<number, Set<number>>();
  registers: Member[][] = [];
  journals = 0;
  readonly said: boolean[] = [];
  sleeps = 0;
  onSleep: (count: number) => void = () => {};
  readonly abort = new AbortController();

  drain(): Drain {
    const sleep = async () => {
      this.sleeps++;
      if (this.sleeps > 20) this.abort.abort(new InfinitError('cancelled', 'waited long enough'));
      this.onSleep(this.sleeps);
      if (this.abort.signal.aborted) throw this.abort.signal.reason;
    };
    const { confirming, garbage } = this;
    const registers = () => this.registers;
    return new Drain({
      runtime: { clock: { sleep } } as unknown as Runtime,
      self: () => member(1),
      overlay: { nodes: () => [1, ...this.others].map(record), liveness: () => 'alive' },
      absence: { holders: async () => this.others.map(record) },
      service: {
        async *held() {
          for (const current of registers())
            yield {
              image: { state: { config: { generation: 0, current, previous: undefined } } },
            } as unknown as HeldRegister;
        },
      },
      journals: { countListed: async () => this.journals },
      held: {
        async *addresses() {
          for (const block of confirming.keys()) yield id(block);
        },
        has: async () => true,
        get: async () => ({ generation: 1, block: Buffer.alloc(1) }),
      },
      unwanted: (address) => garbage.has(address[0] as number),
      transfer: {
        ensureHeld: async (wanted) =>
          wanted.map(({ address, holders }) => {
            const able = confirming.get(address[0] as number);
            const stores = holders
              .filter((holder) => able?.has(holder.id[0] as number))
              .map(({ id: node }) => member(node[0] as number));
            const refuse = this.refusing.get(address[0] as number);
            const unwanted = holders.flatMap(({ id: node }) => (refuse?.has(node[0] as number) ? [node] : []));
            return { address, generation: 1, stores, unwanted };
          }),
      },
      replicationFactor: 3,
      announce: (leaving) => this.said.push(leaving),
      moveRegisters: () => {},
    });
  }
}

test('a block the others know to be garbage holds up nothing, though this node has not heard of the sweep', async () => {
  const around = new Around();
  around.confirming.set(11, new Set([2]));
  around.refusing.set(11, new Set([3]));
  const drain = around.drain();
  await assert.rejects(
    drain.run(around.abort.signal),
    /waited long enough/,
    'one of three has neither copy nor reason',
  );
  const more = new Around();
  more.confirming.set(11, new Set([2]));
  more.refusing.set(11, new Set([3, 4]));
  const done = await more.drain().run(more.abort.signal);
  assert.equal(done.state, 'drained');
});

test('it is drained when others confirmed every block, no register and no root counts on it', async () => {
  const around = new Around();
  around.registers = [[member(1), member(2)], [member(2)]];
  around.journals = 1;
  around.onSleep = (count) => {
    if (count === 2) around.registers = [[member(2), member(3)]];
    if (count === 4) around.journals = 0;
  };
  const drain = around.drain();
  const done = await drain.run(around.abort.signal);
  assert.deepEqual(done, { state: 'drained', registers: 0, journals: 0, blocks: 3, confirmed: 3, copies: 3 });
  assert.equal(around.sleeps, 4);
  assert.deepEqual([around.said, drain.isLeaving], [[true], true]);
});

test('a block that too few others hold is waited for, however long; given up, the node stays what it was', async () => {
  const around = new Around();
  around.confirming.get(11)?.delete(3);
  const drain = around.drain();
  await assert.rejects(drain.run(around.abort.signal), (error) => isError(error, 'cancelled'));
  assert.deepEqual([drain.status().confirmed, drain.status().blocks], [2, 3]);
  assert.deepEqual([around.said, drain.isLeaving], [[true, false], false]);
});

test('who begins again at once begins when what was given up has ended', async () => {
  const around = new Around();
  around.registers = [[member(1), member(2)]];
  const drain = around.drain();
  const givenUp = new AbortController();
  let second: Promise<unknown> | undefined;
  around.onSleep = (count) => {
    if (count > 1) return;
    givenUp.abort(new InfinitError('cancelled', 'not now'));
    second = drain.run(around.abort.signal);
    around.registers = [];
  };
  const first = drain.run(givenUp.signal);
  await assert.rejects(first, (error) => isError(error, 'cancelled'));
  await second;
  assert.deepEqual([around.said, drain.status().state], [[true, false, true], 'drained']);
});

test('a block that comes after the first look is found before it ends', async () => {
  const around = new Around();
  around.registers = [[member(1), member(2)]];
  around.onSleep = (count) => {
    if (count === 1) around.confirming.set(13, new Set([2]));
    if (count === 2) around.registers = [];
    if (count === 5) around.confirming.set(13, new Set([2, 3, 4]));
  };
  const done = await around.drain().run(around.abort.signal);
  assert.deepEqual([done.blocks, done.confirmed], [4, 4]);
  assert.equal(around.sleeps, 5);
});

test('garbage holds nobody up; with fewer nodes left all of them must confirm, and with none nothing is given', async () => {
  const around = new Around();
  around.confirming.set(12, new Set());
  around.garbage.add(12);
  around.others = [2, 3];
  assert.equal((await around.drain().run(around.abort.signal)).copies, 2);
  around.others = [];
  const drain = around.drain();
  await assert.rejects(drain.run(around.abort.signal), (error) => isError(error, 'unavailable'));
  assert.equal(drain.isLeaving, false);
});
