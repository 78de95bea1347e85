// Members of registers on whole nodes (docs/protocols.md 2.5): eviction after the delay and not before, a node that comes back,
// a network that shrinks node by node, a disk lost while another node is away, nodes that leave for good.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex } from '../../src/core/base/bytes.ts';
import { isError } from '../../src/core/base/errors.ts';
import type { DrainProgress } from '../../src/core/store/drain.ts';
import { evictionDelayMs, Scene } from './membership-scene.ts';
import type { Device } from './whole.ts';

/** Noticing a death, the delay, and a round of the workers. */
const evictedMs = evictionDelayMs + 45_000;

test('a node that stays away is replaced after the delay and not before; when it comes back it gives up what moved on', {
  timeout: 300_000,
}, async () => {
  const scene = await Scene.begin(11, 5);
  scene.note();
  const before = await scene.members();
  for (const members of before) assert.equal(members.length, 3);
  const gone = before[0]?.[0] as number;
  const device = scene.nodes[gone] as Device;
  device.crash();
  await scene.world.runFor(evictionDelayMs - 15_000);
  assert.deepEqual(await scene.members(), before);
  await scene.world.runFor(60_000);
  for (const members of await scene.members()) {
    assert.equal(members.length, 3);
    assert.ok(!members.includes(gone));
  }
  await scene.readsEverything();
  await scene.put('while away', 'yes');
  device.host.restart();
  await scene.world.settle(device.startNode([]));
  await scene.world.runFor(30_000);
  assert.ok(scene.counter(device, 'retired') > 0, 'what moved on is given up');
  // Placement names it again: after a while it is a member where it was.
  await scene.world.runFor(150_000);
  assert.deepEqual(await scene.members(), before);
  await scene.readsEverything();
  assert.equal(await scene.get('while away'), 'yes');
});

test('nodes lost for good one after the other: every register is agreed on by those that are left, down to two', {
  timeout: 300_000,
}, async () => {
  const scene = await Scene.begin(12, 5);
  scene.note();
  for (const [i, device] of scene.nodes.slice(0, 3).entries()) {
    device.crash();
    await scene.world.runFor(evictedMs);
    await scene.readsEverything();
    await scene.put(`after ${i}`, `${i}`);
    const expected = i < 2 ? 3 : 2;
    for (const members of await scene.members()) {
      const alive = members.filter((member) => scene.nodes[member]?.linked !== undefined);
      assert.equal(alive.length, expected, `${i} ${members}`);
    }
  }
  for (let i = 0; i < 3; i++) assert.equal(await scene.get(`after ${i}`), `${i}`);
});

test('with a disk lost while another member is away nothing is agreed on; when it is back, everything is', {
  timeout: 300_000,
}, async () => {
  const scene = await Scene.begin(13, 5);
  scene.note();
  const [first] = await scene.members();
  const [away, emptied] = (first ?? []).map((i) => scene.nodes[i] as Device) as [Device, Device];
  away.crash();
  await scene.world.runFor(evictionDelayMs - 20_000);
  emptied.crash(false);
  await scene.world.settle(emptied.host.restart().files.remove('/home/data/blocks/disk'));
  await scene.world.settle(emptied.startNode([]));
  await scene.world.runFor(150_000);
  await assert.rejects(scene.registers(), (error) => isError(error, 'unavailable'));
  const blocked = scene.nodes.filter((device) => scene.counter(device, 'blocked') > 0);
  assert.ok(blocked.length > 0, 'somebody says so');
  away.host.restart();
  await scene.world.settle(away.startNode([]));
  await scene.world.runFor(150_000);
  for (const members of await scene.members()) assert.equal(members.length, 3);
  const stores = (await scene.registers()).flatMap(({ members }) => members.map(({ store }) => toHex(store)));
  const known = new Set(scene.running().map(({ node }) => toHex(node.self()?.store ?? Buffer.alloc(0))));
  for (const store of stores) assert.ok(known.has(store), 'every member is a store that is there');
  await scene.readsEverything();
});

function drained(device: Device): Promise<DrainProgress> {
  const drain = device.linked?.node.drain;
  if (drain === undefined) throw new Error('the node does not run');
  return drain.run(new AbortController().signal);
}

