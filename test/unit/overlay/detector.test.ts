import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Detector, type DetectorEffect, probePeriodMs } from '../../../src/core/overlay/detector.ts';
import { SeededRandom } from '../../simulator/runtime/random.ts';

const self = '00'.repeat(32);
const [x, ...others] = ['01', '02', '03', '04', '05', '06'].map((text) => text.repeat(32)) as [string, ...string[]];

function detector(): Detector {
  const made = new Detector(self, 100, new SeededRandom('detector'));
  for (const node of [x, ...others]) made.seen(node, 7, 0);
  made.effects = [];
  return made;
}

function take(from: Detector, type: DetectorEffect['type']): DetectorEffect[] {
  const effects = from.effects.filter((effect) => effect.type === type);
  from.effects = from.effects.filter((effect) => effect.type !== type);
  return effects;
}

test('silence to itself and to three helpers makes a suspect, and time makes it dead', () => {
  const made = detector();
  made.probe(x);
  assert.deepEqual(take(made, 'ping'), [{ type: 'ping', to: x }]);
  made.pingFailed(x, 1000);
  const helpers = take(made, 'ping-via');
  assert.equal(helpers.length, 3);
  for (const _ of helpers) {
    assert.equal(made.liveness(x), 'alive');
    made.helperAnswered(x, false, 1500);
  }
  assert.equal(made.liveness(x), 'suspect');
  for (const by of others.slice(0, 3)) made.heard({ node: x, state: 'suspect', incarnation: 7, by }, 1600);
  made.tick(1500 + 3 * probePeriodMs, []);
  assert.equal(made.liveness(x), 'suspect');
  made.tick(1500 + 5 * probePeriodMs, []);
  assert.equal(made.liveness(x), 'dead');
  assert.deepEqual(take(made, 'changed'), [
    { type: 'changed', node: x, from: 'alive', to: 'suspect' },
    { type: 'changed', node: x, from: 'suspect', to: 'dead' },
  ]);
});

/** Milliseconds after which a suspect is dead. */
function patienceOf(made: Detector, limitMs = 60_000): number {
  for (let now = 0; now <= limitMs; now += 100) {
    made.tick(now, []);
    if (made.liveness(x) === 'dead') return now;
  }
  return Number.POSITIVE_INFINITY;
}

test('a suspicion nobody shares lasts six times as long as one that three confirm; each makes it shorter', () => {
  const times = [0, 1, 2, 3, 4].map((confirmations) => {
    const made = detector();
    for (const by of others.slice(0, confirmations + 1))
      made.heard({ node: x, state: 'suspect', incarnation: 7, by }, 0);
    return patienceOf(made);
  });
  assert.deepEqual(times, [24_000, 14_000, 8200, 4000, 4000]);
});

test('confirmations count once each, from members only, and pass on', () => {
  const made = detector();
  const [a, b] = others as [string, string];
  made.heard({ node: x, state: 'suspect', incarnation: 7, by: a }, 0);
  const stranger = 'ee'.repeat(32);
  for (const by of [a, a, stranger, x, undefined]) made.heard({ node: x, state: 'suspect', incarnation: 7, by }, 0);
  for (const by of others.slice(1)) made.heard({ node: x, state: 'suspect', incarnation: 6, by }, 0);
  assert.equal(patienceOf(made, 23_000), Number.POSITIVE_INFINITY);
  for (let i = 0; i < 50; i++) made.takeNews(b);
  made.heard({ node: x, state: 'suspect', incarnation: 7, by: b }, 0);
  const told = made.takeNews(a).filter(({ node }) => node === x);
  assert.deepEqual(told, [{ node: x, state: 'suspect', incarnation: 7, by: b }]);
});

test('with nobody to ask, a suspicion does not wait for confirmation', () => {
  const made = new Detector(self, 100, new SeededRandom('detector'));
  made.seen(x, 7, 0);
  made.probe(x);
  made.pingFailed(x, 0);
  assert.equal(patienceOf(made), 4000);
});

test('a node that is suspected, or stood still, is patient: its probes take longer and are fewer', () => {
  const made = detector();
  made.heard({ node: self, state: 'suspect', incarnation: 100, by: x }, 0);
  assert.equal(made.periodMs, 2 * probePeriodMs);
  made.tick(1000, []);
  made.tick(60_000, []);
  assert.equal(made.periodMs, 3 * probePeriodMs);
  for (let i = 0; i < 2; i++) made.reached(others[0] as string, 7, 60_000);
  assert.equal(made.periodMs, probePeriodMs);
});

