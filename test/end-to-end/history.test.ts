// What clients of two doors see while nodes and doors are killed and come back: one history a key that some order explains.
// `INFINIT_TEST_SEED=N` plays a schedule of operations and faults again (the processes keep their own time).

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { isError } from '../../src/core/base/errors.ts';
import type { KeyStore } from '../../src/core/volume/keys.ts';
import { findViolation, type Operation, describe as tell } from '../simulator/linearizable.ts';
import { type Cluster, connect, createCluster, fullRedundancy, type Node, network, startDoor } from './cluster.ts';
import { type Device, eventually, Lab, type Running } from './device.ts';
import { persist } from './ledger.ts';

const operations = 20_000;
const keyCount = 50;
const clientsPerDoor = 8;
const faults = 14;
const recoverMs = 60_000;

type Random = (below: number) => number;

/** Mulberry32. */
function seeded(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

class History {
  readonly operations: Operation[] = [];
  answered = 0;
  unknown = 0;

  get size(): number {
    return this.operations.length;
  }

  /** Runs one operation; whether its answer came. */
  async record(planned: Omit<Operation, 'call' | 'end' | 'result'>, task: () => Promise<Operation['result']>) {
    const operation: Operation = { ...planned, call: performance.now(), end: Number.POSITIVE_INFINITY };
    this.operations.push(operation);
    try {
      operation.result = await task();
      operation.end = performance.now();
      this.answered++;
      return true;
    } catch (error) {
      if (!isError(error, 'unavailable', 'cancelled')) throw error;
      this.unknown++;
      return false;
    }
  }
}

/** A client that does one operation after another until enough is done. */
async function work(by: string, keys: KeyStore, history: History, random: Random): Promise<void> {
  const versions = new Map<string, { value: string | undefined; version: number }>();
  for (let at = 0; history.size < operations; at++) {
    const key = `key-${random(keyCount)}`;
    const name = Buffer.from(key);
    const value = `${by}/${at}`;
    const choice = random(100);
    const seen = versions.get(key);
    let answered: boolean;
    if (choice < 40) {
      answered = await history.record({ key, type: 'get', by }, async () => {
        const found = await keys.get(name).catch(absent);
        const text = found && Buffer.from(found.value).toString();
        versions.set(key, { value: text, version: found?.version ?? 0 });
        return text;
      });
    } else if (choice < 60) {
      answered = await history.record({ key, type: 'put', value, by }, async () => {
        await keys.put(name, Buffer.from(value));
        return undefined;
      });
    } else if (choice < 90 && seen !== undefined) {
      const condition = seen.value === undefined ? { ifAbsent: true } : { ifVersion: seen.version };
      answered = await history.record({ key, type: 'cas', value, expected: seen.value, by }, () =>
        keys.put(name, Buffer.from(value), condition).then(() => true, refused),
      );
    } else {
      answered = await history.record({ key, type: 'delete', by }, () => keys.delete(name));
    }
    // Nothing is tried against a door that is away: every open operation makes the check harder and says nothing.
    if (!answered) await eventually(`${by} is served again`, recoverMs, () => keys.list({ limit: 1 }).then(() => true));
  }
}

function absent(error: unknown): undefined {
  if (!isError(error, 'not-found')) throw error;
}

function refused(error: unknown): false {
  if (!isError(error, 'conflict', 'exists', 'not-found')) throw error;
  return false;
}

/** Kills and restarts, one after another, spread over the operations. */
async function trouble(cluster: Cluster, running: Processes, history: History, random: Random): Promise<void> {
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
    const history = new History();
    const clients = [devices.one, devices.two].flatMap((device: Device, door) =>
      Array.from({ length: clientsPerDoor }, async (_, number) => {
        const connection = await connect(device);
        closers.push(() => connection.close());
        const by = `${device.name}-${number}`;
        await work(by, connection.keys, history, seeded(seed + 1 + door * clientsPerDoor + number));
      }),
    );
    await Promise.all([...clients, trouble(devices, running, history, seeded(seed))]);
    const { answered, unknown } = history;
    context.diagnostic(`${history.size} operations: ${answered} answered, ${unknown} unknown`);
    assert.ok(unknown > 0, 'faults hit something');
    assert.ok(unknown < history.size / 10, `${unknown} unknown of ${history.size}`);
    await readAll(devices.two, history);
    const violation = findViolation(history.operations);
    assert.equal(violation && tell(violation.operations), undefined, `seed ${seed}: ${violation?.key}`);
  } finally {
    for (const close of closers) await close();
    await lab.close();
  }
});

/** The last word on every key, so that lost writes at the end are seen too. */
async function readAll(device: Device, history: History): Promise<void> {
  const { keys, close } = await connect(device);
  for (let at = 0; at < keyCount; at++) {
    const key = `key-${at}`;
    await history.record({ key, type: 'get', by: 'last' }, async () => {
      const found = await persist(() => keys.get(Buffer.from(key))).catch(absent);
      return found && Buffer.from(found.value).toString();
    });
  }
  await close();
}
