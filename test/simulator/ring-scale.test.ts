// The overlay of 10,000 nodes in one process: hops, state, upkeep, and what half of them failing at once does, against the formulae.
// Larger rings by name: node --import tsx bench/ring-scale.ts --nodes 100000,1000000

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findFrom } from '../../src/core/overlay/chord/answers.ts';
import { Fingers } from '../../src/core/overlay/chord/fingers.ts';
import { distance } from '../../src/core/overlay/ring.ts';
import { checkIdeal, checkStructure } from './ring-checkers.ts';
import { ScaleRing } from './ring-scale.ts';
import { promisedHops, reachableShare, runCourse } from './ring-scale-course.ts';
import { levelsFor } from './ring-scale-fingers.ts';
import { Healing } from './ring-scale-heal.ts';

const nodes = 10_000;

test('10,000 nodes: hops, upkeep, lookups while half fail at once, and healing keep to the formulae', async (t) => {
  const figures = await runCourse({ nodes, lookups: 500, machines: 3, minutes: 10 });
  const { whole, cached, upkeep, lost, unnoticed, noticed, rounds, healed, refreshed } = figures;
  t.diagnostic(JSON.stringify({ whole, upkeep, unnoticed, noticed, healed, refreshed, rounds: rounds.length }));

  assert.ok(whole.mean <= promisedHops(nodes) && whole.max <= 6, `${whole.mean} questions, ${whole.max} at most`);
  assert.deepEqual([whole.exact, whole.silentMean, cached], [1, 0, 0]);
  assert.equal(figures.listEntries, 8);
  assert.ok(figures.fingers <= 15 * levelsFor(nodes) && figures.bytesPerNode < 400);
  assert.ok(upkeep.total <= 1024, `${upkeep.total} B/s`);

  // One in 256 has nobody left; 5000 of them, so within five deviations.
  assert.ok(Math.abs(lost - 2 ** -8) < 5 * Math.sqrt(2 ** -8 / (nodes / 2)), `${lost} lost`);
  for (const figures of [unnoticed, noticed]) {
    assert.ok(figures.exact >= reachableShare() - 0.04, `${figures.exact} named the live owner`);
    assert.ok(figures.found >= 0.96, `${figures.found} of the surviving keys`);
    assert.ok(figures.pathMean <= 1.5 * whole.mean, `${figures.pathMean} nodes answered`);
  }
  assert.ok(rounds.length <= 120, `${rounds.length} s`);
  assert.equal(figures.violation, undefined);
  assert.equal(figures.fingersWrong, 0);
  assert.equal(healed.exact, 1);
  assert.equal(refreshed.exact, 1);
  assert.ok(refreshed.mean <= promisedHops(nodes / 2));
});

test('the arrays hold what the overlay would: the ring is ideal, fingers are those heard of everybody', () => {
  const ring = new ScaleRing(1000, 'small');
  const members = ring.members();
  assert.equal(checkStructure(members) ?? checkIdeal(members), undefined);
  for (const rank of [0, 1, 500, 999]) {
    const self = ring.entry(rank);
    const fingers = new Fingers([self.point]);
    for (const entry of ring.entries) fingers.heard(entry);
    const shortest = 1n << BigInt(4 * (64 - levelsFor(ring.size)));
    const wanted = [...fingers.entries()].filter(({ point }) => distance(self.point, point) >= shortest);
    assert.deepEqual(new Set(ring.fingersOf(rank)), new Set(wanted));
    const loaded = ring.load(rank);
    ring.store(rank, ring.load((rank + 7) % ring.size), loaded);
    assert.deepEqual(ring.load(rank), loaded);
  }
});

test('fingers that are left out of a question would not be in its answer', () => {
  const ring = new ScaleRing(3000, 'hints');
  ring.failAtOnce(0.5);
  for (const detected of [false, true]) {
    ring.detected = detected;
    for (let i = 0; i < 400; i++) {
      const rank = ring.random.below(ring.size);
      const own = ring.random.below(4) === 0;
      const key = own ? ring.entry(ring.random.below(ring.size)).point : ring.random.bytes(32).toString('hex');
      for (const strict of [false, true]) {
        const all = { strict, want: 255, hints: ring.fingersOf(rank) };
        assert.deepEqual(
          ring.find(rank, key, strict),
          findFrom(ring.load(rank), key, ring.livenessAt(rank), all),
          `${i} ${rank} ${key}`,
        );
      }
    }
  }
});

test('canary: half healed is not taken for healed, and a wrong list or predecessor is seen', () => {
  const ring = new ScaleRing(1000, 'canary');
  ring.failAtOnce(0.5);
  ring.detected = true;
  const [first] = [new Healing(ring).round()];
  assert.ok(first.exact < ring.live.length);
  assert.notEqual(checkIdeal(ring.members()), undefined);
  const whole = new ScaleRing(100, 'canary');
  whole.preds[3] = 1;
  assert.ok(!whole.isExact(3) && whole.isExact(4));
  assert.match(checkIdeal(whole.members()) ?? '', /^R6: predecessor/);
});

test('without the list of the nearest that answers, half of all lookups would fail unnoticed', () => {
  const ring = new ScaleRing(1000, 'behind');
  ring.failAtOnce(0.5);
  const keys = Array.from({ length: 300 }, () => ring.random.bytes(32).toString('hex'));
  let direct = 0;
  for (const key of keys) {
    let rank = (ring.ownerOf(key) + ring.size - 1) % ring.size;
    while (!ring.up[rank]) rank = (rank + ring.size - 1) % ring.size;
    const answer = findFrom(ring.load(rank), key, () => 'alive');
    if (answer?.type === 'owners') direct++;
    else
      assert.ok(
        answer?.entries.every(({ node }) => !ring.up[ring.rankOf(node)]),
        'leads to dead nodes only',
      );
  }
  assert.ok(direct > 100 && direct < 200, `${direct} of ${keys.length}`);
});

test('the same seed gives the same course', async () => {
  const options = { nodes: 500, lookups: 50, machines: 1, minutes: 3 };
  assert.deepEqual(await runCourse(options), await runCourse(options));
});
