// A volume on the network of three devices, and mounts of it.

import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { type Cluster, createCluster, fullRedundancy, type Node, network } from './cluster.ts';
import type { Device, Lab, Running } from './device.ts';

export const volume = 'alice/shared';
const healMs = 120_000;

export interface Mounts {
  devices: Cluster;
  nodes: { one: Node; two: Node; three: Node };
}

/** Why mounts cannot be tested here; undefined when they can. */
export function cannotMount(): string | undefined {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
  } catch {
    return 'no /dev/fuse that may be opened: mounts are not tested';
  }
  return process.getuid?.() === 0 ? undefined : 'not root: mounts are not tested';
}

/** Three nodes that run, and a volume known to all. */
export async function createVolume(lab: Lab, options: readonly string[] = [], capacity = '4GB'): Promise<Mounts> {
  const devices = await createCluster(lab, { capacity });
  const one = await devices.one.startNode(network);
  const two = await devices.two.startNode(network, ['--peer', one.endpoint]);
  const three = await devices.three.startNode(network, ['--peer', one.endpoint]);
  await devices.one.run(['volume', 'create', 'shared', '--network', 'cluster', ...options]);
  const descriptor = await devices.one.run(['volume', 'export', 'shared']);
  for (const device of [devices.two, devices.three]) await device.run(['volume', 'import'], descriptor);
  await fullRedundancy(devices.one, healMs, 1);
  return { devices, nodes: { one, two, three } };
}

export interface Mount extends Running {
  readonly mountpoint: string;
}

/** Mounts the volume, or another, on a device, in the foreground. */
export async function mountOn(device: Device, options: readonly string[] = [], name = volume): Promise<Mount> {
  const mountpoint = join(device.home, name === volume ? 'mnt' : `mnt-${name.replace('/', '-')}`);
  const words = ['volume', 'mount', name, '--mountpoint', mountpoint, '--listen', device.place.address, ...options];
  const running = await device.start(words, /^Running volume/m);
  return Object.assign(running, { mountpoint });
}
