// A member of the network turns against it, with real processes: he floods nodes with calls on every connection he may have; work goes
// on beside it, memory stays bounded; his passport is revoked, and within seconds nobody talks to him any more.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { registerBatch } from '../../src/core/consensus/register/messages.ts';
import { descriptorContext } from '../../src/core/descriptor/context.ts';
import { type LinkedNode, openLinkedNode } from '../../src/core/node/link.ts';
import type { Peer } from '../../src/core/peer/peer.ts';
import { parseEndpoint } from '../../src/core/runtime/endpoint.ts';
import { systemRuntime } from '../../src/core/runtime/system/system.ts';
import { blockGet, blockPut } from '../../src/core/store/messages.ts';
import {
  type Cluster,
  type Connection,
  connect,
  createCluster,
  fullRedundancy,
  inspect,
  type Node,
  network,
  startDoor,
} from './cluster.ts';
import { eventually, Lab, sleep } from './device.ts';
import { Ledger } from './ledger.ts';

const healMs = 120_000;
const putsBesideFlood = 12;
const callsInFlight = 2_000;
const memoryMaxBytes = 700 * 1024 ** 2;

/** Calls one after another at each of many places at once, of whatever kind, until told to stop. */
class Flood {
  answered = 0;
  refused = 0;
  private readonly workers: Promise<void>[] = [];
  private over = false;

  constructor(peers: readonly Peer[]) {
    for (let i = 0; i < callsInFlight; i++) this.workers.push(this.work(peers, i));
  }

  private async work(peers: readonly Peer[], index: number): Promise<void> {
    const block = randomBytes(4096);
    for (let turn = index; !this.over; turn++) {
      const peer = peers[turn % peers.length] as Peer;
      const address = randomBytes(32);
      try {
        if (turn % 3 === 0) await peer.call(blockGet, { address });
        else if (turn % 3 === 1) await peer.call(blockPut, { address, generation: 0, block });
        else
          await peer.call(registerBatch, {
            calls: Array.from({ length: 64 }, () => ({
              address,
              message: { type: 'read' as const, known: undefined },
            })),
          });
        this.answered++;
      } catch {
        this.refused++;
        if (!peer.open) await sleep(20);
      }
    }
  }

  async stop(): Promise<void> {
    this.over = true;
    await Promise.all(this.workers);
  }
}

describe('a member who turns against the network', { timeout: 420_000 }, () => {
  const lab = new Lab();
  const ledger = new Ledger();
  let devices: Cluster;
  let nodes: { one: Node; two: Node; three: Node };
  let client: Connection | undefined;
  let bob: LinkedNode | undefined;
  let peers: Peer[] = [];

  before(async () => {
    devices = await createCluster(lab);
    const one = await devices.one.startNode(network);
    const two = await devices.two.startNode(network, ['--peer', one.endpoint]);
    const three = await devices.three.startNode(network, ['--peer', one.endpoint]);
    nodes = { one, two, three };
    await startDoor(devices.one);
    await fullRedundancy(devices.one, healMs);
    client = await connect(devices.one);
  });
  after(async () => {
    await client?.close();
    await bob?.close();
    await lab.close();
  });

  test('floods of calls leave room for others, and cost the nodes a bounded amount of memory', async () => {
    const runtime = systemRuntime({ log: { level: 'error' } });
    const context = { ...descriptorContext(runtime, devices.three.folders), runtime };
    bob = await openLinkedNode({ context, as: 'bob', network, role: 'client' });
    await bob.node.start([parseEndpoint(nodes.one.endpoint)]);
    const { overlay } = bob.node;
    const others = await eventually("two of alice's nodes known", 30_000, async () => {
      const ids = overlay.nodes().map(({ id }) => id);
      return ids.length >= 3 && ids;
    });
    peers = await Promise.all(others.map((id) => overlay.peer(id)));
    const flood = new Flood(peers);
    const memory: number[] = [];
    for (let i = 0; i < putsBesideFlood; i++) {
      await ledger.put((client as Connection).keys, `k${i}`, randomBytes(500));
      const { memory_bytes } = await inspect<{ memory_bytes: number }>(devices.one, 'status');
      memory.push(memory_bytes);
    }
    await flood.stop();
    assert.ok(flood.answered + flood.refused > callsInFlight, `${flood.answered} answered, ${flood.refused} refused`);
    const most = Math.max(...memory);
    assert.ok(most < memoryMaxBytes, `${Math.round(most / 1024 ** 2)} MiB`);
    await ledger.verify((client as Connection).keys);
  });

  test('once revoked, nobody talks to him, on connections that are open neither', async () => {
    const told = await devices.one.run(['passport', 'revoke', '--network', 'cluster', '--user', 'bob', '--script']);
    assert.ok((JSON.parse(told) as { nodes: number }).nodes >= 1);
    await eventually('connections closed', 30_000, async () => {
      // His own third node still knows him: it is his.
      const open = peers.filter((peer) => peer.open && !sameUser(peer));
      return open.length === 0;
    });
    const [endpoint] = [parseEndpoint(nodes.two.endpoint)];
    await assert.rejects((bob as LinkedNode).node.peers.connect({ endpoints: [endpoint] }), /was revoked/);
    const refused = await devices.three.attempt(['network', 'list-services', network, '--script']);
    assert.equal(refused.code, 1);
    await ledger.put((client as Connection).keys, 'after', randomBytes(500));
    await ledger.verify((client as Connection).keys);
  });

  function sameUser(peer: Peer): boolean {
    return Buffer.from(peer.identity.userKey).equals(Buffer.from((bob as LinkedNode).user.publicKey));
  }
});
