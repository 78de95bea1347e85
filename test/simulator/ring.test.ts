// Ring schedules by seed. Run one again: INFINIT_SEED=N node --import tsx --test test/simulator/ring.test.ts

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Codec, encode } from '../../src/core/base/codec.ts';
import { ringFind, ringLeave, ringNotify, ringState } from '../../src/core/overlay/chord/messages.ts';
import { step } from '../../src/core/overlay/chord/steps.ts';
import { ringGossip } from '../../src/core/overlay/messages.ts';
import { between } from '../../src/core/overlay/ring.ts';
import {
  chaosSchedule,
  heal,
  idealOf,
  outcomeOf,
  type ScheduleOptions,
  scramble,
  structureSchedule,
} from './ring-schedule.ts';
import { RingWorld } from './ring-world.ts';

const chosen = process.env.INFINIT_SEED;
const seeds = (count: number) =>
  chosen === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [Number(chosen)];
const replay = (seed: number) => `replay: INFINIT_SEED=${seed} node --import tsx --test test/simulator/ring.test.ts`;

const large = (seed: number): ScheduleOptions => ({ seed, nodes: 100, positions: 2, events: 150 });
const rough = (seed: number): ScheduleOptions => ({ seed, nodes: 30, positions: 3, events: 50 });

test('R1 to R4 hold at every step of 100 nodes joining, failing and leaving under delay and stale replies', (t) => {
  for (const seed of seeds(2)) {
    const result = structureSchedule(large(seed));
    t.diagnostic(`seed ${seed}: ${JSON.stringify(result)}`);
    assert.equal(result.failure, undefined, replay(seed));
    assert.ok(result.joins > 20 && result.crashes > 20 && result.leaves > 20, 'the schedule does something');
  }
});

test('R6 holds after any schedule: loss, wrong suspicion, bulk crashes, restarts, partitions one way and both ways', (t) => {
  for (const seed of seeds(5)) {
    const result = chaosSchedule(rough(seed));
    t.diagnostic(`seed ${seed}: ${JSON.stringify(result)}`);
    assert.equal(result.failure, undefined, replay(seed));
  }
});

test('R6 holds from any pointers', () => {
  for (const seed of seeds(40)) {
    const world = new RingWorld(seed);
    const count = 1 + world.random.below(16);
    for (let number = 0; number < count; number++)
      world.start(number, 1 + world.random.below(3), number === 0 ? [] : [world.name(number - 1)]);
    world.run(5000);
    scramble(world);
    const result = outcomeOf(world);
    assert.equal(heal(world, result), undefined, `${count} nodes; ${replay(seed)}`);
    assert.ok(result.healedMs < 120_000, `healed after ${result.healedMs} ms; ${replay(seed)}`);
  }
});

test('two rings grown apart become one when a single node hears of a single other', () => {
  for (const seed of seeds(5)) {
    const world = new RingWorld(seed);
    for (const [first, last] of [
      [0, 14],
      [15, 24],
    ] as const)
      for (let number = first; number <= last; number++) {
        world.start(number, 2, number === first ? [] : [world.name(first)]);
        world.run(100);
      }
    world.run(30_000);
    assert.match(idealOf(world) ?? '', /^R6/, 'two rings at first');
    world.nodes.get(world.name(3))?.machine.met(world.name(20), world.now);
    world.nodes.get(world.name(3))?.machine.takeChanges();
    const result = outcomeOf(world);
    assert.equal(heal(world, result), undefined, replay(seed));
  }
});

test('R6 holds after nodes take on and give up positions in any order', () => {
  for (const seed of seeds(5)) {
    const world = new RingWorld(seed);
    const count = 1 + world.random.below(12);
    for (let number = 0; number < count; number++)
      world.start(number, 1 + world.random.below(6), number === 0 ? [] : [world.name(0)]);
    world.run(5000);
    for (let event = 0; event < 20; event++) {
      world.resize(world.pick(world.live()), 1 + world.random.below(12));
      if (event % 5 === 0) world.crash(world.pick(world.live()));
      if (world.live().length === 0) world.start(100 + event, 3, []);
      world.run(world.random.below(4000));
    }
    assert.equal(heal(world, outcomeOf(world)), undefined, replay(seed));
  }
});

test('canary: a predecessor adopted unasked is caught', () => {
  const unasked: typeof step = (ring, event, liveness) => {
    const asked = event.type === 'state' ? ring.positions[event.position]?.query?.to : undefined;
    const done = step(ring, event, liveness);
    if (event.type !== 'state' || !event.answer?.pred || !asked) return done;
    const position = done.ring.positions[event.position];
    const { pred } = event.answer;
    if (!position || !between(position.self.point, pred.point, asked.point)) return done;
    const list = [pred, ...position.list.filter((entry) => entry.point !== pred.point)];
    const positions = done.ring.positions.map((each) =>
      each === position ? { ...each, list, better: undefined } : each,
    );
    return { ...done, ring: { ...done.ring, positions, version: done.ring.version + 1 } };
  };
  const caught = [1, 2, 3, 4].some((seed) => {
    const prepare = (world: RingWorld) => {
      world.step = unasked;
    };
    return structureSchedule({ ...large(seed), nodes: 40, prepare }).failure !== undefined;
  });
  assert.ok(caught);
});

test('canary: without unification rings grown apart stay apart', () => {
  const world = new RingWorld(1);
  world.step = (ring, event, liveness) => (event.type === 'unify' ? { ring, sends: [] } : step(ring, event, liveness));
  world.start(0, 2, []);
  world.start(1, 2, []);
  world.run(5000);
  for (const [a, b] of [
    [0, 1],
    [1, 0],
  ] as const)
    world.nodes.get(world.name(a))?.machine.met(world.name(b), world.now);
  assert.match(heal(world, outcomeOf(world)) ?? '', /^R6/);
});

test('the same seed gives the same course of events', () => {
  const [seed] = seeds(1) as [number];
  const options = { ...rough(seed), nodes: 10, events: 20 };
  assert.deepEqual(chaosSchedule(options), chaosSchedule(options));
});

test('an idle ring costs a node at most 1 KB/s', (t) => {
  const methods = { state: ringState, notify: ringNotify, find: ringFind, leave: ringLeave, gossip: ringGossip };
  /** Frame header, TLS record, TCP and IP headers of a frame alone in its packet. */
  const frameOverhead = 24 + 22 + 52;
  for (const [nodes, positions] of [
    [3, 4],
    [100, 4],
    [30, 32],
    [100, 32],
  ] as const) {
    const world = new RingWorld(1);
    for (let number = 0; number < nodes; number++) world.start(number, positions, number === 0 ? [] : [world.name(0)]);
    world.run(120_000);
    let bytes = 0;
    world.onMessage = (_from, { call }, answer) => {
      const { request, response } = methods[call.method];
      const codec = (answer === undefined ? request : response) as Codec<unknown>;
      bytes += frameOverhead + encode(codec, answer ?? call.request).length;
    };
    world.run(120_000);
    const perSecond = bytes / 120 / nodes;
    t.diagnostic(`${nodes} nodes of ${positions} positions: ${Math.round(perSecond)} B/s sent by each`);
    assert.ok(perSecond <= 1024, `${perSecond} B/s`);
  }
});
