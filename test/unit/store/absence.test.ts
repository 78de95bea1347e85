// How long nodes count as away: only while this node itself was in contact with more than half (docs/protocols.md 1.3, 2.5).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex } from '../../../src/core/base/bytes.ts';
import { Events } from '../../../src/core/base/events.ts';
import type { NodeId } from '../../../src/core/block/address.ts';
import type { Liveness, NodeRecord, Overlay } from '../../../src/core/overlay/overlay.ts';
import { circleOf, pointOf, replicas, walkFrom } from '../../../src/core/overlay/ring.ts';
import type { Runtime } from '../../../src/core/runtime/runtime.ts';
import { AbsenceMeter } from '../../../src/core/store/absence.ts';

const delayMs = 600_000;
const id = (byte: number): NodeId => Buffer.alloc(32, byte);
const record = (byte: number, zone?: string): NodeRecord =>
  ({ id: id(byte), positions: 4, zone, serial: 1, closed: false, leaving: false }) as Partial<NodeRecord> as NodeRecord;

/** Node 1 among `count` nodes; time passes only by `pass`. */
class Surroundings {
  readonly states = new Map<string, Liveness>();
  readonly records: NodeRecord[];
  readonly reachable = new Set<string>();
  readonly saved: string[][] = [];
  evicted: NodeId[] = [];
  contacts: NodeRecord[] = [];
  private nowMs = 0;
  private wallMs = 1e12;
  private timer: (() => void) | undefined;
  private dueMs = 0;

  constructor(count: number, zones: readonly string[] = []) {
    this.records = Array.from({ length: count }, (_, i) => record(i + 1, zones[i]));
    for (const { id: node } of this.records) this.states.set(toHex(node), 'alive');
  }

  async meter(): Promise<AbsenceMeter> {
    const meter = new AbsenceMeter({
      runtime: this.runtime(),
      overlay: this.overlay(),
      self: id(1),
      delayMs: () => delayMs,
      book: {
        load: async () => this.contacts,
        loadEvicted: async () => this.evicted,
        saveEvicted: async (nodes) => void this.saved.push(nodes.map(toHex)),
      },
    });
    await meter.start();
    await this.pass(2000);
    return meter;
  }

  set(state: Liveness, ...nodes: number[]): void {
    for (const node of nodes) this.states.set(toHex(id(node)), state);
  }