test('what timed out while the process stood still says nothing: it is asked again, and suspects get their time', () => {
  const made = detector();
  made.tick(0, []);
  made.heard({ node: x, state: 'suspect', incarnation: 7, by: others[0] }, 0);
  for (const by of others.slice(1, 4)) made.heard({ node: x, state: 'suspect', incarnation: 7, by }, 0);
  const y = others[4] as string;
  made.probe(y);
  take(made, 'ping');
  made.pingFailed(y, 20_000);
  assert.deepEqual(take(made, 'ping'), [{ type: 'ping', to: y }]);
  assert.deepEqual(take(made, 'ping-via'), []);
  made.tick(20_000, []);
  assert.equal(made.liveness(x), 'suspect');
  made.pingFailed(y, 20_100);
  assert.deepEqual(take(made, 'ping'), [{ type: 'ping', to: y }]);
  made.tick(21_000, []);
  made.pingFailed(y, 21_100);
  assert.equal(take(made, 'ping-via').length, 3);
  made.tick(23_000, []);
  made.tick(24_900, []);
  assert.equal(made.liveness(x), 'dead');
});

test('one helper that reached it is enough', () => {
  const made = detector();
  made.probe(x);
  made.pingFailed(x, 1000);
  made.helperAnswered(x, false, 1100);
  made.helperAnswered(x, true, 1200);
  made.helperAnswered(x, false, 1300);
  assert.equal(made.liveness(x), 'alive');
});

test('helpers that are silent themselves make this node patient', () => {
  const made = detector();
  const before = made.pingTimeoutMs;
  made.probe(x);
  made.pingFailed(x, 1000);
  for (let i = 0; i < 3; i++) made.helperAnswered(x, undefined, 1100);
  assert.ok(made.pingTimeoutMs > before);
  for (let i = 0; i < 3; i++) made.reached(others[0] as string, 7, 1200);
  assert.equal(made.pingTimeoutMs, before);
});

test('a node refutes what is said of it, and the higher incarnation wins everywhere', () => {
  const made = detector();
  made.heard({ node: self, state: 'suspect', incarnation: 100, by: undefined }, 0);
  assert.equal(made.incarnation, 101);
  assert.ok(made.takeNews(x).some((news) => news.node === self && news.state === 'alive' && news.incarnation === 101));
  made.heard({ node: self, state: 'dead', incarnation: 50, by: undefined }, 0);
  assert.equal(made.incarnation, 101, 'an old rumour needs no answer');

  made.heard({ node: x, state: 'dead', incarnation: 6, by: undefined }, 0);
  assert.equal(made.liveness(x), 'alive');
  made.heard({ node: x, state: 'dead', incarnation: 7, by: undefined }, 0);
  assert.equal(made.liveness(x), 'dead');
  made.heard({ node: x, state: 'alive', incarnation: 7, by: undefined }, 0);
  assert.equal(made.liveness(x), 'dead');
  made.heard({ node: x, state: 'alive', incarnation: 8, by: undefined }, 0);
  assert.equal(made.liveness(x), 'alive');
});

test('whoever is thought dead is told so first, so that it can refute', () => {
  const made = detector();
  made.heard({ node: x, state: 'dead', incarnation: 7, by: undefined }, 0);
  assert.deepEqual(made.takeNews(x)[0], { node: x, state: 'dead', incarnation: 7, by: undefined });
});

test('a message from a dead node is a reason to look, not a proof that it can be reached', () => {
  const made = detector();
  made.heard({ node: x, state: 'dead', incarnation: 7, by: undefined }, 0);
  made.seen(x, 0, 10);
  assert.equal(made.liveness(x), 'dead');
  assert.deepEqual(take(made, 'ping'), [{ type: 'ping', to: x }]);
  made.reached(x, 7, 20);
  assert.equal(made.liveness(x), 'alive');
});

test('who said goodbye stays away until a new life', () => {
  const made = detector();
  made.left(x, 0);
  made.reached(x, 7, 10);
  assert.equal(made.liveness(x), 'dead');
  made.seen(x, 8, 20);
  assert.equal(made.liveness(x), 'alive');
});

test('every target is probed once a round, and news is told a limited number of times', () => {
  const made = detector();
  const targets = [x, ...others];
  for (let i = 0; i < targets.length; i++) {
    made.tick(i, targets);
    const [ping] = take(made, 'ping');
    if (ping?.type === 'ping') made.reached(ping.to, 7, i);
  }
  made.tick(100, targets);
  const told = new Map<string, number>();
  for (let i = 0; i < 100; i++) for (const { node } of made.takeNews(self)) told.set(node, (told.get(node) ?? 0) + 1);
  assert.deepEqual([...told.keys()].sort(), targets);
  for (const count of told.values()) assert.ok(count <= 12);
});
