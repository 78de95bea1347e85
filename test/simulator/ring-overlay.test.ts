// The real overlays over real peers in a simulated world: how soon nodes see each other, notice deaths, and meet again.
// Run one seed: INFINIT_SEED=N node --import tsx --test test/simulator/ring-overlay.test.ts

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex } from '../../src/core/base/bytes.ts';
import { hash } from '../../src/core/crypto/hash.ts';
import type { Position } from '../../src/core/overlay/chord/state.ts';
import { circleOf, type Point, pointOf, replicas, walkFrom } from '../../src/core/overlay/ring.ts';
import { fairShare } from '../../src/core/overlay/weights.ts';
import { checkIdeal, type Members } from './ring-checkers.ts';
import { agree, type NodeOptions, seedOf, startNode, stopNode, type TestNode } from './ring-network.ts';
import { createWorld, type World } from './runtime/world.ts';
import { positionsOf } from './watch/rings.ts';

const seed = Number(process.env.INFINIT_SEED ?? 1);

async function start(world: World, count: number, options: NodeOptions = {}): Promise<TestNode[]> {
  const nodes = Array.from({ length: count }, (_, i) =>
    startNode(world, `node-${i}`, { ...options, seeds: i === 0 ? [] : [seedOf('node-0')] }),
  );
  await world.settle(Promise.all(nodes.map((node) => node.joined)));
  await world.run(() => agree(nodes, nodes), { limitMs: 30_000 });
  return nodes;
}

/** Virtual milliseconds until the condition holds. */
async function time(world: World, limitMs: number, condition: () => boolean): Promise<number> {
  const began = world.nowMs;
  await world.run(condition, { limitMs });
  return world.nowMs - began;
}

const joinedPositions = (nodes: readonly TestNode[]): Members => {
  const members = new Map<Point, Position>();
  for (const { overlay } of nodes)
    for (const position of positionsOf(overlay)) if (position.joined) members.set(position.self.point, position);
  return members;
};

test('chord: nodes of one to four times the capacity take on and give up positions until each has its share', async (t) => {
  const world = createWorld({ seed });
  const capacityOf = (i: number) => Math.round((1 + 3 * ((i * 0.618) % 1)) * 2 ** 40);
  const options = { weighs: true, positions: 32 };
  const nodes = Array.from({ length: 10 }, (_, i) =>
    startNode(world, `node-${i}`, {
      ...options,
      capacityBytes: capacityOf(i),
      seeds: i === 0 ? [] : [seedOf('node-0')],
    }),
  );
  await world.settle(Promise.all(nodes.map((node) => node.joined)));
  const placed = () => nodes.reduce((sum, { state }) => sum + state.record.positions, 0);
  const isIdeal = () => {
    const members = joinedPositions(nodes);
    return members.size === placed() && checkIdeal(members) === undefined;
  };
  const agreed = () =>
    nodes.every(({ overlay }) =>
      nodes.every(({ state: { record } }) => overlay.record(record.id)?.positions === record.positions),
    );
  await world.runFor(13 * 60_000);
  await world.run(() => isIdeal() && agreed(), { limitMs: 5 * 60_000 });
  const counts = nodes.map(({ state }) => state.record.positions);
  assert.ok(Math.max(...counts) > 32 && Math.min(...counts) < 32, counts.join());
  const off = await deviations(world, nodes);
  t.diagnostic(`positions ${counts.join(' ')}; off by ${off.map((each) => (each * 100).toFixed(0)).join(' ')} %`);
  assert.ok(Math.max(...off.map(Math.abs)) <= 0.25);
});

/** Of bytes per capacity from what is fair, by where addresses are placed. */
async function deviations(world: World, nodes: readonly TestNode[]): Promise<number[]> {
  const hits = new Map<string, number>();
  const samples = 3000;
  for (let i = 0; i < samples; i++) {
    const { overlay } = nodes[i % nodes.length] as TestNode;
    for (const { id } of await world.settle(overlay.owners(hash(Buffer.from(`block ${i}`)), 3)))
      hits.set(toHex(id), (hits.get(toHex(id)) ?? 0) + 1);
  }
  const capacities = nodes.map(({ state }) => state.record.capacityBytes);
  return nodes.map(({ name }, i) => {
    const fair = fairShare(capacities[i] as number, capacities.toSpliced(i, 1), 3);
    return (hits.get(name) ?? 0) / samples / fair - 1;
  });
}