  /** Timers run when they are due; with `paused` nothing runs until the time is over. */
  async pass(ms: number, paused = false): Promise<void> {
    const end = this.nowMs + ms;
    while (!paused && this.timer && this.dueMs <= end) {
      this.nowMs = this.dueMs;
      this.wallMs += this.nowMs % 3 === 0 ? 1e9 : -1e9; // means nothing
      this.fire();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.nowMs = end;
    if (paused) this.fire();
  }

  private fire(): void {
    const task = this.timer;
    this.timer = undefined;
    task?.();
  }

  private runtime(): Runtime {
    const after = (ms: number, task: () => void) => {
      if (ms > 1000) return () => {}; // only the meter's own steps are timed here
      [this.timer, this.dueMs] = [task, this.nowMs + ms];
      return () => {};
    };
    const clock = { now: () => this.wallMs, monotonic: () => this.nowMs, after };
    return { clock, log: { write: () => {} } } as unknown as Runtime;
  }

  private overlay(): Overlay {
    const liveness = (node: NodeId) => this.states.get(toHex(node)) ?? 'unknown';
    const live = () => this.records.filter((node) => ['alive', 'suspect'].includes(liveness(node.id)));
    return {
      events: new Events(),
      liveness,
      nodes: live,
      record: (node: NodeId) => this.records.find((known) => toHex(known.id) === toHex(node)),
      owners: async (address: Uint8Array, count: number, { all = false } = {}) => {
        const records = new Map(live().map((node) => [toHex(node.id), node]));
        return replicas(walkFrom(circleOf(live()), pointOf(address)), count, (name) => records.get(name), all);
      },
      peer: async (node: NodeId) => {
        if (!this.reachable.has(toHex(node))) throw new Error('nobody there');
        return {};
      },
    } as unknown as Overlay;
  }
}

test('a dead node is evicted when it has been away for longer than the delay, and counts as a holder until then', async () => {
  const around = new Surroundings(4);
  const meter = await around.meter();
  const addresses = Array.from({ length: 50 }, (_, i) => Buffer.alloc(32, i * 5 + 1));
  const before = await Promise.all(addresses.map((address) => meter.holders(address, 3)));
  around.set('dead', 3);
  const told: string[] = [];
  meter.events.on('evicted', (node) => told.push(toHex(node)));
  await around.pass(delayMs - 5000);
  assert.equal(meter.isEvicted(id(3)), false);
  assert.ok(meter.awayMs(id(3)) > delayMs - 10_000);
  assert.deepEqual(await Promise.all(addresses.map((address) => meter.holders(address, 3))), before);
  assert.deepEqual(
    meter.away().map((node) => node.id[0]),
    [3],
  );
  await around.pass(10_000);
  assert.equal(meter.isEvicted(id(3)), true);
  assert.deepEqual(told, [toHex(id(3))]);
  assert.deepEqual(around.saved, [[toHex(id(3))]]);
  for (const address of addresses)
    assert.deepEqual((await meter.holders(address, 3)).map((node) => node.id[0]).sort(), [1, 2, 4]);
});

test('one sign of life sets a node back to zero, also one that was evicted', async () => {
  const around = new Surroundings(3);
  const meter = await around.meter();
  const returned: string[] = [];
  meter.events.on('returned', (node) => returned.push(toHex(node)));
  around.set('dead', 3);
  await around.pass(delayMs - 5000);
  around.set('alive', 3);
  await around.pass(2000);
  around.set('dead', 3);
  await around.pass(delayMs - 5000);
  assert.equal(meter.isEvicted(id(3)), false);
  assert.deepEqual(returned, []);
  await around.pass(10_000);
  assert.equal(meter.isEvicted(id(3)), true);
  around.set('alive', 3);
  assert.equal(meter.isEvicted(id(3)), false);
  await around.pass(1000);
  assert.deepEqual(returned, [toHex(id(3))]);
  assert.deepEqual(around.saved.at(-1), []);
});

test('a suspicion alone is not absence', async () => {
  const around = new Surroundings(3);
  const meter = await around.meter();
  around.set('suspect', 3);
  await around.pass(2 * delayMs);
  assert.equal(meter.awayMs(id(3)), 0);
});

test('a node cut off with a minority, or with exactly half, believes nobody absent', async () => {
  for (const [count, lost] of [
    [5, [3, 4, 5]],
    [4, [3, 4]],
    [2, [2]],
  ] as const) {
    const around = new Surroundings(count);
    const meter = await around.meter();
    await around.pass(5000);
    around.set('dead', ...lost);
    await around.pass(3 * delayMs);
    for (const node of lost) assert.equal(meter.awayMs(id(node)), 0);
    assert.deepEqual(meter.away().length, lost.length);
  }
});

test('only the time in contact counts: partitions in between count for nothing', async () => {
  const around = new Surroundings(5);
  const meter = await around.meter();
  await around.pass(5000);
  around.set('dead', 5);
  await around.pass(delayMs / 2);
  around.set('dead', 3, 4);
  await around.pass(delayMs);
  assert.equal(meter.isEvicted(id(5)), false);
  around.set('alive', 3, 4);
  await around.pass(delayMs / 2 - 10_000);
  assert.equal(meter.isEvicted(id(5)), false);
  await around.pass(20_000);
  assert.equal(meter.isEvicted(id(5)), true);
  assert.equal(meter.awayMs(id(4)), 0);
});

test('a pause of this node is no absence of others, whatever the clocks say', async () => {
  const around = new Surroundings(3);
  const meter = await around.meter();
  around.set('dead', 3);
  await around.pass(5000);
  await around.pass(5 * delayMs, true);
  assert.ok(meter.awayMs(id(3)) < 10_000);
  await around.pass(delayMs);
  assert.equal(meter.isEvicted(id(3)), true);
});

test('those evicted do not count towards the half: a shrunken network goes on healing, after a restart too', async () => {
  const around = new Surroundings(5);
  const meter = await around.meter();
  await around.pass(5000);
  around.set('dead', 4, 5);
  await around.pass(delayMs + 5000);
  assert.equal(meter.isEvicted(id(4)) && meter.isEvicted(id(5)), true);
  around.set('dead', 3);
  await around.pass(delayMs + 5000);
  assert.equal(meter.isEvicted(id(3)), true);

  const after = new Surroundings(5);
  after.contacts = after.records.slice(1);
  after.set('dead', 3, 4, 5);
  after.evicted = [id(4), id(5)];
  const restarted = await after.meter();
  await after.pass(5000);
  assert.equal(restarted.isEvicted(id(4)), false);
  await after.pass(delayMs + 5000);
  assert.equal(restarted.isEvicted(id(3)) && restarted.isEvicted(id(4)), true);
});

test('a node that starts in a minority knows from its contacts that it is one', async () => {
  const around = new Surroundings(5);
  around.contacts = around.records.slice(1);
  around.set('dead', 3, 4, 5);
  const meter = await around.meter();
  meter.awayMs(id(3));
  await around.pass(2 * delayMs);
  assert.equal(meter.awayMs(id(3)), 0);
});

test('a member the overlay knows nothing of is tried, and is away only while it cannot be reached', async () => {
  const around = new Surroundings(3);
  const meter = await around.meter();
  around.reachable.add(toHex(id(8)));
  for (let i = 0; i < 100; i++) {
    assert.equal(meter.awayMs(id(8)), 0);
    meter.awayMs(id(9));
    await around.pass(delayMs / 50);
  }
  assert.equal(meter.isEvicted(id(8)), false);
  assert.equal(meter.isEvicted(id(9)), true);
});

test('placement is that of all nodes together, in rings larger than a list and with zones', async () => {
  const zones = Array.from({ length: 30 }, (_, i) => `zone ${i % 4}`);
  const around = new Surroundings(30, zones);
  const meter = await around.meter();
  const everybody = new Map(around.records.map((node) => [toHex(node.id), node]));
  around.set('dead', 7, 8, 9, 20);
  for (let i = 0; i < 200; i++) {
    const address = Buffer.alloc(32);
    address.writeUInt32BE(i * 21_000_000, 0);
    const whole = replicas(walkFrom(circleOf(around.records), pointOf(address)), 3, (name) => everybody.get(name));
    assert.deepEqual(
      (await meter.holders(address, 3)).map((node) => node.id[0]),
      whole.map((node) => node.id[0]),
    );
  }
});
