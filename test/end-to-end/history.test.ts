// What clients of two doors see while nodes and doors are killed and come back: one history a key that some order explains.
// `INFINIT_TEST_SEED=N` plays a schedule of operations and faults again (the processes keep their own time).

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { type Cluster, connect, createCluster, fullRedundancy, type Node, network, startDoor } from './cluster.ts';
import { type Device, eventually, Lab, type Running } from './device.ts';
import { KeyHistory, type Random, seeded } from './key-history.ts';

const operations = 20_000;
const keyCount = 50;
const clientsPerDoor = 8;
const faults = 14;
const recoverMs = 60_000;

/** Kills and restarts, one after another, spread over the operations. */
async function trouble(cluster: Cluster, running: Processes, history: KeyHistory, random: Random): Promise<void> {
  const { one, two, three } = cluster;
  for (let at = 1; at <= faults; at++) {
    const reached = async () => history.size >= (operations * at) / (faults + 1);
    await eventually(`${at} of ${faults} parts of the operations`, 120_000, reached);
    const [door, device] = random(2) === 0 ? (['doorOne', one] as const) : (['doorTwo', two] as const);
    if (at % 2 === 0) {
      await running[door].kill();
      running[door] = await startDoor(device);
    } else {
      const [name, place] = (
        [
          ['one', one],
          ['two', two],
          ['three', three],
        ] as const
      )[random(3)] ?? ['three', three];
      await running[name].kill();
      const until = history.size + random(400);
      await eventually('operations without a node', 60_000, async () => history.size >= until).catch(() => {});
      running[name] = await place.startNode(network);
    }
  }
}

interface Processes {
  one: Node;
  two: Node;
  three: Node;
  doorOne: Running;
  doorTwo: Running;
}

async function startAll(devices: Cluster): Promise<Processes> {
  const one = await devices.one.startNode(network);
  const two = await devices.two.startNode(network, ['--peer', one.endpoint]);
  const three = await devices.three.startNode(network, ['--peer', one.endpoint]);
  const doorOne = await startDoor(devices.one);
  const doorTwo = await startDoor(devices.two);
  await fullRedundancy(devices.one, recoverMs);
  return { one, two, three, doorOne, doorTwo };
}

test('histories of keys are linearizable under kills', { timeout: 360_000 }, async (context) => {
  const seed = Number(process.env.INFINIT_TEST_SEED ?? randomInt(2 ** 31));
  context.diagnostic(`INFINIT_TEST_SEED=${seed}`);
  const lab = new Lab();
  const closers: (() => Promise<void>)[] = [];
  try {
    const devices = await createCluster(lab);
    const running = await startAll(devices);
    const history = new KeyHistory({ operations, keys: keyCount, recoverMs });
    const clients = [devices.one, devices.two].flatMap((device: Device, door) =>
      Array.from({ length: clientsPerDoor }, async (_, number) => {
        const connection = await connect(device);
        closers.push(() => connection.close());
        const by = `${device.name}-${number}`;
        await history.work(by, connection.keys, seeded(seed + 1 + door * clientsPerDoor + number));
      }),
    );
    await Promise.all([...clients, trouble(devices, running, history, seeded(seed))]);
    const { answered, unknown } = history;
    context.diagnostic(`${history.size} operations: ${answered} answered, ${unknown} unknown`);
    assert.ok(unknown > 0, 'faults hit something');
    assert.ok(unknown < history.size / 10, `${unknown} unknown of ${history.size}`);
    const last = await connect(devices.two);
    closers.push(() => last.close());
    await history.verify(last.keys, seed);
  } finally {
    for (const close of closers) await close();
    await lab.close();
  }
});
