// A member of the network turns against it, with real processes: he floods nodes with calls on every connection he may have; work goes
// on beside it, memory stays bounded; his passport is revoked, and within seconds nobody talks to him any more.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { descriptorContext } from '../../src/core/descriptor/context.ts';
import { type LinkedNode, openLinkedNode } from '../../src/core/node/link.ts';
import { askMonitor } from '../../src/core/node/monitor.ts';
import { monitorSocket } from '../../src/core/node/sockets.ts';
import type { Peer } from '../../src/core/peer/peer.ts';
import { parseEndpoint } from '../../src/core/runtime/endpoint.ts';
import { systemRuntime } from '../../src/core/runtime/system/system.ts';
import {
  type Cluster,
  type Connection,
  connect,
  createCluster,
  fullRedundancy,
  type Node,
  network,
  startDoor,
} from './cluster.ts';
import { type Device, eventually, Lab, Running } from './device.ts';
import type { FloodCounts, FloodFacts } from './flooder.ts';
import { Ledger } from './ledger.ts';

const healMs = 120_000;
const puts = 100;
const floodStartMs = 60_000;
const memoryMaxBytes = 700 * 1024 ** 2;

/** Calls at many places at once, from a process of its own, until told to stop. */
class Flood {
  private readonly running: Running;
  private readonly child: ChildProcess;

  private constructor(facts: FloodFacts) {
    const program = fileURLToPath(new URL('./flooder.ts', import.meta.url));
    this.child = spawn(process.execPath, ['--import', 'tsx', program, JSON.stringify(facts)], { stdio: 'pipe' });
    this.running = new Running(this.child);
  }

  static async begin(facts: FloodFacts): Promise<Flood> {
    const flood = new Flood(facts);
    await flood.running.waitFor(/^flooding/m, floodStartMs);
    return flood;
  }

  async stop(): Promise<FloodCounts> {
    this.child.stdin?.end();
    await this.running.waitFor(/^{.*}$/m, floodStartMs);
    return JSON.parse(this.running.output.split('\n')[1] ?? '') as FloodCounts;
  }

  async kill(): Promise<void> {
    await this.running.kill();
  }
}

describe('a member who turns against the network', { timeout: 420_000 }, () => {
  const lab = new Lab();
  const ledger = new Ledger();
  let devices: Cluster;
  let nodes: { one: Node; two: Node; three: Node };
  let client: Connection | undefined;
  let bob: LinkedNode | undefined;
  let flood: Flood | undefined;

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
    await flood?.kill();
    await client?.close();
    await bob?.close();
    await lab.close();
  });

  /** Puts one after another; how long they took, shortest first. */
  const putAll = async (prefix: string): Promise<number[]> => {
    const times: number[] = [];
    for (let i = 0; i < puts; i++) {
      const from = performance.now();
      await ledger.put((client as Connection).keys, `${prefix}${i}`, randomBytes(500));
      times.push(performance.now() - from);
    }
    return times.sort((a, b) => a - b);
  };

  test('floods of calls leave room for others, and cost the nodes a bounded amount of memory', async (t) => {
    const alone = await putAll('alone');
    const { folders } = devices.three;
    flood = await Flood.begin({ folders, as: 'bob', network, endpoint: nodes.one.endpoint, nodes: 3 });
    const beside = await putAll('beside');
    const memory = await Promise.all([devices.one, devices.two, devices.three].map(memoryOf));
    const { answered, refused } = await flood.stop();
    const told = (times: readonly number[]) =>
      `${times[puts / 2]?.toFixed(0)} ms (${times.at(-1)?.toFixed(0)} at most)`;
    t.diagnostic(`a put took ${told(alone)}, beside ${answered} calls answered and ${refused} refused ${told(beside)}`);
    assert.ok(answered > 1000 && refused > 1000, `${answered} answered, ${refused} refused`);
    const most = Math.max(...memory);
    assert.ok(most < memoryMaxBytes, `${Math.round(most / 1024 ** 2)} MiB`);
    await ledger.verify((client as Connection).keys);
  });

  test('once revoked, nobody talks to him, on connections that are open neither', async () => {
    const runtime = systemRuntime({ log: { level: 'error' } });
    const context = { ...descriptorContext(runtime, devices.three.folders), runtime };
    bob = await openLinkedNode({ context, as: 'bob', network, role: 'client' });
    await bob.node.start([parseEndpoint(nodes.one.endpoint)]);
    const { overlay } = bob.node;
    const ids = await eventually('all nodes are known', 30_000, async () => {
      const known = overlay.nodes().map(({ id }) => id);
      return known.length >= 3 && known;
    });
    const peers = await Promise.all(ids.map((id) => overlay.peer(id)));
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

async function memoryOf({ folders, user }: Device): Promise<number> {
  const status = await askMonitor(monitorSocket(folders, 'network', user, network), 'status', { timeoutMs: healMs });
  return (status as { memory_bytes: number }).memory_bytes;
}