for (const overlay of ['chord', 'kouncil']) {
  test(`${overlay}: three nodes started at once see each other within two seconds, and so does a fourth`, async (t) => {
    const world = createWorld({ seed });
    const nodes = await start(world, 3, { overlay });
    assert.ok(world.nowMs < 2000, `${world.nowMs} ms`);
    const fourth = startNode(world, 'node-3', { overlay, seeds: [seedOf('node-1')] });
    const took = await time(world, 2000, () => agree([...nodes, fourth], [...nodes, fourth]));
    t.diagnostic(`three: ${Math.round(world.nowMs - took)} ms; the fourth: ${Math.round(took)} ms`);
  });

  test(`${overlay}: nodes that all name each other, themselves included, become one network`, async () => {
    const world = createWorld({ seed });
    const seeds = [0, 1, 2, 3, 4].map((i) => seedOf(`node-${i}`));
    const nodes = seeds.map((_, i) => startNode(world, `node-${i}`, { overlay, seeds }));
    await world.run(() => agree(nodes, nodes), { limitMs: 20_000 });
  });

  test(`${overlay}: a killed process is suspected within 5 s and confirmed within 10 s; so is a machine without power`, async (t) => {
    for (const power of [false, true]) {
      const world = createWorld({ seed });
      const [a, b, c] = (await start(world, 3, { overlay })) as [TestNode, TestNode, TestNode];
      const left: string[] = [];
      a.overlay.events.on('left', (id) => left.push(toHex(id)));
      await world.runFor(20_000);
      world.host(c.host).crash({ power });
      const { id } = c.state.record;
      const suspected = await time(
        world,
        5000,
        () => a.overlay.liveness(id) !== 'alive' && b.overlay.liveness(id) !== 'alive',
      );
      const confirmed = await time(world, 5000, () => agree([a, b], [a, b]));
      t.diagnostic(`power ${power}: suspect ${Math.round(suspected)} ms, dead ${Math.round(suspected + confirmed)} ms`);
      assert.deepEqual(left, [c.name]);
      const back = startNode(world, c.host, { overlay });
      await time(world, 3000, () => agree([a, b, back], [a, b, back]));
    }
  });

  test(`${overlay}: who says goodbye is gone at once`, async () => {
    const world = createWorld({ seed });
    const [a, b, c] = (await start(world, 3, { overlay })) as [TestNode, TestNode, TestNode];
    void stopNode(c);
    await time(world, 500, () => agree([a, b], [a, b]));
  });

  test(`${overlay}: a whole network restarted at once, without seeds, meets again`, async () => {
    const world = createWorld({ seed });
    const nodes = await start(world, 5, { overlay });
    await world.runFor(10_000);
    for (const { host } of nodes) world.host(host).crash();
    await world.runFor(1000);
    const again = nodes.map(({ host }) => startNode(world, host, { overlay }));
    await time(world, 10_000, () => agree(again, again));
  });

  test(`${overlay}: the sides of a partition go on alone, and become one again soon after it ends`, async (t) => {
    const world = createWorld({ seed });
    const nodes = await start(world, 6, { overlay });
    const [left, right] = [nodes.slice(0, 2), nodes.slice(2)];
    const mend = world.network.partition(
      left.map((node) => node.host),
      right.map((node) => node.host),
    );
    const parted = await time(world, 60_000, () => agree(left, left) && agree(right, right));
    mend();
    const merged = await time(world, 60_000, () => agree(nodes, nodes));
    t.diagnostic(`parted after ${Math.round(parted)} ms, one again after ${Math.round(merged)} ms`);
  });

  test(`${overlay}: twelve nodes under loss and churn end in agreement, with owners as computed from all records`, async () => {
    const world = createWorld({ seed, link: { loss: 0.02, latencyMs: { min: 1, max: 40 } } });
    let nodes = await start(world, 12, { overlay, positions: 4 });
    for (let round = 0; round < 6; round++) {
      const victim = nodes[world.random.below(nodes.length)] as TestNode;
      world.host(victim.host).crash({ power: world.random.chance(0.5) });
      await world.runFor(world.random.below(15_000));
      nodes = nodes.map((node) => (node === victim ? startNode(world, victim.host, { overlay }) : node));
      await world.runFor(world.random.below(5000));
    }
    world.network.setLink({ loss: 0 });
    await world.run(() => agree(nodes, nodes), { limitMs: 5 * 60_000 });
    await world.runFor(60_000);
    const records = nodes.map((node) => node.state.record);
    const byName = new Map(records.map((record) => [toHex(record.id), record]));
    const circle = circleOf(records);
    for (let i = 0; i < 20; i++) {
      const address = hash(Buffer.from(`block ${i}`));
      const want = replicas(walkFrom(circle, pointOf(address)), 3, (name) => byName.get(name)).map(({ id }) =>
        toHex(id),
      );
      for (const node of nodes.slice(0, 3)) {
        const got = (await world.settle(node.overlay.owners(address, 3))).map(({ id }) => toHex(id));
        assert.deepEqual(got, want, `replay: INFINIT_SEED=${seed}`);
      }
    }
  });

  test(`${overlay}: the same seed gives the same trace`, async () => {
    const traces: string[] = [];
    for (let run = 0; run < 2; run++) {
      const world = createWorld({ seed });
      await start(world, 4, { overlay });
      await world.runFor(20_000);
      traces.push(world.trace());
    }
    assert.equal(traces[0], traces[1]);
  });
}
