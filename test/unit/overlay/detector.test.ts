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
  made.tick(1500 + 3 * probePeriodMs, []);
  assert.equal(made.liveness(x), 'suspect');
  made.tick(1500 + 5 * probePeriodMs, []);
  assert.equal(made.liveness(x), 'dead');
  assert.deepEqual(take(made, 'changed'), [
    { type: 'changed', node: x, from: 'alive', to: 'suspect' },
    { type: 'changed', node: x, from: 'suspect', to: 'dead' },
  ]);
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
  made.heard({ node: self, state: 'suspect', incarnation: 100 }, 0);
  assert.equal(made.incarnation, 101);
  assert.ok(made.takeNews(x).some((news) => news.node === self && news.state === 'alive' && news.incarnation === 101));
  made.heard({ node: self, state: 'dead', incarnation: 50 }, 0);
  assert.equal(made.incarnation, 101, 'an old rumour needs no answer');

  made.heard({ node: x, state: 'dead', incarnation: 6 }, 0);
  assert.equal(made.liveness(x), 'alive');
  made.heard({ node: x, state: 'dead', incarnation: 7 }, 0);
  assert.equal(made.liveness(x), 'dead');
  made.heard({ node: x, state: 'alive', incarnation: 7 }, 0);
  assert.equal(made.liveness(x), 'dead');
  made.heard({ node: x, state: 'alive', incarnation: 8 }, 0);
  assert.equal(made.liveness(x), 'alive');
});

test('whoever is thought dead is told so first, so that it can refute', () => {
  const made = detector();
  made.heard({ node: x, state: 'dead', incarnation: 7 }, 0);
  assert.deepEqual(made.takeNews(x)[0], { node: x, state: 'dead', incarnation: 7 });
});

test('a message from a dead node is a reason to look, not a proof that it can be reached', () => {
  const made = detector();
  made.heard({ node: x, state: 'dead', incarnation: 7 }, 0);
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
