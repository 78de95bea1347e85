// What every overlay promises (overlay.ts), run over the real overlay and real peers in a simulated world.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex } from '../../src/core/base/bytes.ts';
import { isError } from '../../src/core/base/errors.ts';
import { hash } from '../../src/core/crypto/hash.ts';
import { signRecord } from '../../src/core/overlay/node-record.ts';
import type { NodeRecord } from '../../src/core/overlay/overlay.ts';
import { circleOf, pointOf, replicas, walkFrom } from '../../src/core/overlay/ring.ts';
import { agree, port, seedOf, startNode, stopNode, type TestNode } from '../simulator/ring-network.ts';
import { createWorld, type World } from '../simulator/runtime/world.ts';

export interface OverlaySuite {
  overlay: string;
  /** Storage nodes the suite starts. */
  nodes: number;
}

const addresses = Array.from({ length: 40 }, (_, i) => hash(Buffer.from(`address ${i}`)));
const names = (records: readonly NodeRecord[]) => records.map((record) => toHex(record.id));

export function overlaySuite(suite: OverlaySuite): void {
  const { overlay, nodes: count } = suite;
  const title = (what: string) => `${overlay}, ${count} storage nodes: ${what}`;
  const host = (number: number) => `node-${number}`;

  async function network(world: World): Promise<TestNode[]> {
    const nodes: TestNode[] = [];
    for (let number = 0; number < count; number++) {
      const zone = `zone-${number % 4}`;
      nodes.push(startNode(world, host(number), { overlay, zone, seeds: number === 0 ? [] : [seedOf(host(0))] }));
    }
    await world.settle(Promise.all(nodes.map((node) => node.joined)));
    await world.run(() => agree(nodes, nodes), { limitMs: 60_000 });
    // Beyond the successor list, lists need a few rounds to be exact.
    if (count > 8) await world.runFor(60_000);
    return nodes;
  }

  async function client(world: World): Promise<TestNode> {
    const node = startNode(world, 'client', { overlay, kind: 'client', seeds: [seedOf(host(0))] });
    await world.settle(node.joined);
    return node;
  }

  test(title('a lone node is there at once and owns everything'), async () => {
    const world = createWorld({ seed: 1 });
    const node = startNode(world, host(0), { overlay });
    await world.settle(node.joined, { limitMs: 2000 });
    assert.deepEqual(names(node.overlay.nodes()), [node.name]);
    assert.equal(node.overlay.liveness(node.state.record.id), 'alive');
    for (const address of addresses.slice(0, 5))
      assert.deepEqual(names(await world.settle(node.overlay.owners(address, 3))), [node.name]);
  });

  test(title('all agree on owners: distinct, in ring order, spread over zones, as many as asked'), async () => {
    const world = createWorld({ seed: 2 });
    const nodes = await network(world);
    const asker = await client(world);
    const records = nodes.map((node) => node.state.record);
    const circle = circleOf(records);
    const byName = new Map(records.map((record) => [toHex(record.id), record]));
    for (const address of addresses) {
      const walk = walkFrom(circle, pointOf(address));
      const want = names(replicas(walk, 3, (name) => byName.get(name)));
      for (const node of [...nodes, asker])
        assert.deepEqual(names(await world.settle(node.overlay.owners(address, 3))), want, `asked ${node.host}`);
      assert.equal(want.length, Math.min(3, count));
      const many = names(await world.settle(asker.overlay.owners(address, 3 * count)));
      assert.equal(new Set(many).size, many.length);
      assert.ok(many.length >= Math.min(count, 8) && many.length <= count);
    }
  });

  test(title('records, liveness and connections by id'), async () => {
    const world = createWorld({ seed: 3 });
    const nodes = await network(world);
    const asker = await client(world);
    for (const node of nodes) {
      const { id } = node.state.record;
      assert.equal(asker.overlay.liveness(id), 'alive');
      assert.equal(asker.overlay.record(id)?.serial, node.state.record.serial);
      const peer = await world.settle(asker.overlay.peer(id));
      assert.deepEqual(toHex(peer.id), node.name);
    }
    const nobody = hash(Buffer.from('nobody'));
    assert.equal(asker.overlay.liveness(nobody), 'unknown');
    assert.equal(asker.overlay.record(nobody), undefined);
    await assert.rejects(world.settle(asker.overlay.peer(nobody)), (error) => isError(error, 'unavailable'));
    JSON.stringify(asker.overlay.inspect());
    JSON.stringify(nodes[0]?.overlay.inspect());
  });

  test(title('a closed node gets nothing new, and everybody hears of it'), async () => {
    const world = createWorld({ seed: 4 });
    const nodes = await network(world);
    const asker = await client(world);
    const closing = nodes.at(-1) as TestNode;
    const { id, publicKey, signature, ...statement } = closing.state.record;
    closing.state.record = signRecord(closing.key, { ...statement, closed: true, serial: statement.serial + 100 });
    const everybody = [...nodes, asker];
    await world.run(() => everybody.every((node) => node.overlay.record(id)?.closed === true), { limitMs: 60_000 });
    for (const address of addresses.slice(0, 10)) {
      const owners = names(await world.settle(asker.overlay.owners(address, count)));
      assert.ok(!owners.includes(closing.name));
    }
    if (count > 8) return;
    const all = names(await world.settle(asker.overlay.owners(addresses[0] as Buffer, count, { all: true })));
    assert.ok(all.includes(closing.name));
  });

  test(title('a client that finds nobody waits, and finds whoever comes'), async () => {
    const world = createWorld({ seed: 5 });
    const asker = startNode(world, 'client', { overlay, kind: 'client', seeds: [{ host: host(0), port }] });
    await world.settle(asker.joined, { limitMs: 30_000 });
    assert.deepEqual(await world.settle(asker.overlay.owners(addresses[0] as Buffer, 3)), []);
    const nodes = await network(world);
    await world.run(() => agree([asker], nodes), { limitMs: 60_000 });
  });

  test(title('who started alone meets the network where he is told it is'), async () => {
    const world = createWorld({ seed: 8 });
    const nodes = await network(world);
    const asker = startNode(world, 'client', { overlay, kind: 'client' });
    await world.settle(asker.joined, { limitMs: 30_000 });
    const nobody = [{ host: 'nowhere', port }];
    await assert.rejects(world.settle(asker.overlay.meet(nobody)), (error) => isError(error, 'unavailable'));
    await world.settle(asker.overlay.meet([seedOf(host(0))]));
    await world.run(() => agree([asker], nodes), { limitMs: 10_000 });
    if (overlay === 'kalimero') return;
    const lone = startNode(world, 'lone', { overlay, zone: 'zone-0' });
    await world.settle(lone.joined, { limitMs: 30_000 });
    assert.deepEqual(names(lone.overlay.nodes()), [lone.name]);
    await world.settle(lone.overlay.meet([seedOf(host(0))]));
    const all = [...nodes, lone];
    await world.run(() => agree(all, all), { limitMs: 120_000 });
  });

  test(title('a client started again finds the network by what it remembered'), async () => {
    const world = createWorld({ seed: 6 });
    const nodes = await network(world);
    await world.settle(stopNode(await client(world)));
    const again = startNode(world, 'client', { overlay, kind: 'client' });
    await world.settle(again.joined);
    await world.run(() => agree([again], nodes), { limitMs: 10_000 });
  });

  test(title('a caller that gave up hears so, and stopping twice is fine'), async () => {
    const world = createWorld({ seed: 7 });
    const nodes = await network(world);
    const [node] = nodes as [TestNode];
    const signal = AbortSignal.abort();
    const owners = node.overlay.owners(addresses[0] as Buffer, 3, { signal });
    await assert.rejects(world.settle(owners), (error) => isError(error, 'cancelled'));
    await world.settle(Promise.all(nodes.map(stopNode)));
    await world.settle(node.overlay.stop());
    await world.runFor(30_000);
    const quiet = world.eventCount;
    await world.runFor(60_000);
    assert.equal(world.eventCount, quiet, 'nothing goes on after the stop');
  });
}
