// What is measured: three storage nodes and one key-value door, each a process of the built program with a home of its own, set
// up as people do it. With `profile` set each process leaves a CPU profile in that folder when it ends, of the time since `warm`.

import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { descriptorContext } from '../src/core/descriptor/context.ts';
import { connectDoor } from '../src/core/gateway/kv/door.ts';
import { type Context, openLinkedNode } from '../src/core/node/link.ts';
import { parseEndpoint } from '../src/core/runtime/endpoint.ts';
import { systemRuntime } from '../src/core/runtime/system/system.ts';
import type { Blocks } from '../src/core/store/store.ts';
import type { KeyStore } from '../src/core/volume/keys.ts';
import { type Device, Lab, type Running } from '../test/end-to-end/device.ts';

const network = 'alice/cluster';
const store = 'alice/notes';
const capacity = '32GB';

export interface Cluster {
  keys: KeyStore;
  /** Nodes first, the door last. */
  pids: number[];
  /** Profiling, where asked for, begins here. */
  warm(): void;
  /** What the processes said, for when something fails. */
  output(): string;
  /** Another client of the network, in this process. */
  openBlocks(): Promise<{ blocks: Blocks; close(): Promise<void> }>;
  stop(): Promise<void>;
}

export async function startCluster(options: { profile?: string | undefined } = {}): Promise<Cluster> {
  const lab = new Lab();
  try {
    const devices = ['one', 'two', 'three'].map((name) => lab.device(name, 'alice'));
    const door = lab.device('door', 'alice');
    const first = await setUpNetwork(devices, [door]);
    await first.run(['key-value-store', 'create', 'notes', '--network', 'cluster']);
    await door.run(['key-value-store', 'import'], await first.run(['key-value-store', 'export', 'notes']));
    const nodes = await startNodes(devices, options.profile);
    const running: Running[] = [...nodes];
    const peer = ['--peer', (nodes[0] as Node).endpoint];
    const socket = join(lab.folder, 'door.sock');
    const words = ['key-value-store', 'run', store, '--listen', `unix:${socket}`, ...peer];
    running.push(await profiled(options.profile, 'door', () => door.start(words, /^Running key-value store/m)));
    const { keys, close } = await connectDoor(systemRuntime({ log: { level: 'error' } }), socket, store);
    return {
      keys,
      pids: running.map(({ pid }) => pid),
      warm: () => {
        if (options.profile !== undefined) for (const { pid } of running) process.kill(pid, 'SIGUSR2');
      },
      output: () => running.map(({ output }) => output).join(''),
      openBlocks: () => openBlocks(door, String(peer[1])),
      stop: async () => {
        await close();
        if (options.profile !== undefined) for (const one of running.reverse()) await one.stop();
        await lab.close();
      },
    };
  } catch (error) {
    await lab.close();
    throw error;
  }
}

type Node = Running & { endpoint: string };

/** Alice's devices: storage nodes, each with a silo, and clients. Resolves with the founder of the network. */
export async function setUpNetwork(nodes: readonly Device[], clients: readonly Device[]): Promise<Device> {
  const [first, ...others] = nodes as [Device, ...Device[]];
  await first.run(['user', 'create', 'alice']);
  const identity = await first.run(['user', 'export', 'alice', '--full']);
  for (const device of [...others, ...clients]) await device.run(['user', 'import'], identity);
  for (const device of nodes) await device.run(['silo', 'create', 'filesystem', 'disk', '--capacity', capacity]);
  await first.run(['network', 'create', 'cluster', '--silo', 'disk', '--replication-factor', '3']);
  const descriptor = await first.run(['network', 'export', 'cluster']);
  for (const device of [...others, ...clients]) await device.run(['network', 'import'], descriptor);
  for (const device of others) await device.run(['network', 'link', 'cluster', '--silo', 'disk']);
  for (const device of clients) await device.run(['network', 'link', 'cluster']);
  return first;
}

/** Starts them one after another; all know the first. */
export async function startNodes(devices: readonly Device[], profile?: string): Promise<Node[]> {
  const nodes: Node[] = [];
  for (const device of devices) {
    const peer = nodes[0] === undefined ? [] : ['--peer', nodes[0].endpoint];
    nodes.push(await profiled(profile, device.name, () => device.startNode(network, peer)));
  }
  return nodes;
}

/** Starts something that leaves a profile of that name in the folder, if there is one. */
export async function profiled<T>(folder: string | undefined, name: string, start: () => Promise<T>): Promise<T> {
  if (folder === undefined) return start();
  mkdirSync(folder, { recursive: true });
  const profiler = fileURLToPath(new URL('./profiler.cjs', import.meta.url));
  const added = { NODE_OPTIONS: `--require ${profiler}`, BENCH_PROFILE: join(folder, `${name}.cpuprofile`) };
  Object.assign(process.env, added);
  try {
    return await start();
  } finally {
    for (const variable of Object.keys(added)) delete process.env[variable];
  }
}

async function openBlocks(device: Device, peer: string): Promise<{ blocks: Blocks; close(): Promise<void> }> {
  const runtime = systemRuntime({ log: { level: 'error' } });
  const folder = (path: string) => join(device.home, path, 'infinit/filesystem');
  const home = {
    data: folder('.local/share'),
    cache: folder('.cache'),
    state: folder('.local/state'),
    config: folder('.config'),
    runtime: join(device.home, 'run'),
  };
  const context: Context = { ...descriptorContext(runtime, home), runtime };
  const linked = await openLinkedNode({ context, as: 'alice', network, role: 'client' });
  await linked.node.start([parseEndpoint(peer)]);
  return { blocks: linked.node.store.blocks, close: () => linked.close() };
}

/** Resident memory of processes together, in MiB. */
export function residentMiB(pids: readonly number[]): number {
  let kib = 0;
  for (const pid of pids) kib += Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  return kib / 1024;
}

/** Processor time of processes together so far, in seconds. */
export function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / 100;
}
