// Ours as a target for measurements of mounts: three storage nodes and one process that mounts a volume, each of the built program
// with a home of its own. The mount's process keeps no blocks: what it writes crosses the network to all three nodes.

import { accessSync, constants, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Device, Lab, type Running } from '../test/end-to-end/device.ts';
import { profiled, setUpNetwork, startNodes } from './cluster.ts';
import { family, isMounted, type Scene, unmount, warn } from './mount-scene.ts';
import type { Target } from './mount-targets.ts';

/** Its storage nodes: devices, and their processes as they run. */
export interface Infinit extends Target {
  nodes: readonly Device[];
  running: (Running & { endpoint: string })[];
}

const volume = 'alice/shared';
const stopTimeoutMs = 60_000;

/** Why it cannot run here, if it cannot. */
export function infinitMissing(): string | undefined {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
    return undefined;
  } catch {
    return 'infinit is skipped: there is no /dev/fuse that may be opened.';
  }
}

/** With `profile` its processes leave CPU profiles in that folder when they end in order: of the mount, of the last one. */
export async function startInfinit(scene: Scene, profile?: string): Promise<Infinit> {
  const mountpoint = join(scene.folder, 'infinit');
  mkdirSync(mountpoint);
  const lab = new Lab();
  scene.atEnd('stopping infinit', () => lab.close());
  const nodes = ['one', 'two', 'three'].map((name) => lab.device(name, 'alice'));
  const client = lab.device('client', 'alice');
  const first = await setUpNetwork(nodes, [client]);
  await first.run(['volume', 'create', 'shared', '--network', 'cluster']);
  await client.run(['volume', 'import'], await first.run(['volume', 'export', 'shared']));
  scene.signal.throwIfAborted();
  const running = await startNodes(nodes, profile);
  const words = ['volume', 'mount', volume, '--mountpoint', mountpoint, '--listen', '127.0.0.1'];
  const peer = ['--peer', (running[0] as (typeof running)[0]).endpoint];

  let mount: Running | undefined;
  const stop = async () => {
    // Interrupted, nobody wants what it holds, and its nodes may be gone: the terminal told them as well.
    if (scene.signal.aborted) await mount?.kill();
    else if (mount !== undefined) await stopOrKill(mount);
    await unmount(mountpoint);
  };
  const start = async () => {
    mount = await profiled(profile, 'mount', () => client.start([...words, ...peer], /^Running volume/m));
    if (profile !== undefined) process.kill(mount.pid, 'SIGUSR2');
  };
  scene.atEnd("stopping infinit's nodes", async () => {
    // In order only where that leaves something: the folder goes anyway.
    if (profile !== undefined && !scene.signal.aborted) for (const node of running) await node.stop();
  });
  scene.atEnd('stopping the mount of infinit', stop);
  await start();
  if (profile !== undefined) for (const { pid } of running) process.kill(pid, 'SIGUSR2');
  return {
    name: 'infinit',
    what: 'three nodes and a mount without a silo, replication factor 3, encrypted',
    folder: mountpoint,
    isServed: () => isMounted(mountpoint),
    pids: () => [...running, ...(mount ? [mount] : [])].flatMap(({ pid }) => family(pid)),
    remount: async () => {
      await stop();
      await start();
    },
    output: () => [...running, ...(mount ? [mount] : [])].map(({ output }) => output.slice(-2000)).join(''),
    nodes,
    running,
  };
}

/** In order, so that what it holds is written; at last by force. */
async function stopOrKill(mount: Running): Promise<void> {
  const timer = setTimeout(() => {
    warn(`The mount did not end within ${stopTimeoutMs / 1000} s and was killed:\n${mount.output.slice(-2000)}`);
    void mount.kill();
  }, stopTimeoutMs);
  await mount.stop();
  clearTimeout(timer);
}
