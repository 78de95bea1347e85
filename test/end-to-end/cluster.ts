// A network of three devices with a key-value store: alice's two devices and bob's one, set up as people do it, with exports and
// imports.

import { connectDoor } from '../../src/core/gateway/kv/door.ts';
import { doorSocket } from '../../src/core/node/sockets.ts';
import { systemRuntime } from '../../src/core/runtime/system/system.ts';
import type { KeyStore } from '../../src/core/volume/keys.ts';
import { type Device, eventually, type Lab, type Running } from './device.ts';

export const network = 'alice/cluster';
export const store = 'alice/notes';
export const silo = 'disk';

export type Node = Running & { endpoint: string };

export interface Cluster {
  /** Alice's, founder of the network. */
  one: Device;
  /** Alice's. */
  two: Device;
  /** Bob's; he may store, not read. */
  three: Device;
}

export async function createCluster(lab: Lab, options: { capacity?: string } = {}): Promise<Cluster> {
  const one = lab.device('one', 'alice');
  const two = lab.device('two', 'alice');
  const three = lab.device('three', 'bob');
  const capacity = options.capacity ?? '2GB';
  await one.run(['user', 'create', 'alice']);
  await two.run(['user', 'import'], await one.run(['user', 'export', 'alice', '--full']));
  await three.run(['user', 'create', 'bob']);
  await one.run(['user', 'import'], await three.run(['user', 'export', 'bob']));
  await three.run(['user', 'import'], await one.run(['user', 'export', 'alice']));
  for (const device of [one, two, three])
    await device.run(['silo', 'create', 'filesystem', silo, '--capacity', capacity]);
  await one.run(['network', 'create', 'cluster', '--silo', silo, '--replication-factor', '3']);
  const descriptor = await one.run(['network', 'export', 'cluster']);
  for (const device of [two, three]) await device.run(['network', 'import'], descriptor);
  await two.run(['network', 'link', 'cluster', '--silo', silo]);
  await one.run(['passport', 'create', '--network', 'cluster', '--user', 'bob']);
  const passport = await one.run(['passport', 'export', '--network', 'cluster', '--user', 'bob']);
  await three.run(['passport', 'import'], passport);
  await three.run(['network', 'link', network, '--silo', silo]);
  await one.run(['key-value-store', 'create', 'notes', '--network', 'cluster']);
  const notes = await one.run(['key-value-store', 'export', 'notes']);
  for (const device of [two, three]) await device.run(['key-value-store', 'import'], notes);
  return { one, two, three };
}

/** Starts a door on the device; the process. */
export function startDoor(device: Device, options: readonly string[] = []): Promise<Running> {
  return device.start(['key-value-store', 'run', store, ...options], /^Running key-value store/m);
}

export interface Connection {
  keys: KeyStore;
  close(): Promise<void>;
}

/** A client of the device's door, in this process; it survives restarts of the door. */
export function connect(device: Device): Promise<Connection> {
  return connectDoor(systemRuntime({ log: { level: 'error' } }), doorSocket(device.folders, device.user, store), store);
}

export interface Redundancy {
  registers: number;
  under_replicated_registers: number;
  network_register_members: number;
}

/** Waits until every register this device keeps, at least so many, has all its members. */
export function fullRedundancy(device: Device, timeoutMs: number, registersMin = 2): Promise<Redundancy> {
  return eventually(`full redundancy seen by ${device.name}`, timeoutMs, async () => {
    const found = await inspect<Redundancy>(device, 'redundancy');
    const whole =
      found.registers >= registersMin && found.under_replicated_registers === 0 && found.network_register_members === 3;
    return whole && found;
  });
}

export async function inspect<T>(device: Device, what: string): Promise<T> {
  return JSON.parse(await device.run(['network', 'inspect', network, `--${what}`, '--script'])) as T;
}