test('each of five nodes is drained in turn and switched off, and comes back: everything stays readable', {
  timeout: 400_000,
}, async () => {
  const scene = await Scene.begin(14, 5);
  scene.note();
  for (let i = 0; i < 5; i++) await scene.put(`big${i}`, `${i}`.repeat(200_000));
  await scene.world.runFor(60_000);
  for (const [i, device] of scene.nodes.entries()) {
    const done = drained(device);
    await scene.put(`during ${i}`, `${i}`);
    const { state, registers, journals, copies } = await scene.world.settle(done, { limitMs: 300_000 });
    assert.deepEqual([state, registers, journals, copies], ['drained', 0, 0, 3]);
    for (const members of await scene.members()) {
      assert.equal(members.length, 3);
      assert.ok(!members.includes(i));
    }
    await scene.world.settle(device.linked?.node.stop() ?? Promise.resolve());
    device.crash();
    // Nobody waits for an eviction: one more node may go at once, and everything is there.
    const another = scene.nodes[(i + 1) % 5] as Device;
    another.crash();
    await scene.readsEverything();
    for (let n = 0; n < 5; n++) assert.equal((await scene.get(`big${n}`)).length, 200_000);
    for (const back of [another, device]) {
      back.host.restart();
      await scene.world.settle(back.startNode([]));
    }
    await scene.world.runFor(45_000);
  }
  for (let i = 0; i < 5; i++) assert.equal(await scene.get(`during ${i}`), `${i}`);
});

test('the last node cannot be drained, and a drain that is given up leaves the node as it was', {
  timeout: 300_000,
}, async () => {
  const scene = await Scene.begin(15, 3);
  scene.note();
  const before = await scene.members();
  const [first, second, third] = scene.nodes as [Device, Device, Device];
  const abort = new AbortController();
  const given = first.linked?.node.drain?.run(abort.signal);
  abort.abort();
  assert.ok(given);
  await assert.rejects(scene.world.settle(given), (error) => isError(error, 'cancelled'));
  assert.equal(first.linked?.node.drain?.isLeaving, false);
  await scene.world.runFor(120_000);
  assert.deepEqual(await scene.members(), before);
  for (const device of [second, third]) {
    await scene.world.settle(drained(device), { limitMs: 300_000 });
    await scene.world.settle(device.linked?.node.stop() ?? Promise.resolve());
    device.crash();
    await scene.readsEverything();
  }
  for (const members of await scene.members()) assert.deepEqual(members, [0]);
  await assert.rejects(scene.world.settle(drained(first)), (error) => isError(error, 'unavailable'));
  await scene.put('still', 'works');
  assert.equal(await scene.get('still'), 'works');
});

const nameOf = ({ host }: Device) => host.name;
for (const missing of ['paused', 'cut off'])
  test(`who was ${missing} while a node was drained learns that it left for good, and waits for nobody`, {
    timeout: 300_000,
  }, async () => {
    const { world, nodes, client } = await Scene.begin(16, 5, { evictionDelayMs: 3_600_000 });
    const [gone, away, ...others] = nodes as [Device, Device, ...Device[]];
    const id = gone.linked?.node.peers.self.id ?? assert.fail('it runs');
    if (missing === 'paused') away.host.pause();
    else world.network.partition([nameOf(away)], [gone, ...others, client].map(nameOf));
    await world.settle(drained(gone), { limitMs: 300_000 });
    await world.settle(gone.linked?.node.stop() ?? Promise.resolve());
    gone.crash();
    await world.runFor(60_000);
    if (missing === 'paused') away.host.resume();
    else world.network.heal();
    await world.runFor(60_000);
    for (const device of [away, ...others]) {
      const { overlay, absence } = device.linked?.node ?? assert.fail('it runs');
      assert.equal(overlay.record(id)?.leaving, true, nameOf(device));
      for (let i = 0; i < 16; i++) {
        const holders = await world.settle(absence.holders(Buffer.alloc(32, i * 16), 3));
        assert.ok(!holders.some((holder) => toHex(holder.id) === toHex(id)), nameOf(device));
      }
    }
  });

test('sets that a drain left small, because a node was away, grow by themselves when it is back', {
  timeout: 300_000,
}, async () => {
  const scene = await Scene.begin(17, 4);
  scene.note();
  const [gone, away] = scene.nodes as [Device, Device];
  for (let i = 0; i < 3; i++) await scene.put(`big${i}`, `${i}`.repeat(200_000));
  away.crash();
  await scene.world.runFor(15_000);
  const { copies } = await scene.world.settle(drained(gone), { limitMs: 300_000 });
  await scene.world.settle(gone.linked?.node.stop() ?? Promise.resolve());
  gone.crash();
  assert.equal(copies, 2);
  for (const members of await scene.members()) assert.ok(!members.includes(0), `${members}`);
  const small = (await scene.members()).filter((members) => !members.includes(1));
  assert.ok(small.length > 0, 'the drained node was a member beside two that are left');
  for (const members of small) assert.deepEqual(members, [2, 3]);
  away.host.restart();
  await scene.world.settle(away.startNode([]));
  await scene.world.runFor(90_000);
  for (const members of await scene.members()) assert.deepEqual(members, [1, 2, 3]);
  // Whichever is lost now, everything is there: blocks and journals have their third copy, too.
  for (const lost of scene.nodes.slice(1)) {
    lost.crash();
    await scene.readsEverything();
    for (let i = 0; i < 3; i++) assert.equal((await scene.get(`big${i}`)).length, 200_000);
    lost.host.restart();
    await scene.world.settle(lost.startNode([]));
    await scene.world.runFor(30_000);
  }
});
